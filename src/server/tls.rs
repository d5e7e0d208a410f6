//! The certificate by which the server shows who it is, and how it is changed while the server runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// What a client of HTTP/2 asks for in the handshake.
pub(super) const HTTP2: &[u8] = b"h2";

/// Why there is no certificate to use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has not what it should.
    #[error("cannot use {path} for TLS: {why}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The files are fine, but do not belong together.
    #[error("cannot use {certificate} and {key} for TLS: {source}")]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
}

/// The certificate in two files, and how connections are made with it. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Tls {
    files: Arc<(PathBuf, PathBuf)>,
    present: Arc<Present>,
    config: Arc<ServerConfig>,
}

/// The pair in use.
#[derive(Debug)]
struct Present(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Present {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads the certificate, with those that lead to its authority behind it, and its key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`], in one sentence.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let present = Arc::new(Present(RwLock::new(Arc::new(read(certificate, key)?))));
        let fault = |source| TlsError::Pair { certificate: certificate.into(), key: key.into(), source };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(fault)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&present) as _);
        config.alpn_protocols = vec![HTTP2.into(), b"http/1.1".into()];
        Ok(Self { files: Arc::new((certificate.into(), key.into())), present, config: Arc::new(config) })
    }

    /// Reads the files again. Connections that are made from now on get what is in them; where they cannot be used, what
    /// there was.
    ///
    /// # Errors
    /// [`TlsError`], in one sentence.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(read(&self.files.0, &self.files.1)?);
        *self.present.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| unusable(certificate, error, "a certificate"))?;
    if chain.is_empty() {
        return Err(unusable(certificate, pem::Error::NoItemsFound, "a certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error, "a private key"))?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|source| TlsError::Pair {
        certificate: certificate.into(),
        key: key.into(),
        source,
    })
}

fn unusable(path: &Path, error: pem::Error, wanted: &str) -> TlsError {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("there is no PEM block in it that is {wanted}"),
        other => format!("it is not PEM with {wanted} in it: {other:?}"),
    };
    TlsError::File { path: path.into(), why }
}
