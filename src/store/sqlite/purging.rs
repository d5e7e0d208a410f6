//! Purging: how far it may go, what it would do, and its steps (PROTOCOL.md §7).

use std::collections::BTreeMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::connection::failure;
use super::transaction::Transaction;
use super::{clients, reads, rows};
use crate::domain::forecast::{Doomed, Forecast, Forecasting, Survey, edges};
use crate::domain::purge::{Marks, PurgeBounds, PurgeRule};
use crate::domain::{CollectionName, Rev, SpaceName, Timestamp};
use crate::store::rows::SpaceRow;
use crate::store::schema::records;
use crate::store::{Costs, Purged, StoreError};

/// Up to where a purge by this rule may go.
pub(super) fn bounds(
    connection: &mut SqliteConnection,
    name: &SpaceName,
    rule: &PurgeRule,
) -> Result<PurgeBounds, StoreError> {
    let space = rows::existing_space(connection, name)?;
    let clients = if rule.hold.is_some() { clients::all(connection, space.id)? } else { Vec::new() };
    let marks = marks(connection, &space, rule)?;
    Ok(PurgeBounds::new(&space.state, rule, marks, &clients))
}

fn marks(connection: &mut SqliteConnection, space: &SpaceRow, rule: &PurgeRule) -> Result<Marks, StoreError> {
    let tombstones = space.state.tally(None).tombstones;
    let surplus = rule.keep.map_or(0, |keep| tombstones.saturating_sub(keep));
    Ok(Marks {
        cut: upto(connection, space, rule.cut)?,
        released: upto(connection, space, rule.hold.and_then(|hold| hold.until))?,
        surplus: if surplus == 0 { Rev::ZERO } else { nth_tombstone(connection, space, surplus)? },
    })
}

/// The revision up to which everything is of `time` or before.
fn upto(connection: &mut SqliteConnection, space: &SpaceRow, time: Option<Timestamp>) -> Result<Rev, StoreError> {
    match time {
        None => Ok(Rev::ZERO),
        Some(time) => reads::before(connection, space, Timestamp::from_micros(time.micros().saturating_add(1))),
    }
}

/// The revision of the `n`th oldest tombstone of a space, from 1 on. Found by halves, as they lie in one index for each
/// collection.
fn nth_tombstone(connection: &mut SqliteConnection, space: &SpaceRow, n: u64) -> Result<Rev, StoreError> {
    let (mut low, mut high, mut below) = (0, space.state.head.get(), 0);
    // Up to `low` there are `below`, fewer than n; up to `high` there are n at the least.
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        let mut part = 0;
        for (collection, _) in &space.collections {
            part += count(connection, *collection, low, middle)?;
        }
        if below + part >= n {
            high = middle;
        } else {
            (low, below) = (middle, below + part);
        }
    }
    Ok(Rev::from_stored(high.cast_signed()))
}

/// Tombstones of a collection after `after` and up to `upto`.
fn count(connection: &mut SqliteConnection, collection: i64, after: u64, upto: u64) -> Result<u64, StoreError> {
    let count = records::table
        .filter(records::collection_id.eq(collection).and(sql::<Bool>("deleted = 1")))
        .filter(records::rev.gt(after.cast_signed()).and(records::rev.le(upto.cast_signed())))
        .count()
        .get_result::<i64>(connection)
        .map_err(failure)?;
    Ok(count.unsigned_abs())
}

/// When the oldest tombstone of a space was written.
pub(super) fn oldest(connection: &mut SqliteConnection, name: &SpaceName) -> Result<Option<Timestamp>, StoreError> {
    let space = rows::existing_space(connection, name)?;
    reads::oldest_tombstone(connection, &space, None, &space.state.tally(None), Rev::ZERO)
}

/// What a purge by each of these rules would do.
pub(super) fn forecast(
    connection: &mut SqliteConnection,
    name: &SpaceName,
    rules: &[PurgeRule],
    costs: Costs,
) -> Result<Vec<Forecast>, StoreError> {
    let space = rows::existing_space(connection, name)?;
    let clients = clients::all(connection, space.id)?;
    let mut bounds = Vec::with_capacity(rules.len());
    for rule in rules {
        let marks = marks(connection, &space, rule)?;
        bounds.push(PurgeBounds::new(&space.state, rule, marks, &clients));
    }
    let mut counted = BTreeMap::new();
    for (collection, edges) in edges(&bounds) {
        let Some(id) = space.collection_id(&collection) else { continue };
        let mut parts = Vec::with_capacity(edges.len());
        let mut after = Rev::ZERO;
        for edge in edges {
            parts.push((edge, doomed(connection, id, after, edge)?));
            after = edge;
        }
        counted.insert(collection, parts);
    }
    let forecasting = Forecasting::new(&space.state, &clients, &bounds, &counted);
    let mut surveys = if costs == Costs::Told { forecasting.surveys() } else { Vec::new() };
    if !surveys.is_empty() {
        survey(connection, &space, &mut surveys)?;
    }
    Ok(forecasting.finish(&surveys))
}

