//! Cursors: what a client keeps between pulls (PROTOCOL.md §1).
//!
//! ```text
//! <epoch>.<rev>            whole: the replica is right at rev
//! <epoch>.<rev>.p          under way: a delta or a repair of which more is to come
//! <epoch>.<rev>.<start>    under way: an initial sync begun when the head was start
//! …~<scope>                earned over a choice of collections
//! ```

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::{CollectionName, Epoch, Rev};

/// A client's place in the history of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The history that it belongs to.
    pub epoch: Epoch,
    /// Everything up to here has been sent.
    pub rev: Rev,
    /// Whether the replica is right at `rev`.
    pub progress: Progress,
    /// The choice of collections it was earned over; `None` for the whole space.
    pub scope: Option<Scope>,
}

/// Whether a replica at a cursor is right, or on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// The replica is right at the cursor's revision.
    Whole,
    /// In the middle of a delta or a repair: a record may have moved from behind the cursor to ahead of it.
    Delta,
    /// In the middle of an initial sync that began when the head was `start`: tombstones up to there are left out.
    Initial {
        /// The head when the sync began.
        start: Rev,
    },
}

/// A short hash of a choice of collections: 48 bits, written as 12 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope(u64);

/// The text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor: send one as the server gave it")]
pub struct CursorFault;

impl Cursor {
    /// A whole cursor.
    #[must_use]
    pub fn whole(epoch: Epoch, rev: Rev, scope: Option<Scope>) -> Self {
        Self { epoch, rev, progress: Progress::Whole, scope }
    }
}

impl Scope {
    /// The scope of names that are sorted and each there once.
    #[must_use]
    pub fn of(names: &[CollectionName]) -> Self {
        let mut hash = Sha256::new();
        for name in names {
            hash.update(name.as_str());
            // No name has a comma, so that no two lists have one text.
            hash.update(b",");
        }
        Self(hash.finalize().iter().take(6).fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.rev)?;
        match self.progress {
            Progress::Whole => {}
            Progress::Delta => f.write_str(".p")?,
            Progress::Initial { start } => write!(f, ".{start}")?,
        }
        match self.scope {
            Some(scope) => write!(f, "~{scope}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Cursor {
    type Err = CursorFault;

    fn from_str(text: &str) -> Result<Self, CursorFault> {
        let (place, scope) = match text.split_once('~') {
            Some((place, scope)) => (place, Some(parse_scope(scope)?)),
            None => (text, None),
        };
        let mut parts = place.split('.');
        let mut next = || parts.next().ok_or(CursorFault);
        let epoch = next()?.parse().map_err(|_| CursorFault)?;
        let rev = next()?.parse().map_err(|_| CursorFault)?;
        let progress = match parts.next() {
            None => Progress::Whole,
            Some("p") => Progress::Delta,
            Some(start) => Progress::Initial { start: start.parse().map_err(|_| CursorFault)? },
        };
        if parts.next().is_some() {
            return Err(CursorFault);
        }
        Ok(Self { epoch, rev, progress, scope })
    }
}

/// A scope of another form than this server's is one that no choice of collections has: the cursor is then of another
/// scope (410), like any other that was earned elsewhere.
fn parse_scope(text: &str) -> Result<Scope, CursorFault> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) {
        return Err(CursorFault);
    }
    let own = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 12);
    Ok(Scope(own.unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Collections;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let scope = Collections::parse("todos").unwrap().scope();
        for text in ["k3f9q2.2151", "k3f9q2.2151.p", "k3f9q2.10.2151", "k3f9q2.0", "a.0.0"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
            let scoped = format!("{text}~{scope}");
            let cursor = scoped.parse::<Cursor>().unwrap();
            assert_eq!(cursor.scope, Some(scope));
            assert_eq!(cursor.to_string(), scoped);
        }
    }

    #[test]
    fn a_scope_of_another_form_is_a_scope_that_nobody_asked_for() {
        let todos = Collections::parse("todos").unwrap().scope();
        for text in ["k3.1~xyz", "k3.1~0", "k3.1~0123456789abcdef"] {
            let scope = text.parse::<Cursor>().unwrap().scope;
            assert!(scope.is_some() && scope != Some(todos), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for bad in [
            "",
            "k3",
            "k3.",
            ".1",
            "k3.-1",
            "k3.1.",
            "k3.1.q",
            "k3.1.p.p",
            "k3.1.2.3",
            "K3.1",
            "k3.1~",
            "k3.1~x.z",
            "k3.1~00000000000G",
            "k3.9007199254740992",
            "k3 .1",
            "2149",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorFault), "{bad}");
        }
    }
}
