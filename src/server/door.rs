//! Where connections come in: counted, encrypted where that is asked for, and handed to HTTP/1.1 or HTTP/2.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::{Request, Response};
use actix_service::Service;
use actix_web::body::BoxBody;
use actix_web::web;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::http2;
use super::tls::HTTP2;
use crate::http::{self, Api, Connection, Edge, Limit, Timed};

type Handled = Pin<Box<dyn Future<Output = Result<(), ()>>>>;

/// A plain connection, as HTTP/1.1 takes it.
pub(super) type Plain = (Edge<TcpStream>, Option<SocketAddr>);
/// An encrypted one.
pub(super) type Encrypted = (Edge<TlsStream<TcpStream>>, Option<SocketAddr>);

/// Counts a connection in, or tells it that there are too many.
async fn enter(socket: TcpStream, api: &Api, plain: bool) -> Result<(TcpStream, Connection), ()> {
    // An event must not wait until the one before is acknowledged. A socket that is gone already says so soon.
    let _ = socket.set_nodelay(true);
    let address = socket.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
    match api.throttle.connect(address, api.proxies.trusts(address)) {
        Ok(connection) => Ok((socket, connection)),
        Err(refusal) if plain => {
            let _ = http::refuse(socket, refusal, api).await;
            Err(())
        }
        // Nothing can be said before a handshake, which is dearer than all that is limited here.
        Err(refusal) => {
            refusal.count(&api.metrics);
            Err(())
        }
    }
}

/// The door of HTTP/1.1 without TLS.
pub(super) struct PlainDoor<H> {
    api: web::Data<Api>,
    http1: Rc<H>,
}

impl<H> PlainDoor<H> {
    pub fn new(api: web::Data<Api>, http1: H) -> Self {
        Self { api, http1: Rc::new(http1) }
    }
}

impl<H> Service<TcpStream> for PlainDoor<H>
where
    H: Service<Plain, Response = ()> + 'static,
{
    type Response = ();
    type Error = ();
    type Future = Handled;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.http1.poll_ready(cx).map_err(drop)
    }

    fn call(&self, socket: TcpStream) -> Handled {
        let (api, http1) = (self.api.clone(), Rc::clone(&self.http1));
        Box::pin(async move {
            let peer = socket.peer_addr().ok();
            let (socket, connection) = enter(socket, &api, true).await?;
            http1.call((Edge::new(Timed::new(socket, connection, api)), peer)).await.map_err(drop)
        })
    }
}

/// The door of HTTP/1.1 and HTTP/2 with TLS.
pub(super) struct TlsDoor<H, A> {
    api: web::Data<Api>,
    acceptor: TlsAcceptor,
    http1: Rc<H>,
    /// The application, for HTTP/2.
    app: Rc<A>,
    /// How long an idle connection of HTTP/2 is kept.
    idle: Duration,
}

impl<H, A> TlsDoor<H, A> {
    pub fn new(api: web::Data<Api>, acceptor: TlsAcceptor, http1: H, app: A, idle: Duration) -> Self {
        Self { api, acceptor, http1: Rc::new(http1), app: Rc::new(app), idle }
    }
}

impl<H, A> Service<TcpStream> for TlsDoor<H, A>
where
    H: Service<Encrypted, Response = ()> + 'static,
    A: Service<Request> + 'static,
    A::Response: Into<Response<BoxBody>>,
    A::Error: Into<Response<BoxBody>>,
    A::Future: 'static,
{
    type Response = ();
    type Error = ();
    type Future = Handled;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.http1.poll_ready(cx).map_err(drop)
    }

    fn call(&self, socket: TcpStream) -> Handled {
        let (api, acceptor, idle) = (self.api.clone(), self.acceptor.clone(), self.idle);
        let (http1, app) = (Rc::clone(&self.http1), Rc::clone(&self.app));
        Box::pin(async move {
            let peer = socket.peer_addr().ok();
            let (socket, connection) = enter(socket, &api, false).await?;
            let time = api.throttle.limits().handshake_time.unwrap_or(Duration::MAX);
            let Ok(encrypted) = timeout(time, acceptor.accept(socket)).await else {
                api.metrics.count_refusal(Limit::Handshake);
                return Err(());
            };
            let encrypted = encrypted.map_err(|error| log::debug!("a TLS handshake failed: {error}"))?;
            let is_http2 = encrypted.get_ref().1.alpn_protocol() == Some(HTTP2);
            let timed = Timed::new(encrypted, connection, api.clone());
            if is_http2 {
                http2::serve(timed, app, peer, idle, api).await;
                Ok(())
            } else {
                http1.call((Edge::new(timed), peer)).await.map_err(drop)
            }
        })
    }
}
