//! The writing operations that are SQLite's own, each within a transaction of the writer's.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::connection::failure;
use super::transaction::Transaction;
use crate::domain::{CollectionName, RetentionPolicy, Rev, SpaceName, Timestamp};
use crate::store::schema::{clients, collections, epochs, records, spaces};
use crate::store::writes::{SEQ_KEPT, Writing};
use crate::store::{PolicyChange, Purged, StoreError};

/// Creates or configures a space; answers whether it was created.
pub(super) fn configure(
    transaction: &mut Transaction<'_>,
    name: &SpaceName,
    change: PolicyChange,
    default: RetentionPolicy,
) -> Result<bool, StoreError> {
    if let Some(state) = transaction.space(name)? {
        let policy = change.applied_to(state.policy);
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
        .filter(spaces::name.is_null().and(spaces::copying.is_null()))
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
