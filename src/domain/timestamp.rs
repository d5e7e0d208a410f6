//! The server's UTC time to the microsecond (PROTOCOL.md §1). It tells age, never order.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, SubsecRound, Timelike, Utc};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as in RFC 3339, such as 2026-11-22T20:30:00Z (a + as %2B)")]
pub struct TimeFault;

impl Timestamp {
    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down: the precision of HTTP's dates.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and `span` later; the latest time there is, where that would be beyond it.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// `span` before this time.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// As a chrono value; a time beyond chrono's range becomes its last one.
    #[must_use]
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The date-time of RFC 9110, such as `Sun, 22 Nov 2026 20:30:00 GMT`.
    #[must_use]
    pub fn to_http_date(self) -> String {
        self.to_chrono().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_chrono().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl FromStr for Timestamp {
    type Err = TimeFault;

    /// Digits beyond the microsecond round up, so that "modified at or after" stays true to the text.
    fn from_str(text: &str) -> Result<Self, TimeFault> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimeFault)?.to_utc();
        let down = time.trunc_subsecs(6);
        let rounded_up = i64::from(time.nanosecond() != down.nanosecond());
        Ok(Self(down.timestamp_micros().saturating_add(rounded_up)))
    }
}

/// Writes timestamps that mostly share their second, as those of one page do: only what differs is computed anew.
#[derive(Debug)]
pub struct TimestampWriter {
    second: Option<i64>,
    text: [u8; 27],
}

impl Default for TimestampWriter {
    fn default() -> Self {
        Self { second: None, text: *b"0000-00-00T00:00:00.000000Z" }
    }
}

impl TimestampWriter {
    /// `time` as text, the same as its `Display`.
    pub fn write(&mut self, time: Timestamp) -> &str {
        if self.second != Some(time.seconds()) {
            let text = time.to_string();
            if let Ok(text) = <[u8; 27]>::try_from(text.as_bytes()) {
                self.text = text;
                self.second = Some(time.seconds());
            } else {
                // A year of more than four digits: it does not fit, and such a clock is not kept for the next call.
                self.text = *b"9999-12-31T23:59:59.999999Z";
                self.second = None;
            }
        } else if let Some(digits) = self.text.get_mut(20..26) {
            let mut micros = time.micros().rem_euclid(1_000_000);
            for digit in digits.iter_mut().rev() {
                *digit = b'0' + u8::try_from(micros % 10).unwrap_or(0);
                micros /= 10;
            }
        }
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_microseconds_and_z() {
        let time: Timestamp = "2026-11-22T21:30:00.123456+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T20:30:00.123456Z");
        assert_eq!(time.to_http_date(), "Sun, 22 Nov 2026 20:30:00 GMT");
        let coarse: Timestamp = "2026-11-22T20:30:00Z".parse().unwrap();
        assert_eq!(coarse.to_string(), "2026-11-22T20:30:00.000000Z");
        let finer: Timestamp = "2026-11-22T20:30:00.1234561Z".parse().unwrap();
        assert_eq!(finer.micros(), time.micros() + 1);
        for bad in ["", "2026-11-22", "2026-11-22T20:30:00", "2026-11-22T20:30:00 01:00", "yesterday"] {
            assert_eq!(bad.parse::<Timestamp>(), Err(TimeFault), "{bad}");
        }
    }

    #[test]
    fn the_writer_says_what_display_says() {
        let mut writer = TimestampWriter::default();
        for micros in [0, 1, 999_999, 1_000_000, 1_763_843_400_123_456, 1_763_843_400_000_007, -1, -1_000_000] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(writer.write(time), time.to_string());
        }
    }
}
