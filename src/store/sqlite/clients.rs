//! Where clients were last seen, and how spaces went (PROTOCOL.md §7).

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::failure;
use super::rows;
use super::transaction::Transaction;
use crate::domain::client::{AnonymousPulls, KnownClient, LagBucket};
use crate::domain::{ClientName, SpaceName, Timestamp};
use crate::store::rows::{ClientColumns, known_client};
use crate::store::schema::{anonymous_pulls, known_clients, samples};
use crate::store::writes::Writing;
use crate::store::{DAY, Sample, Sightings, StoreError};

/// All known clients of a space, in order of name.
pub(super) fn all(connection: &mut SqliteConnection, space: i64) -> Result<Vec<KnownClient>, StoreError> {
    let rows = known_clients::table
        .filter(known_clients::space_id.eq(space))
        .order(known_clients::name)
        .load::<ClientColumns>(connection)
        .map_err(failure)?;
    rows.into_iter().map(known_client).collect()
}

/// A page of them.
pub(super) fn page(
    connection: &mut SqliteConnection,
    name: &SpaceName,
    after: Option<&ClientName>,
    limit: usize,
) -> Result<Vec<KnownClient>, StoreError> {
    let space = rows::existing_space(connection, name)?;
    let rows = known_clients::table
        .filter(known_clients::space_id.eq(space.id))
        .filter(known_clients::name.gt(after.map_or("", ClientName::as_str)))
        .order(known_clients::name)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .load::<ClientColumns>(connection)
        .map_err(failure)?;
    rows.into_iter().map(known_client).collect()
}

/// Remembers where clients were seen; what is known from later stays.
pub(super) fn note(transaction: &mut Transaction<'_>, sightings: &Sightings) -> Result<(), StoreError> {
    for (space, client) in &sightings.clients {
        if transaction.space(space)?.is_none() {
            continue;
        }
        let id = transaction.existing_space(space)?.id;
        let values = (
            known_clients::rev.eq(client.place.rev.to_stored()),
            known_clients::cursor.eq(client.place.cursor.map(|cursor| cursor.to_string())),
            known_clients::collections.eq(client.place.collections.as_ref().map(ToString::to_string)),
            known_clients::agent.eq(client.agent.as_deref()),
            known_clients::seen_at.eq(client.seen_at.micros()),
        );
        let key = (known_clients::space_id.eq(id), known_clients::name.eq(client.name.as_str()));
        let known = known_clients::table.find((id, client.name.as_str()));
        let seen_at = known.select(known_clients::seen_at).get_result::<i64>(transaction.connection);
        match seen_at.optional().map_err(failure)? {
            None => diesel::insert_into(known_clients::table).values((key, values)).execute(transaction.connection),
            Some(at) if at <= client.seen_at.micros() => {
                diesel::update(known).set(values).execute(transaction.connection)
            }
            Some(_) => Ok(0),
        }
        .map_err(failure)?;
    }
    for (space, seen) in &sightings.anonymous {
        if transaction.space(space)?.is_none() {
            continue;
        }
        let id = transaction.existing_space(space)?.id;
        let at = seen.seen_at.micros();
        diesel::insert_into(anonymous_pulls::table)
            .values((
                anonymous_pulls::space_id.eq(id),
                anonymous_pulls::day.eq(at - at.rem_euclid(DAY)),
                anonymous_pulls::bucket.eq(i64::from(seen.bucket.number())),
                anonymous_pulls::pulls.eq(seen.pulls.cast_signed()),
                anonymous_pulls::seen_at.eq(at),
            ))
            .on_conflict((anonymous_pulls::space_id, anonymous_pulls::day, anonymous_pulls::bucket))
            .do_update()
            .set((
                anonymous_pulls::pulls.eq(anonymous_pulls::pulls + seen.pulls.cast_signed()),
                anonymous_pulls::seen_at.eq(at),
            ))
            .execute(transaction.connection)
            .map_err(failure)?;
    }
    Ok(())
}

/// Forgets where a client was seen; whether it was known.
pub(super) fn forget(
    transaction: &mut Transaction<'_>,
    space: &SpaceName,
    client: &ClientName,
) -> Result<bool, StoreError> {
    let id = transaction.existing_space(space)?.id;
    let gone = diesel::delete(known_clients::table.find((id, client.as_str()))).execute(transaction.connection);
    Ok(gone.map_err(failure)? > 0)
}

