//! How fast the compactor goes: steps so short that a push hardly notices one, and rests that grow with what others wait.

use std::time::Duration;

/// How long a step is to take: so long a push may wait for it.
const STEP: Duration = Duration::from_millis(8);
/// Rows of the first step, and how many they may become.
const FIRST: usize = 250;
const FEWEST: usize = 20;
const MOST: usize = 2_000;
/// A rest is this many times as long as the step was, so that the compactor uses a part of the store only.
const REST: u32 = 2;
/// … and this many times as long as the step had to wait for its turn: so long do pushes wait too, and each step makes
/// it longer.
const YIELD: u32 = 4;
/// No rest is longer.
const LONGEST: Duration = Duration::from_secs(2);

/// The pace of one purge.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rows: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: FIRST }
    }
}

impl Pace {
    /// How many rows the next step is to take at the most.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Takes account of a step that took so long, of which it waited a part for its turn, and says how long to rest.
    pub fn after(&mut self, took: Duration, waited: Duration) -> Duration {
        let held = took.saturating_sub(waited);
        if held > STEP {
            // What is left of a step that was twice too long is half of it.
            let share = STEP.as_secs_f64() / held.as_secs_f64();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a part of a small number"
            )]
            let fewer = (self.rows as f64 * share) as usize;
            self.rows = fewer.max(self.rows / 2);
        } else if held < STEP / 2 {
            self.rows += self.rows / 4;
        }
        self.rows = self.rows.clamp(FEWEST, MOST);
        (held * REST + waited * YIELD).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_to_take_as_long_as_they_are_to() {
        let mut pace = Pace::default();
        for micros_a_row in [100, 4, 1_000] {
            for _ in 0..40 {
                let rows = u32::try_from(pace.rows()).unwrap();
                pace.after(Duration::from_micros(micros_a_row) * rows, Duration::ZERO);
            }
            let took = Duration::from_micros(micros_a_row) * u32::try_from(pace.rows()).unwrap();
            let is_bounded = pace.rows() == FEWEST || pace.rows() == MOST;
            assert!(is_bounded || (STEP / 4..=STEP).contains(&took), "{micros_a_row}: {pace:?}");
        }
    }

    #[test]
    fn the_longer_others_wait_the_longer_is_the_rest() {
        let rest = |waited| Pace::default().after(STEP + waited, waited);
        assert_eq!(rest(Duration::ZERO), STEP * REST);
        assert!(rest(Duration::from_millis(100)) > Duration::from_millis(400));
        assert_eq!(rest(Duration::from_mins(1)), LONGEST);
    }
}
