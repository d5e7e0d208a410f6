//! Purging: how far it may go, what it would do, and its steps (PROTOCOL.md §7).

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::StreamExt;

use super::admin::lock_existing;
use super::fault::Fault;
use super::group::new_version;
use super::statements::{CountTombstones, Sizes, UpdateCollections};
use super::states::Known;
use super::{clients, reads, rows};
use crate::domain::forecast::{Doomed, Forecast, Forecasting, Survey, edges};
use crate::domain::purge::{Marks, PurgeBounds, PurgeRule};
use crate::domain::{CollectionName, Rev, SpaceName, Timestamp};
use crate::store::rows::SpaceRow;
use crate::store::schema::{records, spaces};
use crate::store::writes::count_purge;
use crate::store::{Costs, Purged};

/// Up to where a purge by this rule may go.
pub(super) async fn bounds(
    connection: &AsyncPgConnection,
    name: &SpaceName,
    rule: &PurgeRule,
    remembered: Option<&Arc<Known>>,
) -> Result<PurgeBounds, Fault> {
    let known = rows::existing_space(connection, name, remembered).await?;
    let clients = if rule.hold.is_some() { clients::all(connection, known.row.id).await? } else { Vec::new() };
    let marks = marks(connection, &known.row, rule).await?;
    Ok(PurgeBounds::new(&known.row.state, rule, marks, &clients))
}

async fn marks(connection: &AsyncPgConnection, space: &SpaceRow, rule: &PurgeRule) -> Result<Marks, Fault> {
    let tombstones = space.state.tally(None).tombstones;
    let surplus = rule.keep.map_or(0, |keep| tombstones.saturating_sub(keep));
    Ok(Marks {
        cut: upto(connection, space, rule.cut).await?,
        released: upto(connection, space, rule.hold.and_then(|hold| hold.until)).await?,
        surplus: if surplus == 0 { Rev::ZERO } else { nth_tombstone(connection, space, surplus).await? },
    })
}

/// The revision up to which everything is of `time` or before.
async fn upto(connection: &AsyncPgConnection, space: &SpaceRow, time: Option<Timestamp>) -> Result<Rev, Fault> {
    match time {
        None => Ok(Rev::ZERO),
        Some(time) => reads::before(connection, space, Timestamp::from_micros(time.micros().saturating_add(1))).await,
    }
}

/// The revision of the `n`th oldest tombstone of a space, from 1 on. Found by halves, as they lie in one index for each
/// collection.
async fn nth_tombstone(connection: &AsyncPgConnection, space: &SpaceRow, n: u64) -> Result<Rev, Fault> {
    let (mut low, mut high, mut below) = (0, space.state.head.get(), 0);
    // Up to `low` there are `below`, fewer than n; up to `high` there are n at the least.
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        let mut part = 0;
        for (collection, _) in &space.collections {
            part += count(connection, *collection, low, middle).await?.tombstones;
        }
        if below + part >= n {
            high = middle;
        } else {
            (low, below) = (middle, below + part);
        }
    }
    Ok(Rev::from_stored(high.cast_signed()))
}

/// The tombstones of a collection after `after` and up to `upto`.
async fn count(mut connection: &AsyncPgConnection, collection: i64, after: u64, upto: u64) -> Result<Doomed, Fault> {
    let statement = CountTombstones { collection, after: after.cast_signed(), upto: upto.cast_signed() };
    let (tombstones, bytes, newest) = statement.get_result::<(i64, i64, i64)>(&mut connection).await?;
    Ok(Doomed { tombstones: tombstones.unsigned_abs(), bytes: bytes.unsigned_abs(), newest: Rev::from_stored(newest) })
}

/// When the oldest tombstone of a space was written.
pub(super) async fn oldest(
    connection: &AsyncPgConnection,
    name: &SpaceName,
    remembered: Option<&Arc<Known>>,
) -> Result<Option<Timestamp>, Fault> {
    let known = rows::existing_space(connection, name, remembered).await?;
    reads::oldest_tombstone(connection, &known.row, None, &known.row.state.tally(None), Rev::ZERO).await
}

