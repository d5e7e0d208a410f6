//! What is shared with the tests: PostgreSQL servers of our own, which nothing outlives.

#[allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "the tests use all of it, and what goes wrong there should stop there and then"
)]
#[path = "../../tests/it/support/postgres/mod.rs"]
pub mod postgres;

/// Says something to whoever runs the benchmark.
pub fn say(text: &str) {
    eprintln!("{text}");
}
