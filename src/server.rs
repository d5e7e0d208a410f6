//! The server assembled: HTTP, the compactor and the feed over one store, from the first connection to the last.
//!
//! The program and its tests run the same function; what differs is handed in.

mod door;
mod http2;
mod tls;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_factory, map_config};
use actix_web::dev::{AppConfig, Server, ServiceResponse};
use actix_web::{App, HttpResponse, web};
use ipnet::IpNet;

use crate::access::{self, Keyring};
use crate::compactor::{self, Progress};
use crate::domain::retention::Unit;
use crate::domain::{Clock, Retention};
use crate::feed::Feed;
use crate::http::{self, Admit, Api, Edge, Finish, Limits, Metrics, Proxies, Socket, Throttle, Throttles};
use crate::registry::{self, Registry};
use crate::store::Store;
use door::{PlainDoor, TlsDoor};

pub use tls::{Tls, TlsError};

/// An idle connection is kept this long: longer than the usual interval of a client that polls each minute.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// A connection that the server closes may take this long to go.
const DISCONNECT: Duration = Duration::from_secs(1);
/// A request that is under way at the shutdown may take this many seconds more. A stream to a reader that does not read
/// takes them all.
const SHUTDOWN_SECONDS: u64 = 10;

/// So many bodies of the largest size may be in memory at a time.
const LARGE_BODIES: usize = 16;

/// How the server is to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The limits of requests.
    pub limits: Limits,
    /// The limits of clients.
    pub throttles: Throttles,
    /// The certificate, where connections are encrypted.
    pub tls: Option<Tls>,
    /// Proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of browser clients.
    pub cors_origins: Vec<String>,
    /// Threads that serve requests; `None` for one a core.
    pub workers: Option<usize>,
    /// How often old tombstones are purged.
    pub compact_interval: Duration,
    /// How often a sample of each space is kept.
    pub sample_interval: Duration,
    /// How long a client that is not seen is known.
    pub client_expiry: Retention,
    /// How old the sizes in `/metrics` may be: to look at all spaces costs more than a request should.
    pub survey_age: Duration,
    /// Whether the example page is served.
    pub example: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            throttles: Throttles::default(),
            tls: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            workers: None,
            compact_interval: Duration::from_secs(60),
            sample_interval: Duration::from_secs(300),
            client_expiry: Retention::For { count: 180, unit: Unit::Day },
            survey_age: Duration::from_secs(10),
            example: false,
        }
    }
}

/// Serves until `shutdown` resolves; then ends streams and long polls, finishes what is under way, and closes the
/// store.
///
/// # Errors
/// When a listener cannot be used.
pub async fn run(
    listeners: Vec<TcpListener>,
    config: Config,
    keyring: Arc<Keyring>,
    store: Arc<dyn Store>,
    feed: Feed,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let registry = Arc::new(Registry::default());
    let progress = Arc::<Progress>::default();
    let api = web::Data::new(Api {
        store: Arc::clone(&store),
        feed: feed.clone(),
        clock: Arc::clone(&clock),
        registry: Arc::clone(&registry),
        keyring: Arc::clone(&keyring),
        origins: config.cors_origins,
        limits: config.limits,
        example: config.example,
        metrics: Metrics::new(config.survey_age),
        progress: Arc::clone(&progress),
        throttle: Throttle::new(config.throttles, LARGE_BODIES.saturating_mul(config.limits.push_bytes)),
        proxies: Proxies { trusted: config.trusted_proxies, tls: config.tls.is_some() },
    });
    let server = start(listeners, config.workers, config.tls.as_ref(), &api)?;
    let handle = server.handle();
    let serving = tokio::spawn(server);
    let Config { compact_interval, sample_interval, client_expiry, .. } = config;
    let compacting =
        compactor::run(Arc::clone(&store), Arc::clone(&clock), feed.clone(), compact_interval, client_expiry, progress);
    let workers = [
        tokio::spawn(compacting),
        tokio::spawn(compactor::sample(Arc::clone(&store), clock, feed.clone(), sample_interval)),
        tokio::spawn(access::run(keyring, feed.clone())),
        tokio::spawn(registry::run(registry, Arc::clone(&store), feed.clone())),
    ];

    shutdown.await;
    log::info!("shutting down");
    // First: a held request would keep the server waiting.
    feed.close();
    handle.stop(true).await;
    let ended = serving.await.map_err(io::Error::other)?;
    for worker in workers {
        worker.await.map_err(io::Error::other)?;
    }
    store.close().await;
    ended
}

/// Starts the workers: what actix's `HttpServer` does, behind a door of our own. Apart from `run`, whose future must be
/// able to move between threads, as actix's builder is not.
fn start(
    listeners: Vec<TcpListener>,
    workers: Option<usize>,
    tls: Option<&Tls>,
    api: &web::Data<Api>,
) -> io::Result<Server> {
    let mut server = Server::build().disable_signals().shutdown_timeout(SHUTDOWN_SECONDS);
    if let Some(workers) = workers {
        server = server.workers(workers);
    }
    let stopping = server.graceful_shutdown_signal();
    for listener in listeners {
        let (api, stopping) = (api.clone(), stopping.clone());
        let signal = move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        };
        server = if let Some(tls) = tls {
            let acceptor = tls.acceptor();
            server.listen("https", listener, move || {
                let (api, acceptor, signal) = (api.clone(), acceptor.clone(), signal.clone());
                fn_factory(move || {
                    let (api, acceptor) = (api.clone(), acceptor.clone());
                    let (http1, app) = (http1(&api, signal.clone()), application(&api));
                    async move {
                        let (http1, app) = (http1.new_service(()).await?, app.new_service(()).await?);
                        Ok::<_, ()>(TlsDoor::new(api, acceptor, http1, app, KEEP_ALIVE))
                    }
                })
            })?
        } else {
            server.listen("http", listener, move || {
                let (api, signal) = (api.clone(), signal.clone());
                fn_factory(move || {
                    let (api, http1) = (api.clone(), http1(&api, signal.clone()));
                    async move { Ok::<_, ()>(PlainDoor::new(api, http1.new_service(()).await?)) }
                })
            })?
        };
    }
    Ok(server.run())
}

/// The application of a worker.
fn application(
    api: &web::Data<Api>,
) -> impl ServiceFactory<Request, Config = (), Response = ServiceResponse, Error = HttpResponse, InitError = ()> + use<>
{
    let app = App::new()
        .configure(|routes| http::routes(api, routes))
        .wrap(Admit::new(api))
        .wrap(http::cors(api))
        .wrap(Finish);
    map_config(app.into_factory().map_err(|error| error.error_response()), |()| AppConfig::default())
}

/// The application behind HTTP/1.1, on connections of one kind.
fn http1<S, N, F>(
    api: &web::Data<Api>,
    stopping: N,
) -> impl ServiceFactory<(Edge<S>, Option<SocketAddr>), Config = (), Response = (), Error = DispatchError, InitError = ()>
+ use<S, F, N>
where
    S: Socket + 'static,
    N: Fn() -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    HttpService::build()
        .keep_alive(KEEP_ALIVE)
        // The edge sees to that, for every request of a connection.
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(DISCONNECT)
        .graceful_shutdown_signal(stopping)
        .on_connect_ext(|edge: &Edge<S>, data| _ = data.insert(Rc::clone(edge.connection())))
        .h1(application(api))
}
