//! The writing operations, each within a transaction of the writer's: read what is there, let the domain decide, write.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::connection::failure;
use super::transaction::Transaction;
use crate::domain::push::{self, Decision, Existing, Knowledge, Outcome, PushAnswer, PushRequest, Pushed};
use crate::domain::record::{self, RecordWrite, WriteDecision, Written};
use crate::domain::{Change, CollectionName, RecordId, Rev, SpaceName, State, Timestamp};
use crate::store::schema::{clients, collections, epochs, records, spaces};
use crate::store::{PolicyChange, Purged, StoreError};

/// Carries out a push (§4).
pub(super) fn push(transaction: &mut Transaction<'_>, request: &PushRequest) -> Result<Pushed, StoreError> {
    let choice = request.collections.as_ref();
    let mut previous_head = Rev::ZERO;
    let mut last_seq = 0;
    match transaction.space(&request.space)? {
        None if request.cursor.is_some() => return Ok(Pushed::NoSpace),
        None => {}
        Some(space) => {
            if let Some(cursor) = &request.cursor
                && let Err(resync) = push::check_cursor(cursor, choice, &space.state)
            {
                return Ok(Pushed::Resync(resync));
            }
            previous_head = space.state.head;
            if let Some((client, _)) = &request.seq {
                let id = space.id;
                last_seq = transaction.seq(id, client.as_str())?;
            }
        }
    }
    let duplicate = request.seq.as_ref().is_some_and(|(_, seq)| *seq <= last_seq);
    let judged = judge(transaction, request, previous_head, duplicate)?;
    let harmless = judged.iter().all(|(_, decision)| !matches!(decision, Decision::Conflict | Decision::Reject(_)));
    let refused = request.atomic && !harmless && !duplicate;
    let writes = |decision: &Decision| matches!(decision, Decision::Put(_) | Decision::Delete);
    let applied = if refused { 0 } else { judged.iter().filter(|(_, decision)| writes(decision)).count() };
    if applied > 0 && transaction.space(&request.space)?.is_none() {
        transaction.create_space(&request.space, None)?;
    }
    let head = previous_head.plus(applied as u64);
    let cursor = transaction
        .space(&request.space)?
        .map(|space| push::renew_cursor(request.cursor.as_ref(), choice, &space.state, head));
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
        let done = transaction.apply(&request.space, &change.collection, &change.id, &existing, state)?;
        results.push(Outcome::Applied { rev: done.rev, modified_at: done.modified_at });
    }
    let answer = PushAnswer { results, previous_head, head, cursor, duplicate };
    if refused {
        return Ok(Pushed::Refused(answer));
    }
    if let Some((client, seq)) = &request.seq
        && !duplicate
        && let Some(space) = transaction.space(&request.space)?
    {
        let id = space.id;
        transaction.set_seq(id, client.as_str(), *seq)?;
    }
    Ok(Pushed::Done(answer))
}

/// Decides every change of a push before any is written, so that an atomic one that is refused leaves no trace.
fn judge(
    transaction: &mut Transaction<'_>,
    request: &PushRequest,
    head: Rev,
    duplicate: bool,
) -> Result<Vec<(Existing, Decision)>, StoreError> {
    let mut judged = Vec::with_capacity(request.changes.len());
    for change in &request.changes {
        let existing = transaction.existing(&request.space, &change.collection, &change.id)?;
        let counts = request.collections.as_ref().is_none_or(|choice| choice.contains(&change.collection));
        let cursor = request.cursor.filter(|_| counts).map(|cursor| cursor.rev);
        let decision = if duplicate {
            push::decide_duplicate(&existing, &change.op)
        } else {
            let knowledge = Knowledge { head, cursor };
            push::decide(&existing, &change.op, change.base, knowledge, request.max_record_bytes)
        };
        judged.push((existing, decision));
    }
    Ok(judged)
}

