//! What a store counts of itself while it works, and what it can say of itself without asking the database.
//!
//! Everything that is written to on the way of a request is an atomic number; nothing is computed before somebody looks.
//! Who looks, and what he makes of it, the store does not know.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A store's numbers at one moment, all of them since it was opened or as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meters {
    /// Its writes.
    pub writes: WriteMeters,
    /// Its connections, by what they are for.
    pub pools: Vec<PoolMeters>,
    /// How it hears of other nodes, where there may be some.
    pub listener: Option<ListenerMeters>,
}

/// Writes: pushes, single records, steps of a purge on SQLite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteMeters {
    /// Those that wait for a transaction.
    pub waiting: u64,
    /// As many may wait.
    pub limit: u64,
    /// Those turned away because as many waited.
    pub refused: u64,
    /// Writes that shared a transaction.
    pub group_sizes: Spread,
    /// Microseconds of such transactions, from the begin to the end of the commit.
    pub group_micros: Spread,
    /// Microseconds of their commits alone: the flush to the disk.
    pub commit_micros: Spread,
}

/// The connections of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolMeters {
    /// What they are for: `read`, `write`, or `standby`.
    pub name: &'static str,
    /// How many there may be.
    pub limit: u64,
    /// Those at work.
    pub in_use: u64,
    /// Those that are open and have nothing to do.
    pub idle: u64,
    /// How many callers wait for one.
    pub waiting: u64,
}

/// The connection on which a node hears of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerMeters {
    /// Whether it hears them now.
    pub connected: bool,
    /// How often the connection was lost.
    pub losses: u64,
}

/// What [`Distribution::read`] saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// For each upper bound, which it includes, the values up to it that are above the bound before.
    pub buckets: Vec<(u64, u64)>,
    /// Values above the last bound.
    pub above: u64,
    /// The sum of all values.
    pub sum: u64,
}

/// How often values of some size occurred.
#[derive(Debug)]
pub struct Distribution {
    bounds: &'static [u64],
    /// One for each bound, and one for what is above the last.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Distribution {
    /// Of times, to be given in microseconds: from a quarter of a millisecond to ten seconds.
    #[must_use]
    pub fn of_micros() -> Self {
        Self::new(&[
            250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
            10_000_000,
        ])
    }

    /// Of numbers of things that are done together.
    #[must_use]
    pub fn of_sizes() -> Self {
        Self::new(&[1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
    }

    fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { bounds, counts, sum: AtomicU64::default() }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a time, where this is a distribution of microseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Spread {
        let mut counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets = self.bounds.iter().copied().zip(counts.by_ref()).collect();
        Spread { buckets, above: counts.next().unwrap_or(0), sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// What a backend's writer counts.
#[derive(Debug)]
pub(super) struct WriteCounts {
    refused: AtomicU64,
    sizes: Distribution,
    groups: Distribution,
    commits: Distribution,
}

impl Default for WriteCounts {
    fn default() -> Self {
        Self {
            refused: AtomicU64::default(),
            sizes: Distribution::of_sizes(),
            groups: Distribution::of_micros(),
            commits: Distribution::of_micros(),
        }
    }
}

impl WriteCounts {
    /// A write was turned away.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A group of `size` writes is durable, after `whole`, of which the commit alone took `commit`.
    pub fn committed(&self, size: usize, whole: Duration, commit: Duration) {
        self.sizes.observe(size as u64);
        self.groups.observe_time(whole);
        self.commits.observe_time(commit);
    }

    /// What was counted so far, beside what is so now.
    pub fn read(&self, waiting: usize, limit: usize) -> WriteMeters {
        WriteMeters {
            waiting: waiting as u64,
            limit: limit as u64,
            refused: self.refused.load(Ordering::Relaxed),
            group_sizes: self.sizes.read(),
            group_micros: self.groups.read(),
            commit_micros: self.commits.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_at_the_first_bound_that_it_does_not_exceed() {
        let sizes = Distribution::of_sizes();
        for size in [1, 2, 3, 4, 512, 513] {
            sizes.observe(size);
        }
        let spread = sizes.read();
        let filled: Vec<_> = spread.buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(1, 1), (2, 1), (4, 2), (512, 1)]);
        assert_eq!((spread.above, spread.sum), (1, 1_035));
    }
}
