//! How far the compactor is: plain atomics that it writes and anybody may read.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::store::{Distribution, GivenBack, Purged, Spread};

/// What the compactor of this process did since it started, and what it is about.
#[derive(Debug)]
pub struct Progress {
    steps: Distribution,
    tombstones: AtomicU64,
    bytes: AtomicU64,
    swept: AtomicU64,
    pages: AtomicU64,
    waited_micros: AtomicU64,
    rested_micros: AtomicU64,
    left: AtomicU64,
    rounds: AtomicU64,
    failed_rounds: AtomicU64,
    last_round: AtomicI64,
    leads: AtomicBool,
}

/// What [`Progress::read`] saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Microseconds of steps, from their order to their end. On SQLite a step waits in the writer's queue like a push.
    pub step_micros: Spread,
    /// Tombstones purged.
    pub tombstones: u64,
    /// Bytes of their ids.
    pub bytes: u64,
    /// Rows removed of spaces that were deleted.
    pub swept: u64,
    /// Pages of free space given back to the system.
    pub pages: u64,
    /// Time that steps waited for their turn among writes.
    pub waited: Duration,
    /// Time rested between steps, so that others have their turn.
    pub rested: Duration,
    /// Tombstones that are due where a purge is under way.
    pub left: u64,
    /// Rounds over all spaces that came to their end.
    pub rounds: u64,
    /// Rounds that an error ended.
    pub failed_rounds: u64,
    /// When the last round came to its end.
    pub last_round: Option<Timestamp>,
    /// Whether this process was the one to compact, when it last asked.
    pub leads: bool,
}

/// What a purge has left to do.
pub(super) struct Due<'p> {
    progress: &'p Progress,
    left: u64,
}

impl Due<'_> {
    /// So many of them are gone.
    pub fn less(&mut self, tombstones: u64) {
        let gone = tombstones.min(self.left);
        self.left -= gone;
        self.progress.left.fetch_sub(gone, Ordering::Relaxed);
    }
}

impl Drop for Due<'_> {
    fn drop(&mut self) {
        self.less(u64::MAX);
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            steps: Distribution::of_micros(),
            tombstones: AtomicU64::default(),
            bytes: AtomicU64::default(),
            swept: AtomicU64::default(),
            pages: AtomicU64::default(),
            waited_micros: AtomicU64::default(),
            rested_micros: AtomicU64::default(),
            left: AtomicU64::default(),
            rounds: AtomicU64::default(),
            failed_rounds: AtomicU64::default(),
            last_round: AtomicI64::new(i64::MIN),
            leads: AtomicBool::default(),
        }
    }
}

impl Progress {
    /// A step of a purge was done.
    pub(super) fn purged(&self, step: &Purged, took: Duration) {
        self.steps.observe_time(took);
        self.tombstones.fetch_add(step.tombstones, Ordering::Relaxed);
        self.bytes.fetch_add(step.bytes, Ordering::Relaxed);
        add(&self.waited_micros, step.waited);
    }

    /// So many tombstones are due in a purge that is under way, until what this answers is dropped.
    pub(super) fn due(&self, tombstones: u64) -> Due<'_> {
        self.left.fetch_add(tombstones, Ordering::Relaxed);
        Due { progress: self, left: tombstones }
    }

    /// A step removed so many rows of deleted spaces.
    pub(super) fn swept(&self, rows: usize, took: Duration) {
        self.steps.observe_time(took);
        self.swept.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// A step gave free space back.
    pub(super) fn gave_back(&self, step: GivenBack, took: Duration) {
        self.steps.observe_time(took);
        self.pages.fetch_add(step.pages, Ordering::Relaxed);
        add(&self.waited_micros, step.waited);
    }

    /// Rests, so that others have their turn.
    pub(super) async fn rest(&self, time: Duration) {
        tokio::time::sleep(time).await;
        add(&self.rested_micros, time);
    }

    /// Whether this process is the one to compact.
    pub(super) fn leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    /// A round came to its end.
    pub(super) fn round_ended(&self, now: Timestamp) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.last_round.store(now.micros(), Ordering::Relaxed);
    }

    /// An error ended a round.
    pub(super) fn round_failed(&self) {
        self.failed_rounds.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it, as it is now.
    #[must_use]
    pub fn read(&self) -> Account {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let last = self.last_round.load(Ordering::Relaxed);
        Account {
            step_micros: self.steps.read(),
            tombstones: read(&self.tombstones),
            bytes: read(&self.bytes),
            swept: read(&self.swept),
            pages: read(&self.pages),
            waited: Duration::from_micros(read(&self.waited_micros)),
            rested: Duration::from_micros(read(&self.rested_micros)),
            left: read(&self.left),
            rounds: read(&self.rounds),
            failed_rounds: read(&self.failed_rounds),
            last_round: (last != i64::MIN).then(|| Timestamp::from_micros(last)),
            leads: self.leads.load(Ordering::Relaxed),
        }
    }
}

fn add(micros: &AtomicU64, time: Duration) {
    micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}
