//! The suites that hold for every store, once more over PostgreSQL. This very program runs them a second time, so that
//! `cargo test` is the one command for both.

use std::io::stderr;
use std::process::{Command, Stdio};

use crate::support::over_postgres;
use crate::support::postgres::is_installed;

/// The beginnings of their tests' names.
const SUITES: [&str; 8] = [
    "access::",
    "contract::",
    "crash::",
    "history::",
    "http_",
    "lost::",
    "model::real_and_model_agree",
    "model::the_real_server_keeps_its_promises",
];

#[test]
fn everything_holds_over_postgres() {
    // Inside such a run, or without PostgreSQL, there is nothing to do.
    if over_postgres() || !is_installed() {
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(SUITES).env("STRANDLINE_TEST_STORE", "postgres");
    // As it comes, and past the harness, which would hold it back.
    let status = again.stdin(Stdio::null()).stdout(stderr()).stderr(stderr()).status().unwrap();
    assert!(status.success(), "over PostgreSQL: {status}; the lines above say what failed");
}