#[derive(QueryableByName)]
struct Counts {
    #[diesel(sql_type = BigInt)]
    tombstones: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    newest: i64,
}

fn doomed(connection: &mut SqliteConnection, collection: i64, after: Rev, upto: Rev) -> Result<Doomed, StoreError> {
    let counts = diesel::sql_query(
        "SELECT COUNT(*) AS tombstones, COALESCE(SUM(octet_length(id)), 0) AS bytes, COALESCE(MAX(rev), 0) AS newest
         FROM records WHERE collection_id = ?1 AND deleted = 1 AND rev > ?2 AND rev <= ?3",
    )
    .bind::<BigInt, _>(collection)
    .bind::<BigInt, _>(after.to_stored())
    .bind::<BigInt, _>(upto.to_stored())
    .get_result::<Counts>(connection)
    .map_err(failure)?;
    Ok(Doomed {
        tombstones: counts.tombstones.unsigned_abs(),
        bytes: counts.bytes.unsigned_abs(),
        newest: Rev::from_stored(counts.newest),
    })
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    rev: i64,
    #[diesel(sql_type = BigInt)]
    collection_id: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// Feeds every live record to the surveys. Sizes come from the heads of the rows: no data is read.
fn survey(connection: &mut SqliteConnection, space: &SpaceRow, surveys: &mut [Survey]) -> Result<(), StoreError> {
    let names: BTreeMap<i64, &CollectionName> = space.collections.iter().map(|(id, name)| (*id, name)).collect();
    // In JSON, an id has a backslash before each quote and each backslash.
    let sizes = diesel::sql_query(
        r#"SELECT rev, collection_id, octet_length(data) + octet_length(id)
                + length(id) - length(replace(replace(id, '"', ''), '\', '')) AS bytes
           FROM records WHERE space_id = ?1 AND data IS NOT NULL ORDER BY rev"#,
    )
    .bind::<BigInt, _>(space.id)
    .load_iter::<Size, _>(connection)
    .map_err(failure)?;
    for size in sizes {
        let size = size.map_err(failure)?;
        let Some(collection) = names.get(&size.collection_id) else { continue };
        for survey in &mut *surveys {
            survey.take(collection, Rev::from_stored(size.rev), size.bytes.unsigned_abs());
        }
    }
    Ok(())
}

/// Purges the oldest tombstones of each collection within `bounds`, at most `max_rows`.
///
/// It deletes rows that are tombstones at the revision it saw: both happen under the write lock.
pub(super) fn step(
    transaction: &mut Transaction<'_>,
    name: &SpaceName,
    bounds: &PurgeBounds,
    max_rows: usize,
) -> Result<Purged, StoreError> {
    let space = transaction.existing_space(name)?;
    let horizon_before = space.state.tally(None).horizon;
    let mut total = Purged { horizon_before, horizon: horizon_before, ..Purged::default() };
    if space.state.epoch() != bounds.epoch {
        return Ok(total);
    }
    let tombstones = |name: &CollectionName| space.state.collections.get(name).map_or(0, |state| state.tombstones);
    let waiting: Vec<(CollectionName, i64, Rev)> = bounds
        .upto
        .iter()
        .filter(|(name, _)| tombstones(name) > 0)
        .filter_map(|(name, upto)| space.collection_id(name).map(|id| (name.clone(), id, *upto)))
        .collect();
    let mut room = max_rows.max(1);
    for (collection, id, upto) in waiting {
        let limit = i64::try_from(room + 1).unwrap_or(i64::MAX);
        let mut doomed = records::table
            .filter(records::collection_id.eq(id).and(sql::<Bool>("deleted = 1")))
            .filter(records::rev.le(upto.to_stored()))
            .order(records::rev)
            .select((records::rev, records::modified_at, records::id))
            .limit(limit)
            .load::<(i64, i64, String)>(transaction.connection)
            .map_err(failure)?;
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
