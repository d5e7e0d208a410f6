//! What a write does within a transaction: read what is there, let the domain decide, write. Both backends run the same
//! steps; what a transaction is, each of them says by [`Writing`].

use super::StoreError;
use crate::domain::push::{
    self, Decision, Existing, Knowledge, Outcome, PushAnswer, PushRequest, Pushed, RecordLimits,
};
use crate::domain::quota::{Excess, Usage};
use crate::domain::record::{self, RecordWrite, WriteDecision, Written};
use crate::domain::{
    Change, CollectionName, CollectionState, Document, Epoch, Quota, RecordId, Retention, RetentionPolicy, Rev,
    SpaceName, SpaceState, State, Timestamp,
};

/// What a space has that says nothing itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    /// For a new space, which then has it.
    pub retention: Retention,
    /// For every space, for as long as it says nothing.
    pub quota: Quota,
}

/// A write transaction, as the steps of this file need it. It sees its own writes.
pub(super) trait Writing {
    /// The space of that name, if there is one.
    fn space(&mut self, name: &SpaceName) -> Result<Option<&SpaceState>, StoreError>;
    /// Makes a space of that name, which must not exist, with a new epoch; without a policy it gets the default one.
    fn create_space(&mut self, name: &SpaceName, policy: Option<RetentionPolicy>) -> Result<(), StoreError>;
    /// The quota of spaces that say nothing of it.
    fn default_quota(&self) -> Quota;
    /// What is there of a record.
    fn existing(
        &mut self,
        space: &SpaceName,
        collection: &CollectionName,
        id: &RecordId,
    ) -> Result<Existing, StoreError>;
    /// Gives a record the next revision of its space, which must exist, and answers it with its time. `existing` is what
    /// [`Self::existing`] said.
    fn apply(
        &mut self,
        space: &SpaceName,
        collection: &CollectionName,
        id: &RecordId,
        existing: &Existing,
        state: State,
    ) -> Result<(Rev, Timestamp), StoreError>;
    /// The highest `seq` of a client in a space that exists; 0 when there is none.
    fn seq(&mut self, space: &SpaceName, client: &str) -> Result<u64, StoreError>;
    /// Remembers a client's `seq` in a space that exists.
    fn set_seq(&mut self, space: &SpaceName, client: &str, seq: u64) -> Result<(), StoreError>;
}

/// Carries out a push (§4).
pub(super) fn push(transaction: &mut impl Writing, request: &PushRequest) -> Result<Pushed, StoreError> {
    let choice = request.collections.as_ref();
    let mut previous_head = Rev::ZERO;
    let mut last_seq = 0;
    match transaction.space(&request.space)? {
        None if request.cursor.is_some() => return Ok(Pushed::NoSpace),
        None => {}
        Some(state) => {
            if let Some(cursor) = &request.cursor
                && let Err(resync) = push::check_cursor(cursor, choice, state)
            {
                return Ok(Pushed::Resync(resync));
            }
            previous_head = state.head;
            if let Some((client, _)) = &request.seq {
                last_seq = transaction.seq(&request.space, client.as_str())?;
            }
        }
    }
    let duplicate = request.seq.as_ref().is_some_and(|(_, seq)| *seq <= last_seq);
    let quota = quota(transaction, &request.space)?;
    let judged = judge(transaction, request, quota, previous_head, duplicate)?;
    let harmless = judged.iter().all(|(_, decision)| !matches!(decision, Decision::Conflict | Decision::Reject(_)));
    let refused = request.atomic && !harmless && !duplicate;
    let writes = |decision: &Decision| matches!(decision, Decision::Put(_) | Decision::Delete);
    let applied = if refused { 0 } else { judged.iter().filter(|(_, decision)| writes(decision)).count() };
    let to_write = request.changes.iter().zip(&judged).filter_map(|(change, (existing, decision))| match decision {
        Decision::Put(data) => Some((&change.id, existing, Some(data))),
        Decision::Delete => Some((&change.id, existing, None)),
        Decision::Unchanged | Decision::Conflict | Decision::Reject(_) => None,
    });
    if applied > 0
        && let Some(excess) = excess(transaction, &request.space, quota, to_write)?
    {
        return Ok(Pushed::OverQuota(excess));
    }
    if applied > 0 && transaction.space(&request.space)?.is_none() {
        transaction.create_space(&request.space, None)?;
    }
    let head = previous_head.plus(applied as u64);
    let cursor = transaction
        .space(&request.space)?
        .map(|state| push::renew_cursor(request.cursor.as_ref(), choice, state, head));
    let mut results = Vec::with_capacity(judged.len());
    for (change, (existing, decision)) in request.changes.iter().zip(judged) {
        let state = match decision {
            Decision::Put(_) | Decision::Delete if refused => {
                results.push(Outcome::NotApplied);
                continue;
            }
            Decision::Put(data) => State::Live(data),
            Decision::Delete => State::Deleted,
            Decision::Unchanged => {
                results.push(Outcome::Unchanged(revision(&existing)));
                continue;
            }
            Decision::Conflict => {
                results.push(Outcome::Conflict(as_change(&change.collection, &change.id, existing)));
                continue;
            }
            Decision::Reject(limit) => {
                results.push(Outcome::Rejected(limit));
                continue;
            }
        };
        let applied = transaction.apply(&request.space, &change.collection, &change.id, &existing, state);
        let (rev, modified_at) = applied?;
        results.push(Outcome::Applied { rev, modified_at });
    }
    let answer = PushAnswer { results, previous_head, head, cursor, duplicate };
    if refused {
        return Ok(Pushed::Refused(answer));
    }
    if let Some((client, seq)) = &request.seq
        && !duplicate
        && transaction.space(&request.space)?.is_some()
    {
        transaction.set_seq(&request.space, client.as_str(), *seq)?;
    }
    Ok(Pushed::Done(answer))
}

