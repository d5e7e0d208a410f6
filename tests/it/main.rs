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

mod access;
mod cli;
mod clusters;
mod contract;
mod corpora;
mod crash;
#[cfg(target_os = "linux")]
mod disk;
mod documents;
mod history;
mod http_bodies;
mod http_clients;
mod http_dashboard;
mod http_edge;
mod http_errors;
mod http_example;
mod http_limits;
mod http_metrics;
mod http_operations;
mod http_plan;
mod http_program;
mod http_pull;
mod http_push;
mod http_quota;
mod http_records;
mod http_repair;
mod http_retention;
mod http_service;
mod http_spaces;
mod http_streams;
mod http_tls;
mod javascript;
mod layers;
mod lost;
mod model;
mod over_postgres;
mod postgres;
mod replica;
#[cfg(target_os = "linux")]
mod rude;
mod schemathesis;
mod support;
