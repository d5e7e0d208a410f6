//! The search for a scenario that breaks a promise.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::ledger::{Broken, Kept};
use super::scenario::{Step, scenario};

/// The longest scenario, in steps.
const LONGEST: usize = 60;

/// A scenario that breaks a promise, as short as shrinking makes it, and how.
pub struct Found {
    pub steps: Vec<Step>,
    pub how: String,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.steps.iter().enumerate().try_for_each(|(index, step)| writeln!(f, "  {index}: {step:?}"))?;
        write!(f, "  {}", self.how)
    }
}

/// Plays `cases` scenarios, the same for the same seed, until one breaks a promise.
pub fn search(seed: u64, cases: u32, play: impl Fn(&[Step]) -> Kept) -> Option<Found> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&scenario(LONGEST), |steps| play(&steps).map_err(|Broken(how)| TestCaseError::fail(how)));
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(_, steps)) => {
            let how = play(&steps).err().map_or_else(|| "not broken the second time".into(), |Broken(how)| how);
            Some(Found { steps, how })
        }
        Err(TestError::Abort(why)) => panic!("the search gave up: {why}"),
    }
}