/// Decides every change of a push before any is written, so that an atomic one that is refused leaves no trace.
fn judge(
    transaction: &mut impl Writing,
    request: &PushRequest,
    quota: Quota,
    head: Rev,
    duplicate: bool,
) -> Result<Vec<(Existing, Decision)>, StoreError> {
    let limits = RecordLimits { bytes: request.max_record_bytes, quota };
    let mut judged = Vec::with_capacity(request.changes.len());
    for change in &request.changes {
        let existing = transaction.existing(&request.space, &change.collection, &change.id)?;
        let counts = request.collections.as_ref().is_none_or(|choice| choice.contains(&change.collection));
        let cursor = request.cursor.filter(|_| counts).map(|cursor| cursor.rev);
        let decision = if duplicate {
            push::decide_duplicate(&existing, &change.op)
        } else {
            let knowledge = Knowledge { head, cursor };
            push::decide(&existing, &change.op, change.base, knowledge, limits)
        };
        judged.push((existing, decision));
    }
    Ok(judged)
}

/// What counts as the quota of a space, also of one that is not there yet.
fn quota(transaction: &mut impl Writing, space: &SpaceName) -> Result<Quota, StoreError> {
    let default = transaction.default_quota();
    Ok(transaction.space(space)?.map_or(default, |state| state.quota.under(default)))
}

/// The quota that stands against what these writes, each with what is there and what is to be, would leave in the space.
fn excess<'w>(
    transaction: &mut impl Writing,
    space: &SpaceName,
    quota: Quota,
    writes: impl Iterator<Item = (&'w RecordId, &'w Existing, Option<&'w Document>)>,
) -> Result<Option<Excess>, StoreError> {
    if !quota.bounds_space() {
        return Ok(None);
    }
    let held = transaction.space(space)?.map(|state| Usage::of(&state.tally(None))).unwrap_or_default();
    let mut then = held;
    for (id, existing, after) in writes {
        let before = match existing {
            Existing::Record { data, .. } => data.as_ref(),
            Existing::Nothing => None,
        };
        then.replace(id.as_str().len(), before, after);
    }
    Ok(quota.admit(held, then).err())
}

