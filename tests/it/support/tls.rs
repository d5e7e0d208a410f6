//! A certificate of the test's own, and clients that trust it: one that speaks HTTP/1.1 by hand, and one of HTTP/2.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use strandline::server::Tls;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client that waits longer than this waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// The files of a certificate for `localhost`.
pub struct Certificate {
    directory: TempDir,
}

impl Certificate {
    pub fn new() -> Self {
        let certificate = Self { directory: tempfile::tempdir().unwrap() };
        certificate.renew();
        certificate
    }

    /// Makes another, with another key, in its place.
    pub fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        std::fs::write(self.path(), made.cert.pem()).unwrap();
        std::fs::write(self.key_path(), made.signing_key.serialize_pem()).unwrap();
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    pub fn key_path(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    pub fn load(&self) -> Tls {
        Tls::load(&self.path(), &self.key_path()).unwrap()
    }

    /// What is in the file now, as a client sees it.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path()).unwrap()
    }

    /// Connects to `address`, for `protocol`.
    pub async fn connect(&self, address: SocketAddr, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    }

    /// A client of HTTP/2, connected.
    pub async fn http2(&self, address: SocketAddr) -> Http2 {
        let socket = self.connect(address, "h2").await.unwrap();
        assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        // What is not read fills the window of its stream, and leaves room for others.
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(65_535).initial_connection_window_size(4 << 20);
        let (send, connection) = builder.handshake::<_, Bytes>(socket).await.unwrap();
        let driver = tokio::spawn(connection);
        Http2 { send, driver }
    }
}

/// A connection of HTTP/2.
pub struct Http2 {
    send: SendRequest<Bytes>,
    driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    /// Begins a request, and leaves its body to be sent unless it `ends` with its head.
    pub async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = http0::Request::builder().method(method).uri(format!("https://localhost{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut send = self.send.clone().ready().await.unwrap();
        send.send_request(request.body(()).unwrap(), ends).unwrap()
    }

    /// The head of an answer, with its body to be read.
    pub async fn open(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> http0::Response<RecvStream> {
        let (answer, _) = self.begin(method, path, headers, true).await;
        timeout(PATIENCE, answer).await.expect("an answer").unwrap()
    }

    /// A whole exchange.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer2 {
        let body = body.into();
        let (answer, mut stream) = self.begin(method, path, headers, body.is_empty()).await;
        if !body.is_empty() {
            stream.send_data(body, true).unwrap();
        }
        Answer2::of(timeout(PATIENCE, answer).await.expect("an answer").unwrap()).await
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer2 {
        self.send("GET", path, headers, "").await
    }

    /// Waits until the server has closed the connection. Whether it did so in order.
    pub async fn closed(self) -> bool {
        drop(self.send);
        timeout(PATIENCE, self.driver).await.expect("it is closed").unwrap().is_ok()
    }
}

/// What a server answered over HTTP/2.
pub struct Answer2 {
    pub status: u16,
    pub headers: http0::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer2 {
    async fn of(response: http0::Response<RecvStream>) -> Self {
        let (head, mut stream) = response.into_parts();
        let mut body = Vec::new();
        while let Some(part) = timeout(PATIENCE, stream.data()).await.expect("the rest of it") {
            let part = part.unwrap();
            stream.flow_control().release_capacity(part.len()).unwrap();
            body.extend_from_slice(&part);
        }
        Self { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.json()["code"], code);
    }
}
