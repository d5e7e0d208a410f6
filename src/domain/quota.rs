//! How much a space may hold. The disk's end is another matter: it is nobody's rule.
//!
//! A quota is judged by what a whole write would leave behind: it refuses what leaves a space above it *and* fuller than
//! before in that measure. So whoever is above it, since it was lowered, can still make room step by step.

use std::fmt;

use super::{CollectionState, Document};

/// What there may be; `None` where nothing bounds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Live records of the space.
    pub records: Option<u64>,
    /// Bytes of their ids and data, as its collections count them.
    pub bytes: Option<u64>,
    /// Bytes of one record's data.
    pub record_bytes: Option<u64>,
}

/// What a quota is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// See [`Quota::records`].
    Records,
    /// See [`Quota::bytes`].
    Bytes,
    /// See [`Quota::record_bytes`].
    RecordBytes,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Records, Self::Bytes, Self::RecordBytes];

    /// Its word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Bytes => "bytes",
            Self::RecordBytes => "record_bytes",
        }
    }
}

/// What a space says of one measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allowance {
    /// Nothing: the server's default counts.
    #[default]
    Default,
    /// No quota, whatever the default is.
    Unlimited,
    /// This one, at most `i64::MAX`: a database counts with signed numbers.
    Limited(u64),
}

impl Allowance {
    fn under(self, default: Option<u64>) -> Option<u64> {
        match self {
            Self::Default => default,
            Self::Unlimited => None,
            Self::Limited(limit) => Some(limit),
        }
    }

    /// As a column has it: nothing for the default, below zero for no quota.
    #[must_use]
    pub fn to_stored(self) -> Option<i64> {
        match self {
            Self::Default => None,
            Self::Unlimited => Some(-1),
            Self::Limited(limit) => Some(i64::try_from(limit).unwrap_or(i64::MAX)),
        }
    }

    /// The other way round.
    #[must_use]
    pub fn from_stored(stored: Option<i64>) -> Self {
        match stored.map(u64::try_from) {
            None => Self::Default,
            Some(Ok(limit)) => Self::Limited(limit),
            Some(Err(_)) => Self::Unlimited,
        }
    }
}

/// What a space says of all measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaRule {
    /// See [`Quota::records`].
    pub records: Allowance,
    /// See [`Quota::bytes`].
    pub bytes: Allowance,
    /// See [`Quota::record_bytes`].
    pub record_bytes: Allowance,
}

impl QuotaRule {
    /// What counts, where the server has these defaults.
    #[must_use]
    pub fn under(self, default: Quota) -> Quota {
        Quota {
            records: self.records.under(default.records),
            bytes: self.bytes.under(default.bytes),
            record_bytes: self.record_bytes.under(default.record_bytes),
        }
    }
}

/// What is to change of a space's rule; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaChange {
    /// See [`Quota::records`].
    pub records: Option<Allowance>,
    /// See [`Quota::bytes`].
    pub bytes: Option<Allowance>,
    /// See [`Quota::record_bytes`].
    pub record_bytes: Option<Allowance>,
}

impl QuotaChange {
    /// `rule` with the change made.
    #[must_use]
    pub fn applied_to(self, rule: QuotaRule) -> QuotaRule {
        QuotaRule {
            records: self.records.unwrap_or(rule.records),
            bytes: self.bytes.unwrap_or(rule.bytes),
            record_bytes: self.record_bytes.unwrap_or(rule.record_bytes),
        }
    }
}

/// What a space holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Live records.
    pub records: u64,
    /// Bytes of their ids and data.
    pub bytes: u64,
}

impl Usage {
    /// What these collections, or all of a space's together, hold.
    #[must_use]
    pub fn of(tally: &CollectionState) -> Self {
        Self { records: tally.live, bytes: tally.live_bytes }
    }

    /// Counts that a record with an id of so many bytes gets other data; `None` is a record that is not there.
    pub fn replace(&mut self, id_bytes: usize, before: Option<&Document>, after: Option<&Document>) {
        let bytes = |data: &Document| (id_bytes + data.len()) as u64;
        self.records = (self.records + u64::from(after.is_some())).saturating_sub(u64::from(before.is_some()));
        self.bytes = (self.bytes + after.map_or(0, bytes)).saturating_sub(before.map_or(0, bytes));
    }
}

