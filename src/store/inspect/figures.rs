//! What the rows of a space say about the numbers that are kept of it: heads, horizons and counts (DESIGN: what must
//! always hold, 2 and 3).
//!
//! **Heads.** A change gets the next revision, and sets its space's head and its collection's to it. Its row stays at that
//! revision until the record changes again, which raises the head, or until it is purged as a tombstone, which raises the
//! horizon to it. So a collection's head is exactly the greater of its newest row's revision and its horizon, though it may
//! well be above its newest row; and a space's head is exactly the greatest of its collections' heads.
//!
//! - A head that is too low is raised to what the rows prove.
//! - A collection's head above its rows and its horizon means that a row is gone from there, or the horizon was lowered.
//!   Which, no row tells. To raise the horizon to the head is right for both: whoever has not heard of that revision compares
//!   sets, and can only be better off. Where not even the space's head reaches there, the number itself is the fault.
//! - No head is lowered: what was given out once must not be given out again.
//!
//! **Horizons.** A horizon that is too low cannot be known to be, save by the head as above: what it does not know of is
//! gone. One that is too high below the head cannot be known either, and costs repairs alone. One above every revision is
//! wrong for sure, and would send each client through repairs for ever: it becomes the collection's head, the highest that
//! it can have been. A purge takes the oldest tombstones of a collection first, so that none remains at or below its horizon;
//! those that do are of use to nobody, as nobody below a horizon is served a delta.

use super::fault::Fault;
use super::finding::Finding;
use crate::domain::Checksum;

/// A row of `collections`, as it is stored or as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// See [`CollectionState`](crate::domain::CollectionState), here and below.
    pub head: i64,
    /// Live records.
    pub live: i64,
    /// Tombstones.
    pub tombstones: i64,
    /// The checksum's bits.
    pub checksum: i64,
    /// Bytes of live records.
    pub live_bytes: i64,
    /// Bytes of tombstones.
    pub tombstone_bytes: i64,
    /// The horizon.
    pub horizon: i64,
    /// Its time.
    pub horizon_at: i64,
}

/// What was counted of a collection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// The newest row's revision.
    pub newest: i64,
    /// Live records, and bytes of them.
    pub live: (i64, i64),
    /// Tombstones, and bytes of them.
    pub tombstones: (i64, i64),
    /// Those of them that lie at or below the horizon.
    pub stale: (i64, i64),
    /// Of the live records' revisions.
    pub checksum: Checksum,
}

/// What is right for a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// Its row. `horizon_at` is still as stored.
    pub figures: Figures,
    /// Whether tombstones at or below its horizon are there and must go.
    pub purge: bool,
    /// Whether its head proves anything about its space's.
    pub head_counts: bool,
}

/// What is right for a collection, where `top` is the greater of its space's head and newest row.
pub fn right(stored: &Figures, counted: &Counted, top: i64) -> Right {
    let beyond = stored.horizon > top && stored.horizon > stored.head.max(counted.newest);
    let mut horizon = if beyond { stored.head.max(counted.newest) } else { stored.horizon.max(0) };
    let proven = counted.newest.max(horizon);
    let head = stored.head.max(proven);
    let head_counts = head == proven || head <= top;
    if head > proven && head_counts {
        horizon = head;
    }
    // A horizon that moved has moved to the newest row or beyond it.
    let stale = if horizon == stored.horizon { counted.stale } else { counted.tombstones };
    let purge = stale.0 > 0;
    let figures = Figures {
        head,
        live: counted.live.0,
        tombstones: counted.tombstones.0 - stale.0,
        checksum: counted.checksum.to_stored(),
        live_bytes: counted.live.1,
        tombstone_bytes: counted.tombstones.1 - stale.1,
        horizon,
        horizon_at: stored.horizon_at,
    };
    Right { figures, purge, head_counts }
}

/// Where `stored` is not what it should be, times aside.
pub fn differences(stored: &Figures, counted: &Counted, right: &Right) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut compare = |fault, stored: i64, rows: i64| {
        if stored != rows {
            findings.push(Finding::of(fault).stored(stored).rows(rows));
        }
    };
    // What is stored counts the stale tombstones, if it is right.
    compare(Fault::LiveCount, stored.live, counted.live.0);
    compare(Fault::TombstoneCount, stored.tombstones, counted.tombstones.0);
    compare(Fault::LiveBytes, stored.live_bytes, counted.live.1);
    compare(Fault::TombstoneBytes, stored.tombstone_bytes, counted.tombstones.1);
    compare(Fault::CollectionHeadLow, stored.head, right.figures.head);
    let moved = if right.figures.horizon < stored.horizon { Fault::HorizonHigh } else { Fault::HorizonLow };
    compare(moved, stored.horizon, right.figures.horizon);
    if stored.checksum != right.figures.checksum {
        let stored = Checksum::from_stored(stored.checksum);
        findings.push(Finding::of(Fault::Checksum).stored(stored).rows(counted.checksum));
    }
    if !right.head_counts {
        let proven = counted.newest.max(right.figures.horizon);
        findings.push(Finding::of(Fault::CollectionHeadHigh).stored(stored.head).rows(proven));
    }
    if counted.stale.0 > 0 {
        findings.push(Finding::of(Fault::StaleTombstones).stored(stored.horizon).count(counted.stale.0.unsigned_abs()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(head: i64, horizon: i64, newest: i64, top: i64) -> (i64, i64, bool) {
        let stored = Figures { head, horizon, ..Figures::default() };
        let right = right(&stored, &Counted { newest, ..Counted::default() }, top);
        (right.figures.head, right.figures.horizon, right.head_counts)
    }

    #[test]
    fn heads_and_horizons_are_put_where_nobody_can_miss_anything() {
        for (what, head, horizon, newest, top, becomes) in [
            ("as it should be", 9, 4, 9, 12, (9, 4, true)),
            ("the newest was purged", 9, 9, 5, 12, (9, 9, true)),
            ("nothing was ever there", 0, 0, 0, 12, (0, 0, true)),
            ("the head is below its newest row", 7, 4, 9, 12, (9, 4, true)),
            ("the head is below its horizon", 7, 9, 5, 12, (9, 9, true)),
            ("the newest row is gone, or the horizon was lowered", 9, 4, 5, 12, (9, 9, true)),
            ("the horizon is beyond everything", 9, 5000, 9, 12, (9, 9, true)),
            ("the head is beyond everything", 5000, 4, 9, 12, (5000, 4, false)),
            ("the space's head is too low, and head and horizon say so", 20, 20, 9, 12, (20, 20, true)),
            ("the space's head is too low, and a row says so", 20, 4, 20, 20, (20, 4, true)),
        ] {
            assert_eq!(settled(head, horizon, newest, top), becomes, "{what}");
        }
    }

    #[test]
    fn a_horizon_that_moves_takes_along_the_tombstones_below_it() {
        let stored = Figures { head: 9, horizon: 4, tombstones: 3, tombstone_bytes: 6, ..Figures::default() };
        let counted = Counted { newest: 9, tombstones: (3, 6), stale: (1, 2), ..Counted::default() };
        let one = right(&stored, &counted, 12);
        assert_eq!((one.figures.tombstones, one.figures.tombstone_bytes, one.purge), (2, 4, true));
        let all = right(&Figures { head: 10, ..stored }, &counted, 12);
        assert_eq!((all.figures.horizon, all.figures.tombstones, all.purge), (10, 0, true));
        assert_eq!(differences(&stored, &counted, &one).len(), 1, "what is stored counts them, rightly");
    }
}
