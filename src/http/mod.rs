//! The HTTP interface (PROTOCOL.md §2 to §9).
//!
//! A request lives through four rooms: an extractor turns it into domain values or a 400 (`extract`, `query`,
//! `body`), a handler of a few lines calls one operation of the store, and a wire type (`wire`) renders the answer.
//! Around all routes stands `finish`, around each one `observe`; what never becomes a request is answered at
//! the `edge`.

mod accept;
mod answer;
mod body;
mod changes;
mod clients;
mod conditions;
mod edge;
mod example;
mod extract;
mod finish;
mod home;
mod limits;
mod metrics;
mod observe;
mod openapi;
mod problem;
mod push;
mod query;
mod records;
mod repair;
mod retention;
mod routes;
mod sightings;
mod spaces;
mod stats;
mod status;
mod wire;

use std::sync::Arc;

use crate::domain::Clock;
use crate::feed::Feed;
use crate::registry::Registry;
use crate::store::Store;

pub use edge::{Edge, HEAD_SECONDS};
pub use example::PATH as EXAMPLE_PATH;
pub use finish::Finish;
pub use limits::Limits;
pub use openapi::document as openapi_document;
pub use routes::{cors, routes};

/// What the handlers work with: one for the whole server.
pub struct Api {
    store: Arc<dyn Store>,
    feed: Feed,
    clock: Arc<dyn Clock>,
    limits: Limits,
    example: bool,
    registry: Arc<Registry>,
    metrics: metrics::Metrics,
}

impl Api {
    /// Over a store, the feed that it tells of commits, and the registry in which clients are noted; with the example page,
    /// or without.
    pub fn new(
        store: Arc<dyn Store>,
        feed: Feed,
        clock: Arc<dyn Clock>,
        registry: Arc<Registry>,
        limits: Limits,
        example: bool,
    ) -> Self {
        Self { store, feed, clock, limits, example, registry, metrics: metrics::Metrics::default() }
    }
}
