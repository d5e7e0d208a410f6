//! What the suites share: a server of its own for each test, and a client that shows every byte.

mod server;

pub use server::{Answer, Server, gzip, zstd};
