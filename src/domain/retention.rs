//! How long tombstones are remembered (PROTOCOL.md §2, §7).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Timestamp;

/// A window of retention: a whole number of one unit, or for ever. It is shown in the unit in which it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Tombstones older than this may be purged.
    For {
        /// How many units.
        count: u64,
        /// The unit.
        unit: Unit,
    },
    /// No tombstone is ever purged for its age.
    Forever,
}

/// A unit of time, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
}

/// The text is not a retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a duration is a whole number and one of s, m, h, d and w, such as 30d, or `forever` (at most 1000 years)")]
pub struct RetentionFault;

/// A thousand years: beyond it a window is a typing error, and times would overflow.
const LONGEST: u64 = 1000 * 366 * 86_400;

impl Unit {
    const ALL: [(Self, char, u64); 5] = [
        (Self::Second, 's', 1),
        (Self::Minute, 'm', 60),
        (Self::Hour, 'h', 3600),
        (Self::Day, 'd', 86_400),
        (Self::Week, 'w', 604_800),
    ];

    fn seconds(self) -> u64 {
        Self::ALL.iter().find(|(unit, ..)| *unit == self).map_or(1, |(.., seconds)| *seconds)
    }

    fn letter(self) -> char {
        Self::ALL.iter().find(|(unit, ..)| *unit == self).map_or('s', |(_, letter, _)| *letter)
    }
}

impl Retention {
    /// Thirty days: what a space has when nobody said otherwise.
    pub const DEFAULT: Self = Self::For { count: 30, unit: Unit::Day };

    /// The window; `None` for ever.
    #[must_use]
    pub fn window(self) -> Option<Duration> {
        match self {
            Self::For { count, unit } => Some(Duration::from_secs(count.saturating_mul(unit.seconds()))),
            Self::Forever => None,
        }
    }

    /// Tombstones with `modified_at` at or before this may be purged at `now`; `None` when none may.
    #[must_use]
    pub fn cut(self, now: Timestamp) -> Option<Timestamp> {
        self.window().map(|window| now.minus(window))
    }

    /// When a tombstone of `modified_at` may be purged; `None` for never. The other side of [`Retention::cut`].
    #[must_use]
    pub fn expiry(self, modified_at: Timestamp) -> Option<Timestamp> {
        self.window().map(|window| modified_at.plus(window))
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For { count, unit } => write!(f, "{count}{}", unit.letter()),
            Self::Forever => f.write_str("forever"),
        }
    }
}

impl FromStr for Retention {
    type Err = RetentionFault;

    fn from_str(text: &str) -> Result<Self, RetentionFault> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let (unit, letter, seconds) =
            Unit::ALL.into_iter().find(|(_, letter, _)| text.ends_with(*letter)).ok_or(RetentionFault)?;
        let digits = text.strip_suffix(letter).unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(RetentionFault);
        }
        let count: u64 = digits.parse().map_err(|_| RetentionFault)?;
        match count.checked_mul(seconds) {
            Some(total) if total <= LONGEST => Ok(Self::For { count, unit }),
            _ => Err(RetentionFault),
        }
    }
}

/// A space's rule for its tombstones (§7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Tombstones older than this are purged.
    pub retention: Retention,
    /// Whether a tombstone that a known client still needs is kept beyond `retention`.
    pub hold_for_clients: bool,
    /// The age at which a hold ends.
    pub max_retention: Retention,
    /// Tombstones that are kept, at the most, whatever their age; `None` for no such bound.
    pub max_tombstones: Option<u64>,
}

impl RetentionPolicy {
    /// A window by age alone.
    #[must_use]
    pub fn of(retention: Retention) -> Self {
        let max_retention = Retention::For { count: 180, unit: Unit::Day };
        Self { retention, hold_for_clients: false, max_retention, max_tombstones: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_as_it_was_given() {
        for text in ["0s", "90s", "15m", "24h", "30d", "4w", "forever"] {
            assert_eq!(text.parse::<Retention>().unwrap().to_string(), text);
        }
        for bad in ["", "d", "30", "-1d", "+1d", "1.5d", "30 d", "30D", "1y", "99999999999d", "Forever", "1dd"] {
            assert_eq!(bad.parse::<Retention>(), Err(RetentionFault), "{bad}");
        }
    }

    #[test]
    fn a_tombstone_expires_exactly_when_the_cut_reaches_it() {
        let written = Timestamp::from_micros(1_000_000);
        let retention: Retention = "2h".parse().unwrap();
        let expiry = retention.expiry(written).unwrap();
        assert_eq!(retention.cut(expiry), Some(written));
        assert_eq!(Retention::Forever.expiry(written), None);
        assert_eq!(Retention::Forever.cut(written), None);
    }
}
