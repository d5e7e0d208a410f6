//! Strandline, a sync server for clients that keep an offline copy of data.
pub mod cli;
pub mod compactor;
pub mod config;
pub mod copier;
pub mod domain;
pub mod feed;
pub mod http;
pub mod replica;
pub mod server;
pub mod store;
