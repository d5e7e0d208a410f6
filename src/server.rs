//! The server assembled: HTTP, the compactor and the feed over one store, from the first connection to the last.
//!
//! The program and its tests run the same function; what differs is handed in.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::Condition;
use actix_web::{App, HttpServer, web};

use crate::compactor;
use crate::domain::Clock;
use crate::feed::Feed;
use crate::http::{self, Api, Finish, Limits};
use crate::store::Store;

/// An idle connection is kept this long: longer than the usual interval of a client that polls each minute.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// A request that is under way at the shutdown may take this many seconds more.
const SHUTDOWN_SECONDS: u64 = 30;

/// How the server is to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The limits of requests.
    pub limits: Limits,
    /// Origins of browser clients.
    pub cors_origins: Vec<String>,
    /// Threads that serve requests; `None` for one a core.
    pub workers: Option<usize>,
    /// How often old tombstones are purged.
    pub compact_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            cors_origins: Vec::new(),
            workers: None,
            compact_interval: Duration::from_secs(60),
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
    store: Arc<dyn Store>,
    feed: Feed,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let api = web::Data::new(Api::new(Arc::clone(&store), feed.clone(), Arc::clone(&clock), config.limits));
    let server = start(listeners, config.workers, config.cors_origins, api)?;
    let handle = server.handle();
    let serving = tokio::spawn(server);
    let compacting = compactor::run(Arc::clone(&store), clock, feed.clone(), config.compact_interval);
    let compacting = tokio::spawn(compacting);

    shutdown.await;
    log::info!("shutting down");
    // First: a held request would keep the server waiting.
    feed.close();
    handle.stop(true).await;
    let ended = serving.await.map_err(io::Error::other)?;
    compacting.await.map_err(io::Error::other)?;
    store.close().await;
    ended
}

/// Starts the workers. Apart from `run`, whose future must be able to move between threads, as actix's builder is not.
fn start(
    listeners: Vec<TcpListener>,
    workers: Option<usize>,
    origins: Vec<String>,
    api: web::Data<Api>,
) -> io::Result<Server> {
    let mut server = HttpServer::new(move || {
        let cors = Condition::new(!origins.is_empty(), http::cors(&origins));
        App::new().configure(|routes| http::routes(&api, routes)).wrap(cors).wrap(Finish)
    })
    .disable_signals()
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(SHUTDOWN_SECONDS);
    if let Some(workers) = workers {
        server = server.workers(workers);
    }
    for listener in listeners {
        server = server.listen(listener)?;
    }
    Ok(server.run())
}
