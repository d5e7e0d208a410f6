//! Clients as the server knows them: who was last seen where (PROTOCOL.md §7).

use super::pull::{Page, Pulled, Reason, check_history};
use super::{ClientName, CollectionName, Collections, Cursor, Progress, Rev, Since, SpaceState, Tally, Timestamp};

/// Where a client that names itself was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownClient {
    /// Its name.
    pub name: ClientName,
    /// Where it was.
    pub place: Place,
    /// What it says it is (`User-Agent`), cut short.
    pub agent: Option<Box<str>>,
    /// When.
    pub seen_at: Timestamp,
}

/// As of when a client asked, and for what.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The revision of the last `since` or push cursor that it sent; of an initial sync, the head at its start.
    pub rev: Rev,
    /// That cursor as it was sent, if it was one.
    pub cursor: Option<Cursor>,
    /// What it asked for; `None` for the whole space.
    pub collections: Option<Collections>,
}

/// The revision that a cursor stands for: of an initial sync, the head at its start.
#[must_use]
pub fn rev_of(cursor: &Cursor) -> Rev {
    match cursor.progress {
        Progress::Initial { start } => start,
        Progress::Whole | Progress::Delta => cursor.rev,
    }
}

/// The revision that a client has who asked as of `since` and was answered so; `None` where that is not known: a time
/// that was answered with a 410.
#[must_use]
pub fn rev_of_pull(since: &Since, pulled: &Pulled) -> Option<Rev> {
    match since {
        Since::Cursor(cursor) => Some(rev_of(cursor)),
        Since::Rev(rev) => Some(*rev),
        Since::Nothing | Since::Now => Some(head(pulled)),
        Since::Time(_) => match pulled {
            // Nothing of these collections lies between that time and the first change after it.
            Pulled::Page(Page { changes, head, .. }) => {
                Some(changes.first().map_or(*head, |first| first.rev.previous()))
            }
            Pulled::NotModified { head, .. } => Some(*head),
            Pulled::Resync(_) => None,
        },
    }
}

impl Place {
    /// Whether it asked for this collection.
    #[must_use]
    pub fn covers(&self, collection: &CollectionName) -> bool {
        self.collections.as_ref().is_none_or(|choice| choice.contains(collection))
    }

    /// Whether it is of the present history: otherwise its client has to repair itself whatever is purged.
    #[must_use]
    pub fn is_of_this_history(&self, state: &SpaceState) -> bool {
        self.cursor.is_none_or(|cursor| match check_history(&cursor, state, &Tally::default()) {
            Ok(()) => true,
            Err(resync) => !matches!(resync.reason, Reason::Epoch | Reason::Ahead),
        })
    }

    /// Whether a client there is behind the horizon of what it asked for, where a purge has raised the horizons of
    /// collections to `horizon`.
    #[must_use]
    pub fn is_behind(&self, state: &SpaceState, horizon: impl Fn(&CollectionName) -> Rev) -> bool {
        let horizon = state.collections.keys().filter(|name| self.covers(name)).map(horizon).max();
        horizon.is_some_and(|horizon| self.rev < horizon) && self.is_of_this_history(state)
    }
}

/// The head of the space that answered.
#[must_use]
pub fn head(pulled: &Pulled) -> Rev {
    match pulled {
        Pulled::Page(page) => page.head,
        Pulled::NotModified { head, .. } => *head,
        Pulled::Resync(resync) => resync.head,
    }
}

/// How far a client is behind, told by the number of decimal digits: 0 for not at all, 1 for 1 to 9 revisions, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LagBucket(u8);

impl LagBucket {
    /// How many there are: a revision has 16 digits at the most.
    pub const COUNT: usize = 17;

    /// The bucket of a client at `rev`.
    #[must_use]
    pub fn of(rev: Rev, head: Rev) -> Self {
        let lag = head.get().saturating_sub(rev.get());
        Self(lag.checked_ilog10().map_or(0, |log| u8::try_from(log + 1).unwrap_or(0)))
    }

    /// The bucket of that number, as it is stored.
    #[must_use]
    pub fn from_stored(number: i64) -> Self {
        Self(u8::try_from(number).unwrap_or(0).min(16))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The least and the greatest lag in it, in revisions.
    #[must_use]
    pub fn range(self) -> (u64, u64) {
        let power = |exponent: u8| 10_u64.saturating_pow(u32::from(exponent));
        if self.0 == 0 { (0, 0) } else { (power(self.0 - 1), power(self.0) - 1) }
    }
}

/// Pulls by clients that do not name themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnonymousPulls {
    /// How far behind they were.
    pub bucket: LagBucket,
    /// How many.
    pub pulls: u64,
    /// When the last one was.
    pub seen_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_falls_into_the_bucket_of_its_digits() {
        let rev = |n| Rev::new(n).unwrap();
        for (lag, bucket, range) in
            [(0, 0, (0, 0)), (1, 1, (1, 9)), (9, 1, (1, 9)), (10, 2, (10, 99)), (12_345, 5, (10_000, 99_999))]
        {
            let found = LagBucket::of(rev(7), rev(7 + lag));
            assert_eq!((found.number(), found.range()), (bucket, range), "{lag}");
        }
        assert_eq!(LagBucket::of(Rev::MAX, rev(1)).number(), 0);
        assert!(usize::from(LagBucket::of(Rev::ZERO, Rev::MAX).number()) < LagBucket::COUNT);
    }
}
