//! Pull: what changed since X, and when the answer is "you must resync" (PROTOCOL.md §3).

use super::{
    Change, Checksum, Collections, Cursor, Epoch, Progress, Rev, Scope, Since, SpaceName, SpaceState, Tally, Timestamp,
};

/// A pull, as a store answers it.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The space.
    pub space: SpaceName,
    /// As of when the client asks.
    pub since: Since,
    /// The collections asked for; `None` for all.
    pub collections: Option<Collections>,
    /// Changes in the page, at the most.
    pub limit: usize,
    /// Bytes in the page, about; it holds one change at least.
    pub max_bytes: usize,
    /// No change beyond this revision (a stream ends at the head that it began with).
    pub upto: Option<Rev>,
    /// The epoch and head of the answer that the caller still has (`If-None-Match`).
    pub held: Option<(Epoch, Rev)>,
}

/// What a pull comes to.
#[derive(Clone, Debug)]
pub enum Pulled {
    /// A page.
    Page(Page),
    /// The answer that the caller holds is still the answer.
    NotModified {
        /// The present epoch.
        epoch: Epoch,
        /// The present head.
        head: Rev,
    },
    /// The client must repair itself first.
    Resync(Resync),
}

/// A page of changes with all that describes it, from one snapshot.
#[derive(Clone, Debug)]
pub struct Page {
    /// In ascending order of revision.
    pub changes: Vec<Change>,
    /// What to send as the next `since`.
    pub cursor: Cursor,
    /// Whether more is to be had at once.
    pub has_more: bool,
    /// The space's head.
    pub head: Rev,
    /// The horizon of the collections asked for.
    pub horizon: Rev,
    /// When the compactor could leave `cursor` behind, at the earliest; `None` for never.
    pub valid_until: Option<Timestamp>,
    /// The number of live records and their checksum, when nothing more is to be had.
    pub check: Option<(u64, Checksum)>,
}

/// The 410: the client's place is no longer in this history, or no delta leads on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resync {
    /// The first reason that holds.
    pub reason: Reason,
    /// The present epoch.
    pub epoch: Epoch,
    /// The present head.
    pub head: Rev,
    /// The horizon of the collections asked for.
    pub horizon: Rev,
    /// Up to here, what the client holds is still this history.
    pub shared_rev: Rev,
}

/// Why a client must resync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The cursor is of a history that broke off before it.
    Epoch,
    /// The cursor is above the head.
    Ahead,
    /// The cursor was earned over other collections.
    Scope,
    /// Tombstones that the client may not have seen are gone.
    Purged,
}

impl Reason {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Ahead => "ahead",
            Self::Scope => "scope",
            Self::Purged => "purged",
        }
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After a revision.
    After(Reading),
    /// At the first change of this time or later, which the store has to find.
    At(Timestamp),
}

/// The rows a page is made of: those after `after`, but for tombstones at or below `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The client has everything up to here.
    pub after: Rev,
    /// For an initial sync, the head when it began: older tombstones are nothing to a client that held nothing.
    pub start: Option<Rev>,
}

impl Reading {
    /// A delta.
    #[must_use]
    pub fn delta(after: Rev) -> Self {
        Self { after, start: None }
    }
}

/// Decides where a pull over `scope` begins, or why it cannot: the reasons of §3 in their order.
///
/// `tally` is the state's over the same collections, and both must come from the snapshot that the rows are read in:
/// a horizon read earlier could let a purge slip between.
///
/// # Errors
/// The [`Resync`] that the client gets.
pub fn begin(since: Since, scope: Option<Scope>, state: &SpaceState, tally: &Tally) -> Result<Start, Resync> {
    let head = state.head;
    let purged = |edge: Rev, shared: Rev| {
        if edge < tally.horizon { Err(resync(Reason::Purged, state, tally, shared)) } else { Ok(()) }
    };
    match since {
        Since::Nothing => Ok(Start::After(Reading { after: Rev::ZERO, start: Some(head) })),
        Since::Now => Ok(Start::After(Reading::delta(head))),
        Since::Rev(rev) => {
            if rev > head {
                return Err(resync(Reason::Ahead, state, tally, Rev::ZERO));
            }
            purged(rev, rev)?;
            Ok(Start::After(Reading::delta(rev)))
        }
        Since::Time(time) => {
            if tally.horizon > Rev::ZERO && tally.horizon_at >= time {
                return Err(resync(Reason::Purged, state, tally, Rev::ZERO));
            }
            Ok(Start::At(time))
        }
        Since::Cursor(cursor) => {
            check_history(&cursor, state, tally)?;
            if cursor.scope != scope {
                return Err(resync(Reason::Scope, state, tally, cursor.rev));
            }
            let start = match cursor.progress {
                Progress::Initial { start } => Some(start),
                Progress::Whole | Progress::Delta => None,
            };
            purged(start.unwrap_or(cursor.rev), cursor.rev)?;
            Ok(Start::After(Reading { after: cursor.rev, start }))
        }
    }
}

