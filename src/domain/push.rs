//! Push: what becomes of a client's edits (PROTOCOL.md §4). The server wins every conflict.

use super::pull::{self, Reason, Resync};
use super::quota::{Excess, Quota};
use super::{
    Change, ClientName, CollectionName, Collections, Cursor, Document, Patch, Progress, RecordId, Rev, SpaceName,
    SpaceState, Timestamp,
};

/// A push, as a store carries it out: one transaction.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// The space; the first push that applies anything makes it.
    pub space: SpaceName,
    /// The edits, each record at most once.
    pub changes: Vec<Proposal>,
    /// The client's own cursor.
    pub cursor: Option<Cursor>,
    /// The collections that the cursor was earned over.
    pub collections: Option<Collections>,
    /// The push's number among those of its client.
    pub seq: Option<(ClientName, u64)>,
    /// Apply all or nothing.
    pub atomic: bool,
    /// The largest record, in bytes of its data.
    pub max_record_bytes: usize,
}

/// One proposed change.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The record's collection.
    pub collection: CollectionName,
    /// The record's id.
    pub id: RecordId,
    /// What the client had seen of it.
    pub base: Base,
    /// What it wants.
    pub op: Op,
}

/// What a client had seen of a record when it edited it: `base_rev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Absent: "I believe that it does not exist".
    Absent,
    /// Everything up to this revision.
    Seen(Rev),
    /// `"*"`: unconditional.
    Any,
}

/// What a client wants of a record.
#[derive(Clone, Debug)]
pub enum Op {
    /// `data`: the whole record.
    Put(Document),
    /// `patch`: a JSON merge patch of what is there.
    Patch(Patch),
    /// `"deleted": true`.
    Delete,
    /// Data that broke a limit at the door: rejected alone, whatever is there.
    Oversize(Oversize),
}

impl Op {
    /// Bytes of what it brings.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Put(data) => data.len(),
            Self::Patch(patch) => patch.len(),
            Self::Delete | Self::Oversize(_) => 0,
        }
    }
}

/// Which limit of a record was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oversize {
    /// Too many bytes.
    #[error("the record's data has {bytes} bytes, the limit is {limit}")]
    Bytes {
        /// Bytes of compact JSON.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Too many levels.
    #[error("the record's data nests deeper than {limit} levels, the limit")]
    Depth {
        /// The limit.
        limit: usize,
    },
    /// The space's quota for one record.
    #[error("{0}")]
    Quota(Excess),
}

/// How large a record may become.
#[derive(Clone, Copy, Debug)]
pub struct RecordLimits {
    /// Bytes of its data, whatever the space is.
    pub bytes: usize,
    /// The quota of its space.
    pub quota: Quota,
}

/// What the server has of a record.
#[derive(Clone, Debug)]
pub enum Existing {
    /// Never written, or purged.
    Nothing,
    /// There, live or as a tombstone.
    Record {
        /// The revision of its latest change.
        rev: Rev,
        /// The time of that change.
        modified_at: Timestamp,
        /// Its data; `None` for a tombstone.
        data: Option<Document>,
    },
}

/// What the client of a push knows, beside each change's `base_rev`.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge {
    /// The space's head before the push.
    pub head: Rev,
    /// The revision of the push's cursor, where it counts for the record's collection.
    pub cursor: Option<Rev>,
}

/// What becomes of one change.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The record gets this data.
    Put(Document),
    /// The record becomes a tombstone.
    Delete,
    /// It is that way already.
    Unchanged,
    /// The server's record stays.
    Conflict,
    /// A limit is broken.
    Reject(Oversize),
}

/// The table of §4.
#[must_use]
pub fn decide(existing: &Existing, op: &Op, base: Base, knowledge: Knowledge, limits: RecordLimits) -> Decision {
    let seen = |rev: Rev| match base {
        Base::Any => true,
        // A base above the head is of another history, and says nothing about this one.
        Base::Seen(base) => rev <= base && base <= knowledge.head,
        Base::Absent => false,
    };
    match (existing, op) {
        (_, Op::Oversize(limit)) => Decision::Reject(*limit),
        (Existing::Record { rev, data: Some(data), .. }, Op::Put(_) | Op::Patch(_)) => {
            let Some(wanted) = outcome(data, op) else { return Decision::Conflict };
            if wanted.equals(data) {
                Decision::Unchanged
            } else if seen(*rev) {
                within(wanted, data.len(), limits)
            } else {
                Decision::Conflict
            }
        }
        (Existing::Record { rev, data: Some(_), .. }, Op::Delete) => {
            if seen(*rev) {
                Decision::Delete
            } else {
                Decision::Conflict
            }
        }
        (Existing::Record { data: None, .. } | Existing::Nothing, Op::Delete) => Decision::Unchanged,
        (Existing::Record { data: None, .. } | Existing::Nothing, Op::Patch(_)) => Decision::Conflict,
        (Existing::Record { rev, data: None, .. }, Op::Put(data)) => {
            let client_knew = base == Base::Absent && knowledge.cursor.is_some_and(|cursor| cursor >= *rev);
            if seen(*rev) || client_knew { within(data.clone(), 0, limits) } else { Decision::Conflict }
        }
        (Existing::Nothing, Op::Put(data)) => match base {
            Base::Absent | Base::Any => within(data.clone(), 0, limits),
            // It was there once and is purged: a stale client cannot bring it back.
            Base::Seen(_) => Decision::Conflict,
        },
    }
}

