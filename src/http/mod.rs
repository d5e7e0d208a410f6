//! The HTTP interface (PROTOCOL.md §2 to §9).
//!
//! A request lives through four rooms: an extractor turns it into domain values or a 400 (`extract`, `query`,
//! `body`), a handler of a few lines calls one operation of the store, and a wire type (`wire`) renders the answer.
//! Around all routes stand `finish` and, nearer, `throttle`, around each one `observe`; what never becomes a request is
//! answered at the `edge`.

mod accept;
mod access;
mod answer;
mod audit;
mod body;
mod changes;
mod clients;
mod conditions;
mod dashboard;
mod edge;
mod embedded;
mod example;
mod extract;
mod finish;
mod limits;
mod metrics;
mod observe;
mod openapi;
mod peer;
mod problem;
mod push;
mod query;
mod quota;
mod records;
mod repair;
mod retention;
mod routes;
mod sightings;
mod spaces;
mod stats;
mod status;
mod throttle;
mod tokens;
pub(crate) mod wire;

use std::sync::Arc;

use crate::access::Keyring;
use crate::compactor::Progress;
use crate::domain::Clock;
use crate::feed::Feed;
use crate::registry::Registry;
use crate::store::Store;

pub use edge::{Edge, Socket, Timed, refuse};
pub use example::PATH as EXAMPLE_PATH;
pub use finish::Finish;
pub use limits::Limits;
pub use metrics::Metrics;
pub use openapi::document as openapi_document;
pub use peer::{Peer, Proxies};
pub use routes::{cors, routes};
pub use throttle::{Admit, Allowance, Busy, Connection, Limit, Refusal, Throttle, Throttles};

/// What the handlers work with: one for the whole server.
pub struct Api {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The feed that it tells of commits.
    pub feed: Feed,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where clients are noted.
    pub registry: Arc<Registry>,
    /// Who may come in.
    pub keyring: Arc<Keyring>,
    /// Origins of browser clients; `*` stands for every origin.
    pub origins: Vec<String>,
    /// The limits of requests.
    pub limits: Limits,
    /// Whether there is the example page.
    pub example: bool,
    /// What is counted.
    pub metrics: Metrics,
    /// How far the compactor is.
    pub progress: Arc<Progress>,
    /// What clients may take, and what they have taken.
    pub throttle: Throttle,
    /// Whose word on a client's address is taken.
    pub proxies: Proxies,
}
