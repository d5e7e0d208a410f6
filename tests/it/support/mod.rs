//! What the suites share: a server of its own for each test, in this process or as the program itself; a client that
//! shows every byte, and one that keeps a replica.

mod link;
mod program;
mod replica;
mod server;

pub use link::Link;
pub use program::{Place, Program};
pub use replica::{Feed, Form, Key, Record, Replica, Trouble};
pub use server::{Answer, Server, gzip, zstd};

/// The seed of a test that draws lots: `STRANDLINE_SEED`, or another one each time. It is printed, for whoever has to
/// play the same game again.
pub fn lots(test: &str) -> fastrand::Rng {
    let seed = std::env::var("STRANDLINE_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("{test}: STRANDLINE_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}
