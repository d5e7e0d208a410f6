//! `since`: as of when a client asks (PROTOCOL.md §3).

use super::{Cursor, Rev, Timestamp};

/// What `since` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Absent: the client holds nothing, and wants everything that is live.
    Nothing,
    /// `now`: only the cursor of the head.
    Now,
    /// A bare revision of the present epoch.
    Rev(Rev),
    /// Everything modified at or after a time.
    Time(Timestamp),
    /// A cursor that the server gave.
    Cursor(Cursor),
}

/// The text is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("send a cursor as the server gave it, a revision, an RFC 3339 time (a + as %2B), or `now`")]
pub struct SinceFault;

impl Since {
    /// Parses the parameter's text; an empty one is a fault, not an initial sync.
    ///
    /// # Errors
    /// [`SinceFault`].
    pub fn parse(text: &str) -> Result<Self, SinceFault> {
        if text == "now" {
            Ok(Self::Now)
        } else if text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse().map(Self::Rev).map_err(|_| SinceFault)
        } else if text.contains(':') {
            // Every RFC 3339 time has a colon, and no cursor has.
            text.parse().map(Self::Time).map_err(|_| SinceFault)
        } else {
            text.parse().map(Self::Cursor).map_err(|_| SinceFault)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_told_apart_by_its_form() {
        assert_eq!(Since::parse("now"), Ok(Since::Now));
        assert_eq!(Since::parse("0"), Ok(Since::Rev(Rev::ZERO)));
        assert!(matches!(Since::parse("2026-11-22T20:30:00.5Z"), Ok(Since::Time(_))));
        assert!(matches!(Since::parse("k3f9q2.5.p"), Ok(Since::Cursor(_))));
        for bad in ["", "Now", "-1", "9007199254740992", "2026-11-22", "2026-11-22T20:30:00 01:00", "k3f9q2"] {
            assert_eq!(Since::parse(bad), Err(SinceFault), "{bad}");
        }
    }
}
