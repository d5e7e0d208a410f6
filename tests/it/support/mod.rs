//! What the suites share: a server of its own for each test, in this process or as the program itself; a client that
//! shows every byte, and one that keeps a replica.

mod home;
mod link;
mod numbers;
pub mod outside;
pub mod postgres;
mod program;
mod replica;
mod server;
mod tls;
mod web;

use std::io::Write;

pub use home::{Backup, Home, over_postgres};
pub use link::Link;
pub use numbers::Numbers;
pub use program::{Place, Program};
pub use replica::{Feed, Form, Key, Record, Replica, Trouble};
pub use server::{Answer, EventStream, Server, gzip, zstd};
pub use tls::Certificate;
pub use web::Web;

/// Writes to stderr past the test harness, which shows what is printed only when a test fails.
#[expect(clippy::explicit_write, reason = "the harness holds back what eprintln writes")]
pub fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

/// The seed of a test that draws lots: `STRANDLINE_SEED`, or another one each time. It is printed, for whoever has to
/// play the same game again.
pub fn lots(test: &str) -> fastrand::Rng {
    let seed = std::env::var("STRANDLINE_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("{test}: STRANDLINE_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
