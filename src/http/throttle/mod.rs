//! What a client may take of the server, so that none takes what the others need: connections, requests, bytes, streams,
//! and time.
//!
//! - here: the limits, and what is told to who goes beyond one;
//! - `account`: what one client has taken (rates by `governor`); `accounts`: all of them, bounded;
//! - `connection`: what a connection and its requests know of each other;
//! - `admit`: the middleware that every request goes through, before anything is known of its sender but the address;
//! - `metered`: bodies, counted while they are sent and received.
//!
//! A request is counted by its address, cheaply and before authentication, so that guessing is limited; then by its
//! token.

mod account;
mod accounts;
mod admit;
mod connection;
mod metered;

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::{HttpMessage, HttpRequest};
use governor::clock::DefaultClock;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Api;
use super::access::Permit;
use super::metrics::Metrics;
use super::peer::Proxies;
use super::problem::{Code, Problem};
use crate::access::Holder;
use account::{Exceeded, Place};
use accounts::{Accounts, network};
use metered::{Meter, ROOM_UNIT};

pub use account::Account;
pub use admit::Admit;
pub use connection::{Busy, Connection};
pub use metered::Intake;

/// How many requests a failed authentication counts for.
const FAILED_LOGIN: u64 = 10;
/// Who has as many streams open as it may is asked to come again after this time.
const STREAM_SECONDS: u64 = 10;
/// The same for who has as many connections.
const CONNECTION_SECONDS: u64 = 5;

/// What one client, a token or an address, may take; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Connections at a time, of an address.
    pub connections: Option<NonZeroU32>,
    /// Requests a second.
    pub requests: Option<NonZeroU32>,
    /// Bytes of bodies a second, in both directions.
    pub bytes: Option<NonZeroU32>,
    /// Streams at a time: event streams, long polls, and streams of lines.
    pub streams: Option<NonZeroU32>,
}

impl Allowance {
    /// What a client may take when nobody says otherwise. A second of it is more than the busiest office behind one
    /// address asks for, and a small part of what a server can do.
    pub const DEFAULT: Self = Self {
        connections: NonZeroU32::new(2_000),
        requests: NonZeroU32::new(1_000),
        bytes: NonZeroU32::new(128 << 20),
        streams: NonZeroU32::new(1_000),
    };
}

/// The limits of all clients; `None` is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttles {
    /// Of each token.
    pub token: Allowance,
    /// Of each address.
    pub address: Allowance,
    /// Of a loopback address. Who comes from there is this machine: a person's tests, or a proxy for everybody.
    pub loopback: Allowance,
    /// Connections in all.
    pub connections: Option<NonZeroU32>,
    /// Bytes of a target.
    pub url_bytes: Option<usize>,
    /// Bytes of a request's line and headers.
    pub head_bytes: Option<usize>,
    /// The head of a request has to be there within this time.
    pub head_time: Option<Duration>,
    /// The body of a request has to be there within this time; a longer one goes on as long as `body_rate` holds.
    pub body_time: Option<Duration>,
    /// Bytes a second.
    pub body_rate: NonZeroU32,
    /// A client that takes nothing of what is ready for so long is dropped.
    pub stall_time: Option<Duration>,
    /// A TLS handshake has to be done within this time.
    pub handshake_time: Option<Duration>,
}

impl Default for Throttles {
    fn default() -> Self {
        Self {
            token: Allowance { connections: None, ..Allowance::DEFAULT },
            address: Allowance::DEFAULT,
            loopback: Allowance::default(),
            connections: NonZeroU32::new(10_000),
            url_bytes: Some(16 << 10),
            head_bytes: Some(32 << 10),
            head_time: Some(Duration::from_secs(10)),
            body_time: Some(Duration::from_secs(20)),
            body_rate: NonZeroU32::new(512).unwrap_or(NonZeroU32::MIN),
            stall_time: Some(Duration::from_secs(30)),
            handshake_time: Some(Duration::from_secs(10)),
        }
    }
}

