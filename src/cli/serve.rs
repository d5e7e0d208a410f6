//! `strandline serve`: the server as a program.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZeroU32;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::{Jwts, Keyring};
use crate::config::ServeArgs;
use crate::domain::SystemClock;
use crate::feed::Feed;
use crate::http::{EXAMPLE_PATH, Throttles};
use crate::server::{self, Config, Tls, TlsError};
use crate::store::{self, StoreError, StoreOptions};

/// Connections that may wait to be accepted.
const WAITING_CONNECTIONS: u32 = 2048;

/// File descriptors for what is no client: the database, its files, and files that are just being read.
const DESCRIPTORS: u32 = 256;

/// Why the server did not run, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address means nothing here.
    #[error("cannot listen on {address}: {source}; give an address and a port, such as 127.0.0.1:7878")]
    Address {
        /// As it was given.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The address is reachable from elsewhere, and nothing would protect the data.
    #[error(
        "refusing to listen on {0}: there is no access control yet, so that only this machine is served; make a token first, \
         such as `strandline token create --name admin --grant 'space=*:admin'` with the same --database, or say --jwks, or \
         listen on a loopback address such as 127.0.0.1:7878"
    )]
    Exposed(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// As it was given.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database cannot be opened; the store says it in a sentence of its own.
    #[error(transparent)]
    Database(#[from] StoreError),
    /// The keys of JWTs are not as they must be.
    #[error("{0}")]
    Keys(String),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server broke off.
    #[error("the server failed: {0}")]
    Server(#[from] std::io::Error),
}

/// Runs the server until it is told to stop by SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`], in one sentence for the person who started it.
pub async fn run(args: ServeArgs) -> Result<(), ServeError> {
    let tls = args.tls.load()?;
    let jwts = Jwts::new(args.access.jwt().map_err(ServeError::Keys)?).await.map_err(ServeError::Keys)?;
    let addresses = args.listen.iter().map(|address| resolve(address)).collect::<Result<Vec<_>, _>>()?;
    let exposed = addresses.iter().flat_map(|(_, resolved)| resolved).find(|resolved| !resolved.ip().is_loopback());
    // Where only the database can tell whether there is access control, nothing is listened on before.
    let mut listeners = match exposed {
        Some(exposed) if jwts.is_none() && args.database.is_new() => return Err(ServeError::Exposed(*exposed)),
        Some(_) if jwts.is_none() => None,
        _ => Some(bind_all(&addresses)?),
    };
    // From here on a signal ends the server in order, also one that comes while the database is opened, or waited for.
    let mut shutdown = std::pin::pin!(stop_signal()?);
    let (clock, feed) = (Arc::new(SystemClock), Feed::default());
    let options = StoreOptions {
        clock: clock.clone(),
        feed: feed.clone(),
        default_retention: args.default_retention,
        default_quota: args.quotas.quota(),
        readers: args.readers,
        queue: args.queue,
        remote: args.remote(),
    };
    let store = tokio::select! {
        opened = store::open(&args.database, options) => opened?,
        // The thread that waits for the database cannot be told to stop, and must not go on in a runtime that is going.
        () = &mut shutdown => std::process::exit(0),
    };
    let keyring = Arc::new(Keyring::new(Arc::clone(&store), clock.clone(), jwts).await?);
    if let Some(exposed) = exposed
        && keyring.is_open()
    {
        store.close().await;
        return Err(ServeError::Exposed(*exposed));
    }
    let listeners = match listeners.take() {
        Some(listeners) => listeners,
        None => bind_all(&addresses)?,
    };
    if let Some(tls) = &tls {
        reload_on_signal(tls.clone())?;
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    for listener in &listeners {
        announce(format_args!("listening on {scheme}://{}", listener.local_addr()?));
    }
    // One address is enough to open in a browser.
    if let (true, Some(listener)) = (args.example, listeners.first()) {
        announce(format_args!("the example page is {scheme}://{}{EXAMPLE_PATH}", listener.local_addr()?));
    }
    let config = Config {
        limits: args.limits(),
        throttles: within_descriptors(args.throttle.throttles()),
        tls,
        trusted_proxies: args.tls.trusted_proxy,
        cors_origins: args.cors_origin,
        workers: args.workers,
        compact_interval: args.compact_interval,
        sample_interval: args.sample_interval,
        client_expiry: args.client_expiry,
        example: args.example,
        ..Config::default()
    };
    server::run(listeners, config, keyring, store, feed, clock, shutdown).await?;
    Ok(())
}

/// A line for whoever waits for the server. Connections are taken from here on, even if they are answered a moment
/// later.
fn announce(line: std::fmt::Arguments<'_>) {
    // Nobody may be reading, which is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{line}");
    let _ = std::io::stdout().flush();
}

/// An address as it was given, and what it means here.
type Address<'a> = (&'a str, Vec<SocketAddr>);

fn resolve(address: &str) -> Result<Address<'_>, ServeError> {
    match address.to_socket_addrs() {
        Ok(resolved) => Ok((address, resolved.collect())),
        Err(source) => Err(ServeError::Address { address: address.into(), source }),
    }
}

fn bind_all(addresses: &[Address<'_>]) -> Result<Vec<TcpListener>, ServeError> {
    let bind = |(address, resolved): &Address<'_>| {
        bind(resolved).map_err(|source| ServeError::Bind { address: (*address).into(), source })
    };
    addresses.iter().map(bind).collect()
}

/// Binds the first of these that can be. Unlike the standard library's, its queue holds the crowd of clients that
/// comes back after a restart.
fn bind(addresses: &[SocketAddr]) -> std::io::Result<TcpListener> {
    let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A server that was restarted need not wait until the old connections are forgotten.
        socket.set_reuseaddr(true)?;
        match socket.bind(*address).and_then(|()| socket.listen(WAITING_CONNECTIONS)?.into_std()) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Has as many file descriptors as the system grants, and lowers the limit of connections to what they are enough for.
fn within_descriptors(mut throttles: Throttles) -> Throttles {
    let mut granted = getrlimit(Resource::Nofile);
    if granted.current != granted.maximum {
        let raised = Rlimit { current: granted.maximum, ..granted };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => granted = raised,
            Err(error) => log::debug!("the limit of open files stays: {error}"),
        }
    }
    let room = granted.current.map_or(u32::MAX, |most| u32::try_from(most).unwrap_or(u32::MAX));
    let room = NonZeroU32::new(room.saturating_sub(DESCRIPTORS)).unwrap_or(NonZeroU32::MIN);
    if throttles.connections.is_none_or(|most| most > room) {
        if room < NonZeroU32::MAX {
            log::warn!("no more than {room} connections at a time, as the system grants no more open files");
        }
        throttles.connections = Some(room);
    }
    throttles
}

/// Reads the certificate again at each SIGHUP.
fn reload_on_signal(tls: Tls) -> std::io::Result<()> {
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            match tls.reload() {
                Ok(()) => log::info!("the certificate was read again"),
                Err(error) => log::error!("the certificate in use stays: {error}"),
            }
        }
    });
    Ok(())
}

/// Waits for SIGTERM or SIGINT, which from the call on do not end the process any more.
///
/// # Errors
/// What the system says.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