/// What a purge by each of these rules would do.
pub(super) async fn forecast(
    connection: &AsyncPgConnection,
    name: &SpaceName,
    rules: &[PurgeRule],
    costs: Costs,
    remembered: Option<&Arc<Known>>,
) -> Result<Vec<Forecast>, Fault> {
    let known = rows::existing_space(connection, name, remembered).await?;
    let space = &known.row;
    let clients = clients::all(connection, space.id).await?;
    let mut bounds = Vec::with_capacity(rules.len());
    for rule in rules {
        let marks = marks(connection, space, rule).await?;
        bounds.push(PurgeBounds::new(&space.state, rule, marks, &clients));
    }
    let mut counted = BTreeMap::new();
    for (collection, edges) in edges(&bounds) {
        let Some(id) = space.collection_id(&collection) else { continue };
        let mut parts = Vec::with_capacity(edges.len());
        let mut after = Rev::ZERO;
        for edge in edges {
            parts.push((edge, count(connection, id, after.get(), edge.get()).await?));
            after = edge;
        }
        counted.insert(collection, parts);
    }
    let forecasting = Forecasting::new(&space.state, &clients, &bounds, &counted);
    let mut surveys = if costs == Costs::Told { forecasting.surveys() } else { Vec::new() };
    if !surveys.is_empty() {
        survey(connection, space, &mut surveys).await?;
    }
    Ok(forecasting.finish(&surveys))
}

/// Feeds every live record to the surveys.
async fn survey(mut connection: &AsyncPgConnection, space: &SpaceRow, surveys: &mut [Survey]) -> Result<(), Fault> {
    let names: BTreeMap<i64, &CollectionName> = space.collections.iter().map(|(id, name)| (*id, name)).collect();
    let mut sizes = pin!(Sizes { space: space.id }.load_stream::<(i64, i64, i64)>(&mut connection).await?);
    while let Some(size) = sizes.next().await {
        let (rev, collection, bytes) = size?;
        let Some(collection) = names.get(&collection) else { continue };
        for survey in &mut *surveys {
            survey.take(collection, Rev::from_stored(rev), bytes.unsigned_abs());
        }
    }
    Ok(())
}

/// Purges the oldest tombstones of each collection within `bounds`, at most `max_rows`.
///
/// It deletes rows that are tombstones at the revision it saw: both happen under the lock of the space's row.
pub(super) async fn step(
    mut connection: &AsyncPgConnection,
    name: &SpaceName,
    bounds: &PurgeBounds,
    max_rows: usize,
) -> Result<Purged, Fault> {
    let asked = Instant::now();
    let known = lock_existing(connection, name).await?;
    let waited = asked.elapsed();
    let state = &known.row.state;
    let horizon_before = state.tally(None).horizon;
    let mut total = Purged { horizon_before, horizon: horizon_before, waited, ..Purged::default() };
    if state.epoch() != bounds.epoch {
        return Ok(total);
    }
    let mut room = max_rows.max(1);
    let mut changed = UpdateCollections::default();
    for (id, collection) in &known.row.collections {
        let Some(tally) = state.collections.get(collection).filter(|tally| tally.tombstones > 0) else { continue };
        let limit = i64::try_from(room + 1).unwrap_or(i64::MAX);
        let mut doomed = records::table
            .filter(records::collection_id.eq(id).and(records::deleted))
            .filter(records::rev.le(bounds.of(collection).to_stored()))
            .order(records::rev)
            .select((records::rev, records::modified_at, sql::<BigInt>("octet_length(id)::bigint")))
            .limit(limit)
            .load::<(i64, i64, i64)>(&mut connection)
            .await?;
        if doomed.len() > room {
            total.more = true;
            doomed.truncate(room);
        }
        let Some((rev, modified_at, _)) = doomed.last() else { continue };
        let horizon = (Rev::from_stored(*rev), Timestamp::from_micros(*modified_at));
        let rows =
            records::table.filter(records::collection_id.eq(id).and(records::deleted)).filter(records::rev.le(rev));
        diesel::delete(rows).execute(&mut connection).await?;
        let bytes = doomed.iter().map(|(.., bytes)| bytes.unsigned_abs()).sum();
        let mut tally = *tally;
        count_purge(&mut tally, doomed.len() as u64, bytes, horizon);
        changed.push(*id, &tally);
        total.tombstones += doomed.len() as u64;
        total.bytes += bytes;
        total.horizon = total.horizon.max(horizon.0);
        room -= doomed.len();
        if room == 0 {
            total.more = true;
            break;
        }
    }
    if total.tombstones > 0 {
        changed.execute(&mut connection).await?;
        diesel::update(spaces::table.find(known.row.id))
            .set(spaces::version.eq(new_version()))
            .execute(&mut connection)
            .await?;
    }
    Ok(total)
}