/// A limit, as the metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Connections in all.
    Connections,
    /// Connections of an address.
    AddressConnections,
    /// Requests of an address.
    AddressRequests,
    /// Bytes of an address.
    AddressBytes,
    /// Requests of a token.
    TokenRequests,
    /// Bytes of a token.
    TokenBytes,
    /// Streams of a token or an address.
    Streams,
    /// Bytes of a target.
    Url,
    /// Bytes of a head.
    Head,
    /// Time for a head.
    HeadTime,
    /// Time for a body.
    BodyTime,
    /// Large bodies at a time.
    Bodies,
    /// Time to take an answer.
    Stall,
    /// Time for a handshake.
    Handshake,
}

impl Limit {
    /// All the words.
    pub const WORDS: [&'static str; 14] = [
        "connections",
        "address_connections",
        "address_requests",
        "address_bytes",
        "token_requests",
        "token_bytes",
        "streams",
        "url",
        "head",
        "head_time",
        "body_time",
        "bodies",
        "stall",
        "handshake",
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::AddressConnections => "address_connections",
            Self::AddressRequests => "address_requests",
            Self::AddressBytes => "address_bytes",
            Self::TokenRequests => "token_requests",
            Self::TokenBytes => "token_bytes",
            Self::Streams => "streams",
            Self::Url => "url",
            Self::Head => "head",
            Self::HeadTime => "head_time",
            Self::BodyTime => "body_time",
            Self::Bodies => "bodies",
            Self::Stall => "stall",
            Self::Handshake => "handshake",
        }
    }
}

/// Why a request or a connection is refused, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    limit: Limit,
    wait: Duration,
}

impl Refusal {
    /// Counts it.
    pub fn count(self, metrics: &Metrics) {
        metrics.count_refusal(self.limit);
    }

    /// Counts it. What the client is told.
    pub fn problem(self, metrics: &Metrics) -> Problem {
        self.count(metrics);
        let detail = match self.limit {
            Limit::Connections => {
                let busy = Problem::new(Code::Unavailable, "the server has as many connections as it may");
                return busy.with_retry_after(self.wait);
            }
            Limit::AddressConnections => "there are as many connections from this address as there may be",
            Limit::AddressRequests => "there are more requests from this address than there may be",
            Limit::AddressBytes => "more is sent to and from this address than may be",
            Limit::TokenRequests => "there are more requests with this token than there may be",
            Limit::TokenBytes => "more is sent and received with this token than may be",
            _ => "as many streams are open as may be at a time",
        };
        Problem::new(Code::RateLimited, detail).with_retry_after(self.wait)
    }
}

/// The limits, and how far they are used.
pub struct Throttle {
    limits: Throttles,
    addresses: Accounts<u128>,
    /// By what `Holder::id` says.
    tokens: Accounts<Arc<str>>,
    /// Of all together.
    all: Arc<Account>,
    /// Large bodies that are read at a time: one core is left to everything else.
    bodies: Semaphore,
    /// Room for bodies that are on their way, or wait for their turn.
    room: Semaphore,
    /// Steps of streams that are read and written down at a time: as many as there are cores.
    steps: Semaphore,
}

