//! The writing operations that are no client's edits: each a transaction of its own on the locked row of its space.

use std::sync::Arc;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::fault::Fault;
use super::group::{make_space, new_version};
use super::rows::{self, VERSIONED, VersionedColumns};
use super::statements::ForgetClients;
use super::states::Known;
use crate::domain::{Lineage, QuotaChange, QuotaRule, RetentionPolicy, Rev, SpaceName, SpaceState, Timestamp};
use crate::store::rows::quota_values;
use crate::store::schema::{anonymous_pulls, clients, collections, epochs, known_clients, records, samples, spaces};
use crate::store::writes::{SEQ_KEPT, new_epoch};
use crate::store::{PolicyChange, StoreError};

/// Locks a space and reads it; `None` when there is none of that name.
async fn lock(mut connection: &AsyncPgConnection, name: &SpaceName) -> Result<Option<Arc<Known>>, Fault> {
    let row = spaces::table
        .filter(spaces::name.eq(name.as_str()))
        .select(VERSIONED)
        .for_update()
        .get_result::<VersionedColumns>(&mut connection)
        .await
        .optional()?;
    match row {
        Some(row) => Ok(rows::assemble(connection, vec![row]).await?.pop()),
        None => Ok(None),
    }
}

/// Locks a space and reads it; an error when there is none.
pub(super) async fn lock_existing(connection: &AsyncPgConnection, name: &SpaceName) -> Result<Arc<Known>, Fault> {
    lock(connection, name).await?.ok_or_else(|| Fault::Store(StoreError::NoSpace(name.clone())))
}

/// Creates or configures a space; answers it, and whether it was created.
pub(super) async fn configure(
    mut connection: &AsyncPgConnection,
    name: &SpaceName,
    change: PolicyChange,
    default: RetentionPolicy,
    now: Timestamp,
) -> Result<(Arc<SpaceState>, bool), Fault> {
    let Some(known) = lock(connection, name).await? else {
        let state = SpaceState {
            name: name.clone(),
            lineage: Lineage::new(new_epoch()),
            head: Rev::ZERO,
            policy: change.applied_to(default),
            quota: QuotaRule::default(),
            created_at: now,
            modified_at: now,
            collections: std::collections::BTreeMap::new(),
        };
        make_space(connection, &state).await?;
        return Ok((Arc::new(state), true));
    };
    let mut state = SpaceState::clone(&known.row.state);
    state.policy = change.applied_to(state.policy);
    diesel::update(spaces::table.find(known.row.id))
        .set((
            spaces::retention.eq(state.policy.retention.to_string()),
            spaces::hold_for_clients.eq(state.policy.hold_for_clients),
            spaces::max_retention.eq(state.policy.max_retention.to_string()),
            spaces::max_tombstones.eq(state.policy.max_tombstones.map(u64::cast_signed)),
            spaces::version.eq(new_version()),
        ))
        .execute(&mut connection)
        .await?;
    Ok((Arc::new(state), false))
}

/// Changes what a space says of its quota; answers the space.
pub(super) async fn set_quota(
    mut connection: &AsyncPgConnection,
    name: &SpaceName,
    change: QuotaChange,
) -> Result<Arc<SpaceState>, Fault> {
    let known = lock_existing(connection, name).await?;
    let mut state = SpaceState::clone(&known.row.state);
    state.quota = change.applied_to(state.quota);
    diesel::update(spaces::table.find(known.row.id))
        .set((quota_values(state.quota), spaces::version.eq(new_version())))
        .execute(&mut connection)
        .await?;
    Ok(Arc::new(state))
}

/// Takes a space's name away: it is gone, and its rows are left to be swept.
pub(super) async fn delete(mut connection: &AsyncPgConnection, name: &SpaceName) -> Result<(), Fault> {
    let known = lock_existing(connection, name).await?;
    diesel::update(spaces::table.find(known.row.id))
        .set((spaces::name.eq(None::<String>), spaces::version.eq(new_version())))
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// Opens a new epoch of a space at its head; answers the space.
pub(super) async fn open_epoch(mut connection: &AsyncPgConnection, name: &SpaceName) -> Result<Arc<SpaceState>, Fault> {
    let known = lock_existing(connection, name).await?;
    let mut state = SpaceState::clone(&known.row.state);
    let ordinal = i64::try_from(state.lineage.entries().count()).map_err(StoreError::internal)?;
    let epoch = new_epoch();
    state.lineage.open(epoch, state.head);
    diesel::insert_into(epochs::table)
        .values((
            epochs::space_id.eq(known.row.id),
            epochs::ordinal.eq(ordinal),
            epochs::epoch.eq(epoch.as_str()),
            epochs::opened_at.eq(state.head.to_stored()),
        ))
        .execute(&mut connection)
        .await?;
    diesel::update(spaces::table.find(known.row.id))
        .set(spaces::version.eq(new_version()))
        .execute(&mut connection)
        .await?;
    Ok(Arc::new(state))
}

/// Removes rows of deleted spaces, and numbers of clients that have not pushed for longer than they are promised to be
/// remembered. Answers how many rows went. Two nodes that sweep at once take different rows, or none.
pub(super) async fn sweep_step(
    mut connection: &AsyncPgConnection,
    now: Timestamp,
    max_rows: usize,
) -> Result<usize, Fault> {
    let limit = i64::try_from(max_rows.max(1)).unwrap_or(i64::MAX);
    let before = now.micros().saturating_sub(SEQ_KEPT);
    let stale = ForgetClients { before, again: before, limit }.execute(&mut connection).await?;
    let gone = spaces::table
        .filter(spaces::name.is_null().and(spaces::copying.is_null()))
        .select(spaces::id)
        .order(spaces::id)
        .for_update()
        .skip_locked()
        .first::<i64>(&mut connection)
        .await
        .optional()?;
    let Some(space) = gone else { return Ok(stale) };
    let revs = records::table
        .filter(records::space_id.eq(space))
        .order(records::rev)
        .limit(limit)
        .select(records::rev)
        .load::<i64>(&mut connection)
        .await?;
    if let Some(last) = revs.last() {
        let rows = records::table.filter(records::space_id.eq(space).and(records::rev.le(last)));
        diesel::delete(rows).execute(&mut connection).await?;
        return Ok(stale + revs.len());
    }
    diesel::delete(collections::table.filter(collections::space_id.eq(space))).execute(&mut connection).await?;
    diesel::delete(epochs::table.filter(epochs::space_id.eq(space))).execute(&mut connection).await?;
    diesel::delete(clients::table.filter(clients::space_id.eq(space))).execute(&mut connection).await?;
    diesel::delete(known_clients::table.filter(known_clients::space_id.eq(space))).execute(&mut connection).await?;
    diesel::delete(anonymous_pulls::table.filter(anonymous_pulls::space_id.eq(space))).execute(&mut connection).await?;
    diesel::delete(samples::table.filter(samples::space_id.eq(space))).execute(&mut connection).await?;
    Ok(stale + diesel::delete(spaces::table.find(space)).execute(&mut connection).await?)
}
