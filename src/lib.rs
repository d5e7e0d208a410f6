//! Strandline, a sync server for clients that keep an offline copy of data.
//!
//! The feature `server`, on by default, is the server with its stores and the command line. Without it there is what
//! an app links that keeps such a copy.

pub mod domain;
pub mod replica;

#[cfg(feature = "server")]
pub mod access;
#[cfg(feature = "server")]
pub mod audit;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod compactor;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod copier;
#[cfg(feature = "server")]
pub mod feed;
#[cfg(feature = "server")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod registry;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod stats;
#[cfg(feature = "server")]
pub mod store;