impl Throttle {
    /// Nothing used yet. `room` is how many bytes of large bodies may be in memory.
    pub fn new(limits: Throttles, room: usize) -> Self {
        let all = Allowance { connections: limits.connections, ..Allowance::default() };
        // The clock of the rates measures the processor's counter once, for a fifth of a second: not while a client waits.
        let _ = DefaultClock::default();
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            addresses: Accounts::new(limits.address),
            tokens: Accounts::new(limits.token),
            all: Arc::new(Account::new(all)),
            bodies: Semaphore::new(cores.saturating_sub(1).max(1)),
            room: Semaphore::new((room / ROOM_UNIT).min(Semaphore::MAX_PERMITS)),
            steps: Semaphore::new(cores),
            limits,
        }
    }

    /// The limits.
    pub fn limits(&self) -> &Throttles {
        &self.limits
    }

    /// Waits for a turn to expand and read a large body, which takes time and memory. More at a time would be done no
    /// sooner, and leave nothing to small requests.
    pub async fn body(&self) -> Option<SemaphorePermit<'_>> {
        self.bodies.acquire().await.ok()
    }

    /// So many units of room for a body; `None` when there are not.
    fn room(&self, units: u32) -> Option<SemaphorePermit<'_>> {
        self.room.try_acquire_many(units).ok()
    }

    /// Waits for a turn to read a step of a stream and write it down. Read faster than they can be written down, steps would
    /// pile up on a worker, and small requests wait behind all of them.
    pub async fn step(&self) -> Option<SemaphorePermit<'_>> {
        self.steps.acquire().await.ok()
    }

    /// Connections at present.
    pub fn connections(&self) -> u32 {
        self.all.connections.load(Ordering::Relaxed)
    }

    /// Streams at present.
    pub fn streams(&self) -> u32 {
        self.all.streams.load(Ordering::Relaxed)
    }

    /// How many clients are kept count of.
    pub fn clients(&self) -> usize {
        self.addresses.len() + self.tokens.len()
    }

    fn address(&self, address: IpAddr) -> Arc<Account> {
        let allowance = if address.is_loopback() { self.limits.loopback } else { self.limits.address };
        self.addresses.of(&network(address), allowance)
    }

    /// Takes a connection from `address`, which is that of the client unless it is a proxy's.
    ///
    /// # Errors
    /// When there are too many.
    pub fn connect(&self, address: IpAddr, proxy: bool) -> Result<Connection, Refusal> {
        let wait = Duration::from_secs(CONNECTION_SECONDS);
        let refusal = |limit| Refusal { limit, wait };
        let connections = |account: &Arc<Account>| {
            Place::take(account, |account| &account.connections, account.allowance.connections)
        };
        let mut places = [connections(&self.all).ok_or_else(|| refusal(Limit::Connections))?.into(), None];
        let client = (!proxy).then(|| self.address(address));
        if let Some(client) = &client {
            places[1] = Some(connections(client).ok_or_else(|| refusal(Limit::AddressConnections))?);
        }
        Ok(Connection::new(client, places))
    }

    /// Takes a request of whoever holds a credential: once it is known who that is, and after its address was looked at.
    ///
    /// # Errors
    /// 429.
    pub fn admit(&self, holder: &Holder, metrics: &Metrics) -> Result<Arc<Account>, Problem> {
        let account = self.tokens.of(&holder.id, self.limits.token);
        let taken = account.request();
        taken.map_err(|exceeded| exceeded.refusal(Limit::TokenRequests, Limit::TokenBytes).problem(metrics))?;
        Ok(account)
    }

    /// Takes a stream for the sender of `req`: its token, or its address where there is no access control.
    ///
    /// # Errors
    /// 429 when it has too many.
    pub fn stream(&self, req: &HttpRequest, api: &Api) -> Result<Stream, Problem> {
        let account = token(req).unwrap_or_else(|| self.sender(req, &api.proxies));
        let place = Place::take(&account, |account| &account.streams, account.allowance.streams);
        let refusal = Refusal { limit: Limit::Streams, wait: Duration::from_secs(STREAM_SECONDS) };
        let place = place.ok_or_else(|| refusal.problem(&api.metrics))?;
        Ok(Stream { _places: [Some(place), Place::take(&self.all, |all| &all.streams, None)] })
    }

    /// Whom the bytes of `req` are charged to.
    fn meter(&self, req: &HttpRequest, proxies: &Proxies) -> Meter {
        Meter([Some(self.sender(req, proxies)), token(req)])
    }

    /// Counts a credential that is worth nothing, as many requests at once: whoever guesses has not many guesses.
    pub fn failed_login(&self, req: &HttpRequest, proxies: &Proxies) {
        self.sender(req, proxies).charge_requests(FAILED_LOGIN);
    }

    /// The account of the address that `req` comes from.
    fn sender(&self, req: &HttpRequest, proxies: &Proxies) -> Arc<Account> {
        let known = Connection::of(req, |connection| connection.client().cloned()).flatten();
        known.unwrap_or_else(|| self.address(proxies.peer(req.head()).address))
    }
}

/// The account of the token that let `req` in.
fn token(req: &HttpRequest) -> Option<Arc<Account>> {
    req.extensions().get::<Permit>().and_then(Permit::account).cloned()
}

/// An open stream, until it is dropped.
pub struct Stream {
    _places: [Option<Place>; 2],
}

impl Exceeded {
    /// As a refusal of an address or of a token.
    fn refusal(self, requests: Limit, bytes: Limit) -> Refusal {
        match self {
            Self::Requests(wait) => Refusal { limit: requests, wait },
            Self::Bytes(wait) => Refusal { limit: bytes, wait },
        }
    }
}