/// Carries out a write of one record (§5).
pub(super) fn write(transaction: &mut impl Writing, request: &RecordWrite) -> Result<Written, StoreError> {
    let RecordWrite { space, collection, id, .. } = request;
    let existing = transaction.existing(space, collection, id)?;
    let known = transaction.space(space)?.is_some();
    let apply = |transaction: &mut _, state: State| {
        let (rev, modified_at) = Writing::apply(transaction, space, collection, id, &existing, state.clone())?;
        Ok::<_, StoreError>(Change { collection: collection.clone(), id: id.clone(), rev, modified_at, state })
    };
    let quota = quota(transaction, space)?;
    let limits = RecordLimits { bytes: request.max_record_bytes, quota };
    match record::decide(&existing, &request.op, &request.guard, limits) {
        WriteDecision::Put { data, created } => {
            let writes = std::iter::once((id, &existing, Some(&data)));
            if let Some(excess) = excess(transaction, space, quota, writes)? {
                return Ok(Written::OverQuota(excess));
            }
            if !known {
                transaction.create_space(space, None)?;
            }
            let record = apply(transaction, State::Live(data))?;
            Ok(Written::Done { record, created })
        }
        WriteDecision::Delete => {
            let record = apply(transaction, State::Deleted)?;
            Ok(Written::Done { record, created: false })
        }
        WriteDecision::Unchanged => match as_change(collection, id, existing) {
            Some(record) => Ok(Written::Done { record, created: false }),
            None => Err(StoreError::internal("a record that is not there was found unchanged")),
        },
        WriteDecision::Reject(limit) => Ok(Written::Rejected(limit)),
        WriteDecision::NotFound if !known => Ok(Written::NoSpace),
        WriteDecision::NotFound => Ok(Written::NotFound(as_change(collection, id, existing))),
        WriteDecision::PreconditionFailed => Ok(Written::PreconditionFailed(as_change(collection, id, existing))),
    }
}

/// Gives a record a revision in the counts of its space: the arithmetic of a change. Answers its revision and time.
///
/// # Errors
/// When the space has used up its revisions.
pub(super) fn count_change(
    space: &mut SpaceState,
    collection: &CollectionName,
    id: &RecordId,
    existing: &Existing,
    data: Option<&Document>,
    now: Timestamp,
) -> Result<(Rev, Timestamp), StoreError> {
    let rev = space.head.plus(1);
    if rev == space.head {
        return Err(StoreError::internal(format!("space {} has used up its revisions", space.name)));
    }
    // The clock may have gone back; modified_at never does.
    let modified_at = now.max(space.modified_at);
    let bytes = id.as_str().len();
    let tally = match space.collections.get_mut(collection) {
        Some(tally) => tally,
        None => space.collections.entry(collection.clone()).or_default(),
    };
    if let Existing::Record { rev: old, data: before, .. } = existing {
        forget(tally, *old, bytes, before.as_ref());
    }
    if let Some(data) = data {
        tally.live += 1;
        tally.live_bytes += (bytes + data.len()) as u64;
        tally.checksum.toggle(rev);
    } else {
        tally.tombstones += 1;
        tally.tombstone_bytes += bytes as u64;
    }
    tally.head = rev;
    space.head = rev;
    space.modified_at = modified_at;
    Ok((rev, modified_at))
}

/// Takes a record's old version out of the counts.
fn forget(tally: &mut CollectionState, old: Rev, id_bytes: usize, data: Option<&Document>) {
    if let Some(data) = data {
        tally.live = tally.live.saturating_sub(1);
        tally.live_bytes = tally.live_bytes.saturating_sub((id_bytes + data.len()) as u64);
        tally.checksum.toggle(old);
    } else {
        tally.tombstones = tally.tombstones.saturating_sub(1);
        tally.tombstone_bytes = tally.tombstone_bytes.saturating_sub(id_bytes as u64);
    }
}

/// Takes purged tombstones out of the counts of their collection, and raises its horizon with them.
pub(super) fn count_purge(tally: &mut CollectionState, tombstones: u64, bytes: u64, horizon: (Rev, Timestamp)) {
    tally.tombstones = tally.tombstones.saturating_sub(tombstones);
    tally.tombstone_bytes = tally.tombstone_bytes.saturating_sub(bytes);
    if horizon.0 > tally.horizon {
        (tally.horizon, tally.horizon_at) = horizon;
    }
}

/// How long a client's `seq` is kept after its last use, in microseconds (§4: at least 400 days); and a day, by which
/// the noted time may be older.
pub(super) const SEQ_KEPT: i64 = 401 * 86_400 * 1_000_000;

/// An epoch that was never seen before.
pub(super) fn new_epoch() -> Epoch {
    Epoch::from_random(uuid::Uuid::new_v4().as_u128())
}

fn revision(existing: &Existing) -> Option<(Rev, Timestamp)> {
    match existing {
        Existing::Nothing => None,
        Existing::Record { rev, modified_at, .. } => Some((*rev, *modified_at)),
    }
}

fn as_change(collection: &CollectionName, id: &RecordId, existing: Existing) -> Option<Change> {
    match existing {
        Existing::Nothing => None,
        Existing::Record { rev, modified_at, data } => Some(Change {
            collection: collection.clone(),
            id: id.clone(),
            rev,
            modified_at,
            state: data.map_or(State::Deleted, State::Live),
        }),
    }
}
