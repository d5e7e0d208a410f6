//! The writing operations that are SQLite's own, each within a transaction of the writer's.

use diesel::prelude::*;

use super::connection::failure;
use super::transaction::Transaction;
use crate::domain::{RetentionPolicy, SpaceName, Timestamp};
use crate::store::schema::{anonymous_pulls, clients, collections, epochs, known_clients, records, samples, spaces};
use crate::store::writes::{SEQ_KEPT, Writing};
use crate::store::{PolicyChange, StoreError};

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
        .and_then(|_| {
            let seen = known_clients::table.filter(known_clients::space_id.eq(space));
            diesel::delete(seen).execute(transaction.connection)
        })
        .and_then(|_| {
            let pulls = anonymous_pulls::table.filter(anonymous_pulls::space_id.eq(space));
            diesel::delete(pulls).execute(transaction.connection)
        })
        .and_then(|_| {
            diesel::delete(samples::table.filter(samples::space_id.eq(space))).execute(transaction.connection)
        })
        .and_then(|_| diesel::delete(spaces::table.find(space)).execute(transaction.connection))
        .map_err(failure)
}
