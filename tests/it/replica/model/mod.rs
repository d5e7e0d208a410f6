//! The model test of the Rust replica: two devices and a stranger edit one space of a real server, while syncs are cut at
//! every request and at every commit to the local file, tombstones are purged, and the server is put back from backups.
//!
//! A failure prints its seed and the shortest scenario. `STRANDLINE_MODEL_SEED=… STRANDLINE_MODEL_CASES=…` plays the same
//! ones again, or more.

mod device;
mod scenario;
mod server;
mod world;

use std::time::{Instant, SystemTime};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::support::say;
use scenario::scenario;

const LONGEST: usize = 40;
const THREADS: u64 = 2;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// Plays `cases` scenarios, the same for the same seed.
fn search(seed: u64, cases: u32) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1_500, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let played = runner.run(&scenario(LONGEST), |steps| world::play(&steps).map_err(TestCaseError::fail));
    match played {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => {
            let steps: Vec<String> = steps.iter().enumerate().map(|(at, step)| format!("  {at}: {step:?}\n")).collect();
            let steps = steps.concat();
            panic!("STRANDLINE_MODEL_SEED={seed}: a promise is broken:\n{steps}  {why}");
        }
        Err(TestError::Abort(why)) => panic!("the search gave up: {why}"),
    }
}

#[test]
fn a_replica_keeps_its_promises() {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = from_environment("STRANDLINE_MODEL_SEED").unwrap_or(time.as_secs() * THREADS);
    let cases = from_environment("STRANDLINE_MODEL_CASES").unwrap_or(1_000);
    let begun = Instant::now();
    say(&format!("replica: seeds {seed} to {}", seed + THREADS - 1));
    std::thread::scope(|scope| {
        for seed in seed..seed + THREADS {
            scope.spawn(move || search(seed, u32::try_from(cases.div_ceil(THREADS)).unwrap()));
        }
    });
    say(&format!("replica: {cases} cases in {:?}", begun.elapsed()));
}
