//! Revisions: the order of everything that ever happened in one space (PROTOCOL.md §1).

use std::fmt;
use std::str::FromStr;

/// A revision of a space: below 2^53, so that every JSON reader holds it exactly. `0` is "before anything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rev(u64);

/// The text or number is not a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a revision is a whole number from 0 to 9007199254740991")]
pub struct RevFault;

impl Rev {
    /// Before the first change.
    pub const ZERO: Self = Self(0);
    /// The last revision that a space can reach, 2^53 - 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// A revision from a number.
    ///
    /// # Errors
    /// [`RevFault`] from 2^53 on.
    pub const fn new(value: u64) -> Result<Self, RevFault> {
        if value <= Self::MAX.0 { Ok(Self(value)) } else { Err(RevFault) }
    }

    /// A revision from a store's signed column, which holds nothing else.
    #[must_use]
    pub fn from_stored(value: i64) -> Self {
        Self(u64::try_from(value).unwrap_or(0).min(Self::MAX.0))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number for a signed column. Never negative, because a revision is below 2^53.
    #[must_use]
    pub const fn to_stored(self) -> i64 {
        self.0.cast_signed()
    }

    /// The revision `count` after this one; it stays at [`Rev::MAX`] rather than wrap.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        let sum = self.0.saturating_add(count);
        if sum > Self::MAX.0 { Self::MAX } else { Self(sum) }
    }

    /// The revision before this one; `0` stays `0`.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Rev {
    type Err = RevFault;

    fn from_str(text: &str) -> Result<Self, RevFault> {
        // `u64::from_str` also takes a leading `+`, which no revision has.
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RevFault);
        }
        text.parse().map_err(|_| RevFault).and_then(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_a_plain_number_below_two_to_the_53() {
        assert_eq!("2149".parse(), Ok(Rev(2149)));
        assert_eq!("9007199254740991".parse(), Ok(Rev::MAX));
        for bad in ["", "+1", "-1", "1.0", " 1", "9007199254740992", "99999999999999999999"] {
            assert_eq!(bad.parse::<Rev>(), Err(RevFault), "{bad}");
        }
    }
}