/// What is said of a change whose push was applied before: is the record as it would have left it?
#[must_use]
pub fn decide_duplicate(existing: &Existing, op: &Op) -> Decision {
    let done = match (existing, op) {
        (_, Op::Oversize(limit)) => return Decision::Reject(*limit),
        (Existing::Record { data: Some(data), .. }, Op::Put(_) | Op::Patch(_)) => {
            outcome(data, op).is_some_and(|wanted| wanted.equals(data))
        }
        (Existing::Record { data: None, .. } | Existing::Nothing, Op::Delete) => true,
        _ => false,
    };
    if done { Decision::Unchanged } else { Decision::Conflict }
}

/// What a write makes of live data; `None` for what is no write.
pub(super) fn outcome(data: &Document, op: &Op) -> Option<Document> {
    match op {
        Op::Put(wanted) => Some(wanted.clone()),
        Op::Patch(patch) => Some(data.merge(patch)),
        Op::Delete | Op::Oversize(_) => None,
    }
}

/// `data` as it may take the place of `held` bytes, 0 where there are none.
fn within(data: Document, held: usize, limits: RecordLimits) -> Decision {
    let (bytes, limit) = (data.len(), limits.bytes);
    if bytes > limit {
        return Decision::Reject(Oversize::Bytes { bytes, limit });
    }
    match limits.quota.admit_record(held, bytes) {
        Ok(()) => Decision::Put(data),
        Err(excess) => Decision::Reject(Oversize::Quota(excess)),
    }
}

/// What a push comes to.
#[derive(Clone, Debug)]
pub enum Pushed {
    /// Carried out, durably.
    Done(PushAnswer),
    /// It was atomic, and something stood against it: nothing was applied.
    Refused(PushAnswer),
    /// Its cursor is not of this history: nothing was applied.
    Resync(Resync),
    /// It would have left more in the space than its quota allows: nothing was applied.
    OverQuota(Excess),
    /// It has a cursor, and the space does not exist.
    NoSpace,
}

/// The answer to a push.
#[derive(Clone, Debug)]
pub struct PushAnswer {
    /// One a change, in order.
    pub results: Vec<Outcome>,
    /// The head before it.
    pub previous_head: Rev,
    /// The head after it.
    pub head: Rev,
    /// What the client's cursor becomes; `None` where the space does not exist yet and has no history.
    pub cursor: Option<Cursor>,
    /// Whether it had been applied before.
    pub duplicate: bool,
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It took this revision.
    Applied {
        /// The revision.
        rev: Rev,
        /// The time.
        modified_at: Timestamp,
    },
    /// The record was that way already; `None` where there is none.
    Unchanged(Option<(Rev, Timestamp)>),
    /// The server's record stays; `None` where there is none.
    Conflict(Option<Change>),
    /// A limit is broken.
    Rejected(Oversize),
    /// It would have been applied, but the push was atomic.
    NotApplied,
}

impl Outcome {
    /// Whether an atomic push may go through with it.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::Applied { .. } | Self::Unchanged(_) | Self::NotApplied)
    }
}

/// Checks a push's cursor against the history: its reasons are `epoch`, `ahead` and `scope` (§4). A purge does not
/// matter here, since each change is judged by its own base.
///
/// # Errors
/// The [`Resync`] that the client gets.
pub fn check_cursor(cursor: &Cursor, collections: Option<&Collections>, state: &SpaceState) -> Result<(), Resync> {
    let tally = state.tally(collections);
    pull::check_history(cursor, state, &tally)?;
    if cursor.scope != collections.map(Collections::scope) {
        return Err(pull::resync(Reason::Scope, state, &tally, cursor.rev));
    }
    Ok(())
}

/// What the client's cursor becomes. `state` is the space before the push, `head` the head after it.
///
/// It moves to the new head only if nothing that the client has not seen lies between: no one else wrote in its
/// collections after its cursor. Else it keeps its place, now as one under way, for its own changes lie ahead of it.
#[must_use]
pub fn renew_cursor(
    cursor: Option<&Cursor>,
    collections: Option<&Collections>,
    state: &SpaceState,
    head: Rev,
) -> Cursor {
    let scope = collections.map(Collections::scope);
    let Some(cursor) = cursor else { return Cursor::whole(state.epoch(), head, scope) };
    let foreign = state.tally(collections).head > cursor.rev;
    match cursor.progress {
        Progress::Whole if !foreign => Cursor::whole(state.epoch(), head, scope),
        Progress::Whole | Progress::Delta => Cursor { epoch: state.epoch(), progress: Progress::Delta, ..*cursor },
        Progress::Initial { .. } => *cursor,
    }
}

#[cfg(test)]
mod tests;