/// Forgets clients and counts from before `before`. Answers how many rows went.
pub(super) fn expire(
    transaction: &mut Transaction<'_>,
    before: Timestamp,
    max_rows: usize,
) -> Result<usize, StoreError> {
    let rows = known_clients::table
        .filter(known_clients::seen_at.lt(before.micros()))
        .order(known_clients::seen_at)
        .limit(i64::try_from(max_rows).unwrap_or(i64::MAX))
        .select((known_clients::space_id, known_clients::name))
        .load::<(i64, String)>(transaction.connection)
        .map_err(failure)?;
    for (space, name) in &rows {
        diesel::delete(known_clients::table.find((space, name))).execute(transaction.connection).map_err(failure)?;
    }
    let counts = anonymous_pulls::table.filter(anonymous_pulls::day.lt(before.micros() - DAY));
    let counts = diesel::delete(counts).execute(transaction.connection).map_err(failure)?;
    Ok(rows.len() + counts)
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    bucket: i64,
    #[diesel(sql_type = BigInt)]
    pulls: i64,
    #[diesel(sql_type = BigInt)]
    seen_at: i64,
}

/// Pulls by clients without a name since `since`.
pub(super) fn anonymous(
    connection: &mut SqliteConnection,
    name: &SpaceName,
    since: Timestamp,
) -> Result<Vec<AnonymousPulls>, StoreError> {
    let space = rows::existing_space(connection, name)?;
    let rows = diesel::sql_query(
        "SELECT bucket, SUM(pulls) AS pulls, MAX(seen_at) AS seen_at FROM anonymous_pulls
         WHERE space_id = ?1 AND day > ?2 GROUP BY bucket ORDER BY bucket",
    )
    .bind::<BigInt, _>(space.id)
    .bind::<BigInt, _>(since.micros() - DAY)
    .load::<CountRow>(connection)
    .map_err(failure)?;
    let pulls = rows.into_iter().map(|row| AnonymousPulls {
        bucket: LagBucket::from_stored(row.bucket),
        pulls: row.pulls.unsigned_abs(),
        seen_at: Timestamp::from_micros(row.seen_at),
    });
    Ok(pulls.collect())
}

/// Keeps a sample of every space that is not as its last one says, and drops those from before `before`.
pub(super) fn take_samples(
    transaction: &mut Transaction<'_>,
    now: Timestamp,
    before: Timestamp,
) -> Result<(), StoreError> {
    diesel::delete(samples::table.filter(samples::at.lt(before.micros())))
        .execute(transaction.connection)
        .map_err(failure)?;
    diesel::sql_query(
        "INSERT OR IGNORE INTO samples (space_id, at, head, horizon, live, tombstones)
         SELECT id, ?1, head, horizon, live, tombstones FROM (
             SELECT s.id, s.head, COALESCE(MAX(c.horizon), 0) AS horizon, COALESCE(SUM(c.live), 0) AS live,
                    COALESCE(SUM(c.tombstones), 0) AS tombstones
             FROM spaces s LEFT JOIN collections c ON c.space_id = s.id WHERE s.name IS NOT NULL GROUP BY s.id
         ) AS present
         WHERE NOT EXISTS (
             SELECT 1 FROM samples last WHERE last.space_id = present.id
             AND last.at = (SELECT MAX(at) FROM samples WHERE space_id = present.id)
             AND (last.head, last.horizon, last.live, last.tombstones)
               = (present.head, present.horizon, present.live, present.tombstones)
         )",
    )
    .bind::<BigInt, _>(now.micros())
    .execute(transaction.connection)
    .map_err(failure)?;
    Ok(())
}

/// The samples of a space, oldest first.
pub(super) fn samples_of(connection: &mut SqliteConnection, name: &SpaceName) -> Result<Vec<Sample>, StoreError> {
    let space = rows::existing_space(connection, name)?;
    let rows = samples::table
        .filter(samples::space_id.eq(space.id))
        .order(samples::at)
        .select((samples::at, samples::head, samples::horizon, samples::live, samples::tombstones))
        .load::<(i64, i64, i64, i64, i64)>(connection)
        .map_err(failure)?;
    Ok(rows.into_iter().map(crate::store::rows::sample).collect())
}
