//! Runs: a set of revisions as alternating `skip, take` counts (PROTOCOL.md §1).

use std::ops::RangeInclusive;

use super::Rev;

/// A set of revisions. `[0,50,3,100]` is 1–50 and 54–153.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs(Vec<u64>);

/// Why an array of counts is no set of revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunsFault {
    /// A `skip` without its `take`.
    #[error("runs come in pairs of skip and take: this array has an odd length")]
    Odd,
    /// A zero that is not the first `skip`.
    #[error("the count at index {0} is 0: only the first skip may be")]
    Zero(usize),
    /// It ends beyond 2^53 - 1.
    #[error("the runs go beyond the last revision, 9007199254740991")]
    TooFar,
}

impl Runs {
    /// Checks an array as it came over the wire.
    ///
    /// # Errors
    /// [`RunsFault`], with the index where that helps.
    pub fn new(counts: Vec<u64>) -> Result<Self, RunsFault> {
        if !counts.len().is_multiple_of(2) {
            return Err(RunsFault::Odd);
        }
        let mut end = 0_u64;
        for (index, count) in counts.iter().enumerate() {
            if *count == 0 && index > 0 {
                return Err(RunsFault::Zero(index));
            }
            end = end.saturating_add(*count);
            if end > Rev::MAX.get() {
                return Err(RunsFault::TooFar);
            }
        }
        Ok(Self(counts))
    }

    /// The counts, as they travel.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.0
    }

    /// How many revisions are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.iter().skip(1).step_by(2).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The runs as ranges of revisions, both ends included, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let mut end = 0;
        self.0.as_chunks::<2>().0.iter().map(move |[skip, take]| {
            let first = end + skip + 1;
            end = first + take - 1;
            first..=end
        })
    }
}

/// Collects revisions in ascending order; one that is not above the last is left out, being there already.
impl Runs {
    /// The first `count` revisions, and the rest.
    #[must_use]
    pub fn split_at(&self, count: u64) -> (Self, Self) {
        let (mut left, mut head, mut tail) = (count, Vec::new(), Vec::new());
        for range in self.ranges() {
            let (first, last) = range.into_inner();
            let taken = left.min(last - first + 1);
            if taken > 0 {
                head.push(first..=first + taken - 1);
            }
            if first + taken <= last {
                tail.push(first + taken..=last);
            }
            left -= taken;
        }
        (head.into_iter().collect(), tail.into_iter().collect())
    }

    /// Those from `rev` on.
    #[must_use]
    pub fn from_rev(&self, rev: Rev) -> Self {
        self.ranges().map(|range| rev.get().max(*range.start())..=*range.end()).collect()
    }
}

impl FromIterator<RangeInclusive<u64>> for Runs {
    /// From ranges in ascending order. Those that overlap or touch what came before are joined to it.
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u64>>>(ranges: I) -> Self {
        let mut counts: Vec<u64> = Vec::new();
        let mut end = 0_u64;
        for range in ranges {
            let (first, last) = (range.start().max(&(end + 1)).to_owned(), *range.end());
            if first > last {
                continue;
            }
            match counts.last_mut() {
                Some(take) if first == end + 1 => *take += last - end,
                _ => counts.extend([first - end - 1, last - first + 1]),
            }
            end = last;
        }
        Self(counts)
    }
}

impl FromIterator<Rev> for Runs {
    fn from_iter<I: IntoIterator<Item = Rev>>(revs: I) -> Self {
        let mut counts: Vec<u64> = Vec::new();
        let mut end = 0_u64;
        for rev in revs.into_iter().map(Rev::get) {
            match counts.last_mut() {
                _ if rev <= end => continue,
                Some(take) if rev == end + 1 => *take += 1,
                _ => counts.extend([rev - end - 1, 1]),
            }
            end = rev;
        }
        Self(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_protocol() {
        let runs = Runs::new(vec![0, 50, 3, 100]).unwrap();
        assert_eq!(runs.ranges().collect::<Vec<_>>(), [1..=50, 54..=153]);
        assert_eq!(runs.len(), 150);
        assert!(Runs::new(vec![]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for (counts, fault) in [
            (vec![1], RunsFault::Odd),
            (vec![0, 0], RunsFault::Zero(1)),
            (vec![1, 2, 0, 1], RunsFault::Zero(2)),
            (vec![u64::MAX, 1], RunsFault::TooFar),
            (vec![0, Rev::MAX.get() + 1], RunsFault::TooFar),
        ] {
            assert_eq!(Runs::new(counts.clone()), Err(fault), "{counts:?}");
        }
        assert!(Runs::new(vec![0, Rev::MAX.get()]).is_ok());
    }

    proptest! {
        #[test]
        fn a_set_is_split_as_its_members_are(
            set in proptest::collection::btree_set(1_u64..200, 0..100), count in 0_u64..120, from in 0_u64..220
        ) {
            let of = |revs: &[u64]| revs.iter().map(|r| Rev::new(*r).unwrap()).collect::<Runs>();
            let revs: Vec<u64> = set.into_iter().collect();
            let at = usize::try_from(count).unwrap().min(revs.len());
            prop_assert_eq!(of(&revs).split_at(count), (of(&revs[..at]), of(&revs[at..])));
            let rest: Vec<u64> = revs.iter().copied().filter(|rev| *rev >= from).collect();
            prop_assert_eq!(of(&revs).from_rev(Rev::new(from).unwrap()), of(&rest));
        }

        #[test]
        fn a_set_comes_back_as_it_went(set in proptest::collection::btree_set(1_u64..400, 0..200)) {
            let runs: Runs = set.iter().map(|r| Rev::new(*r).unwrap()).collect();
            prop_assert_eq!(runs.len(), set.len() as u64);
            prop_assert_eq!(runs.ranges().flatten().collect::<Vec<_>>(), set.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(Runs::new(runs.counts().to_vec()), Ok(runs));
        }
    }
}