/// Carries out a write of one record (§5).
pub(super) fn write(transaction: &mut Transaction<'_>, request: &RecordWrite) -> Result<Written, StoreError> {
    let RecordWrite { space, collection, id, .. } = request;
    let existing = transaction.existing(space, collection, id)?;
    let known = transaction.space(space)?.is_some();
    match record::decide(&existing, &request.op, &request.guard, request.max_record_bytes) {
        WriteDecision::Put { data, created } => {
            if !known {
                transaction.create_space(space, None)?;
            }
            let record = transaction.apply(space, collection, id, &existing, State::Live(data))?;
            Ok(Written::Done { record, created })
        }
        WriteDecision::Delete => {
            let record = transaction.apply(space, collection, id, &existing, State::Deleted)?;
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

/// Creates or configures a space; answers whether it was created.
pub(super) fn configure(
    transaction: &mut Transaction<'_>,
    name: &SpaceName,
    change: PolicyChange,
    default: crate::domain::RetentionPolicy,
) -> Result<bool, StoreError> {
    if let Some(space) = transaction.space(name)? {
        let policy = change.applied_to(space.state.policy);
        transaction.set_policy(name, policy)?;
        return Ok(false);
    }
    transaction.create_space(name, Some(change.applied_to(default)))?;
    Ok(true)
}

/// Purges the oldest tombstones of each collection up to `cut`, at most `max_rows` (§7).
///
/// It deletes rows that are tombstones at the revision it saw: both happen under the write lock.
pub(super) fn purge_step(
    transaction: &mut Transaction<'_>,
    name: &SpaceName,
    cut: Timestamp,
    max_rows: usize,
) -> Result<Purged, StoreError> {
    let space = transaction.existing_space(name)?;
    let horizon_before = space.state.tally(None).horizon;
    let waiting: Vec<(CollectionName, i64)> = space
        .state
        .collections
        .iter()
        .filter(|(_, state)| state.tombstones > 0)
        .filter_map(|(name, _)| space.collection_id(name).map(|id| (name.clone(), id)))
        .collect();
    let mut total = Purged { horizon_before, horizon: horizon_before, ..Purged::default() };
    let mut room = max_rows.max(1);
    for (collection, id) in waiting {
        let limit = i64::try_from(room + 1).unwrap_or(i64::MAX);
        let mut doomed = records::table
            .filter(records::collection_id.eq(id).and(sql::<Bool>("deleted = 1")))
            .order(records::rev)
            .select((records::rev, records::modified_at, records::id))
            .limit(limit)
            .load::<(i64, i64, String)>(transaction.connection)
            .map_err(failure)?;
        doomed.retain(|(_, modified_at, _)| *modified_at <= cut.micros());
        if doomed.len() > room {
            total.more = true;
            doomed.truncate(room);
        }
        let Some((rev, modified_at, _)) = doomed.last() else { continue };
        let horizon = (Rev::from_stored(*rev), Timestamp::from_micros(*modified_at));
        // Those that were just read: nothing comes between, and the same partial index finds them.
        let rows = records::table
            .filter(records::collection_id.eq(id).and(sql::<Bool>("deleted = 1")))
            .filter(records::rev.le(rev));
        diesel::delete(rows).execute(transaction.connection).map_err(failure)?;
        let bytes = doomed.iter().map(|(.., id)| id.len() as u64).sum();
        transaction.book_purge(name, &collection, doomed.len() as u64, bytes, horizon)?;
        total.tombstones += doomed.len() as u64;
        total.bytes += bytes;
        total.horizon = total.horizon.max(horizon.0);
        room -= doomed.len();
        if room == 0 {
            total.more = true;
            break;
        }
    }
    Ok(total)
}

/// How long a client's `seq` is kept after its last use, in microseconds (§4: at least 400 days).
const SEQ_KEPT: i64 = 400 * 86_400 * 1_000_000;

/// Removes rows of deleted spaces, and numbers of clients that have not pushed for longer than they are promised to be
/// remembered. Answers how many rows went.
pub(super) fn sweep_step(
    transaction: &mut Transaction<'_>,
    now: Timestamp,
    max_rows: usize,
) -> Result<usize, StoreError> {
    let stale = diesel::delete(clients::table.filter(clients::used_at.lt(now.micros().saturating_sub(SEQ_KEPT))))
        .execute(transaction.connection)
        .map_err(failure)?;
    let gone = spaces::table
        .filter(spaces::name.is_null())
        .select(spaces::id)
        .first::<i64>(transaction.connection)
        .optional()
        .map_err(failure)?;
    let Some(space) = gone else { return Ok(stale) };
    let limit = i64::try_from(max_rows.max(1)).unwrap_or(i64::MAX);
    let revs = records::table
        .filter(records::space_id.eq(space))
        .order(records::rev)
        .limit(limit)
        .select(records::rev)
        .load::<i64>(transaction.connection)
        .map_err(failure)?;
    if let Some(last) = revs.last() {
        let rows = records::table.filter(records::space_id.eq(space).and(records::rev.le(last)));
        diesel::delete(rows).execute(transaction.connection).map_err(failure)?;
        return Ok(stale + revs.len());
    }
    diesel::delete(collections::table.filter(collections::space_id.eq(space)))
        .execute(transaction.connection)
        .and_then(|_| diesel::delete(epochs::table.filter(epochs::space_id.eq(space))).execute(transaction.connection))
        .and_then(|_| {
            diesel::delete(clients::table.filter(clients::space_id.eq(space))).execute(transaction.connection)
        })
        .and_then(|_| diesel::delete(spaces::table.find(space)).execute(transaction.connection))
        .map_err(failure)
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
