//! The server measured from outside, each figure beside its floor: what the same machine does in the same minute with
//! everything but the one necessary thing taken away. `benches/README.md` says how to run it and how to read it.
//!
//! It is its own runner. criterion times a function in a loop; what is asked here is how many requests a second a
//! process answers while another one loads it, the latency of one load while another job runs, and the peak memory of
//! a process. So the real binary runs as a child, and a load generator of our own, thinner than any client library,
//! asks it over keep-alive connections. The static floor is asked by the same generator, so that its cost is in both.

mod children;
mod connection;
mod load;
mod measure;
mod postgres;
mod raw;
mod report;
mod support;
mod workload;

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use measure::{Bench, Measurement};
use support::postgres::is_installed;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Records in the large space.
    records: u64,
    /// Times each pair of floor and measurement is run; the median counts.
    rounds: usize,
    /// How long a round of requests is.
    round: Duration,
    /// Whether it only has to show that it works.
    quick: bool,
}

impl Scale {
    fn from_environment(quick: bool) -> Result<Self> {
        let records = match env::var("STRANDLINE_BENCH_RECORDS") {
            Ok(text) => text.parse().map_err(|error| format!("STRANDLINE_BENCH_RECORDS: {error}"))?,
            Err(_) if quick => 10_000,
            Err(_) => 1_000_000,
        };
        if quick {
            return Ok(Self { records, rounds: 1, round: Duration::from_millis(300), quick });
        }
        Ok(Self { records, rounds: 3, round: Duration::from_secs(3), quick })
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some(children::STATIC) => children::serve_static(),
        _ => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    // Cargo says `--bench` when it was asked for a benchmark. Run as a test, it only has to show that it works.
    let quick = arguments.iter().any(|argument| argument == "--quick") || !arguments.iter().any(|a| a == "--bench");
    let wanted: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let mut bench = Bench::new(Scale::from_environment(quick)?);
    let is_wanted = |(name, _): &&Measurement| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    // Where there is no PostgreSQL, what is asked of it says so.
    let postgres = measure::POSTGRES.iter().filter(is_wanted).filter(|_| is_installed());
    for (name, measure) in measure::SQLITE.iter().filter(is_wanted).chain(postgres) {
        eprintln!("{name} …");
        measure(&mut bench).map_err(|error| format!("{name}: {error}"))?;
    }
    println!("{}", bench.report());
    Ok(())
}
