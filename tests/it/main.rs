//! The one integration binary: everything is tested through the outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::similar_names,
    missing_docs,
    reason = "a test that goes wrong should stop there and then"
)]

mod cli;
mod contract;
mod layers;
mod model;