/// The reasons that a cursor is of another history: `epoch` and `ahead`. A push checks them too (§4).
///
/// # Errors
/// The [`Resync`] that the client gets.
pub fn check_history(cursor: &Cursor, state: &SpaceState, tally: &Tally) -> Result<(), Resync> {
    if cursor.epoch != state.epoch() {
        let shared = state.lineage.shared_rev(cursor.epoch);
        // A cursor under way is right nowhere: a record may have moved from behind it into the part that was lost.
        if cursor.rev > shared || cursor.progress != Progress::Whole {
            return Err(resync(Reason::Epoch, state, tally, shared));
        }
    }
    let furthest = match cursor.progress {
        Progress::Initial { start } => start.max(cursor.rev),
        Progress::Whole | Progress::Delta => cursor.rev,
    };
    if furthest > state.head {
        return Err(resync(Reason::Ahead, state, tally, Rev::ZERO));
    }
    Ok(())
}

pub(super) fn resync(reason: Reason, state: &SpaceState, tally: &Tally, shared_rev: Rev) -> Resync {
    Resync { reason, epoch: state.epoch(), head: state.head, horizon: tally.horizon, shared_rev }
}

/// The rows that a store read for a page.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The changes, ascending.
    pub changes: Vec<Change>,
    /// Whether rows are left between the last of `changes` and the end that was asked for.
    pub cut: bool,
}

/// Where a page leaves the client, before the page is made: what [`View::page`] needs to know of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Everything up to here has been sent.
    pub rev: Rev,
    /// Whether more is to be had.
    pub has_more: bool,
}

impl End {
    /// The end of a page of `rows` read up to `upto` (the head where it is `None`).
    #[must_use]
    pub fn of(rows: &Rows, upto: Option<Rev>, state: &SpaceState, tally: &Tally) -> Self {
        match (rows.cut, rows.changes.last(), upto) {
            (true, Some(last), _) => Self { rev: last.rev, has_more: true },
            (_, _, Some(upto)) if tally.head > upto => Self { rev: upto, has_more: true },
            _ => Self { rev: state.head, has_more: false },
        }
    }

    /// The revision after which a purged tombstone would leave the cursor behind.
    #[must_use]
    pub fn edge(self, reading: Reading) -> Rev {
        match reading.start {
            Some(start) if self.has_more => start,
            _ => self.rev,
        }
    }
}

/// What a pull sees of its space: one snapshot of it, over the collections asked for.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The space.
    pub state: &'a SpaceState,
    /// The state's tally over the collections asked for.
    pub tally: &'a Tally,
    /// Their scope.
    pub scope: Option<Scope>,
    /// The present time.
    pub now: Timestamp,
}

impl View<'_> {
    /// Makes the page. `oldest_tombstone` is the `modified_at` of the first tombstone of these collections beyond
    /// [`End::edge`].
    #[must_use]
    pub fn page(&self, reading: Reading, changes: Vec<Change>, end: End, oldest_tombstone: Option<Timestamp>) -> Page {
        let Self { state, tally, scope, now } = *self;
        let progress = match (end.has_more, reading.start) {
            (false, _) => Progress::Whole,
            (true, None) => Progress::Delta,
            (true, Some(start)) => Progress::Initial { start },
        };
        Page {
            changes,
            cursor: Cursor { epoch: state.epoch(), rev: end.rev, progress, scope },
            has_more: end.has_more,
            head: state.head,
            horizon: tally.horizon,
            valid_until: state.policy.retention.expiry(oldest_tombstone.unwrap_or(now.max(state.modified_at))),
            check: (!end.has_more).then_some((tally.live, tally.checksum)),
        }
    }

    /// The whole answer where no row need be read: the client is at the end of these collections, or holds the answer.
    #[must_use]
    pub fn without_rows(&self, request: &PullRequest) -> Option<Pulled> {
        let Self { state, tally, scope, .. } = *self;
        let start = match begin(request.since, scope, state, tally) {
            Err(resync) => return Some(Pulled::Resync(resync)),
            Ok(start) => start,
        };
        if request.held == Some((state.epoch(), state.head)) {
            return Some(Pulled::NotModified { epoch: state.epoch(), head: state.head });
        }
        match start {
            Start::After(reading) if reading.after >= tally.head => {
                let end = End::of(&Rows::default(), request.upto, state, tally);
                Some(Pulled::Page(self.page(reading, Vec::new(), end, None)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