/// What a quota stands against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Which quota.
    pub measure: Measure,
    /// Its value.
    pub limit: u64,
    /// What is there: in the space, or in the record.
    pub held: u64,
    /// What would be there.
    pub would_hold: u64,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, limit, held, would_hold } = self;
        match measure {
            Measure::Records => {
                write!(f, "the space holds {held} records and would hold {would_hold}, its quota is {limit}")
            }
            Measure::Bytes => {
                write!(f, "the space holds {held} bytes of records and would hold {would_hold}, its quota is {limit}")
            }
            Measure::RecordBytes => {
                write!(f, "the record's data has {would_hold} bytes, the space's quota for one record is {limit}")
            }
        }
    }
}

impl Quota {
    /// Whether a write may change what the space holds from `held` to `then`.
    ///
    /// # Errors
    /// The first quota that stands against it.
    pub fn admit(&self, held: Usage, then: Usage) -> Result<(), Excess> {
        admit(Measure::Records, self.records, held.records, then.records)?;
        admit(Measure::Bytes, self.bytes, held.bytes, then.bytes)
    }

    /// Whether a record whose data has `held` bytes, 0 where it is not live, may get data of `then` bytes.
    ///
    /// # Errors
    /// That its quota stands against it.
    pub fn admit_record(&self, held: usize, then: usize) -> Result<(), Excess> {
        admit(Measure::RecordBytes, self.record_bytes, held as u64, then as u64)
    }

    /// Whether what the whole space holds is bounded.
    #[must_use]
    pub fn bounds_space(&self) -> bool {
        self.records.is_some() || self.bytes.is_some()
    }
}

fn admit(measure: Measure, limit: Option<u64>, held: u64, would_hold: u64) -> Result<(), Excess> {
    match limit {
        Some(limit) if would_hold > limit && would_hold > held => Err(Excess { measure, limit, held, would_hold }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_a_space_above_its_quota_and_fuller_than_before_is_refused() {
        let quota = Quota { records: Some(10), bytes: Some(100), record_bytes: None };
        let judge = |held: (u64, u64), then: (u64, u64)| {
            let usage = |(records, bytes)| Usage { records, bytes };
            quota.admit(usage(held), usage(then)).map_err(|excess| excess.measure.as_str())
        };
        for (held, then, judged) in [
            ((0, 0), (10, 100), Ok(())),
            ((10, 100), (11, 100), Err("records")),
            ((10, 100), (10, 101), Err("bytes")),
            ((10, 100), (11, 101), Err("records")),
            // Above it already: less, or as much, is no offence; and each measure stands for itself.
            ((20, 200), (20, 200), Ok(())),
            ((20, 200), (19, 150), Ok(())),
            ((20, 50), (20, 90), Ok(())),
            ((20, 200), (19, 201), Err("bytes")),
        ] {
            assert_eq!(judge(held, then), judged, "{held:?} {then:?}");
        }
        let free = Quota::default();
        assert_eq!(free.admit(Usage::default(), Usage { records: u64::MAX, bytes: u64::MAX }), Ok(()));
    }

    #[test]
    fn what_a_space_says_goes_before_the_default_and_comes_back_as_it_was_stored() {
        let default = Quota { records: Some(5), bytes: None, record_bytes: Some(7) };
        for (allowance, records, bytes) in [
            (Allowance::Default, Some(5), None),
            (Allowance::Unlimited, None, None),
            (Allowance::Limited(0), Some(0), Some(0)),
            (Allowance::Limited(i64::MAX.unsigned_abs()), Some(i64::MAX.unsigned_abs()), Some(i64::MAX.unsigned_abs())),
        ] {
            let rule = QuotaRule { records: allowance, bytes: allowance, record_bytes: Allowance::Default };
            assert_eq!(rule.under(default), Quota { records, bytes, record_bytes: Some(7) });
            assert_eq!(Allowance::from_stored(allowance.to_stored()), allowance);
        }
    }
}
