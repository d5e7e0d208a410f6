//! Where clients were last seen, and how spaces went (PROTOCOL.md §7).

use std::sync::Arc;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::fault::Fault;
use super::rows;
use super::statements::{AnonymousSince, CountPulls, ExpireClients, NoteClients, TakeSamples};
use super::states::Known;
use crate::domain::client::{AnonymousPulls, KnownClient, LagBucket};
use crate::domain::{ClientName, SpaceName, Timestamp};
use crate::store::rows::{ClientColumns, known_client};
use crate::store::schema::{anonymous_pulls, known_clients, samples};
use crate::store::{DAY, Sample, Sightings};

/// All known clients of a space, in order of name.
pub(super) async fn all(mut connection: &AsyncPgConnection, space: i64) -> Result<Vec<KnownClient>, Fault> {
    let rows = known_clients::table
        .filter(known_clients::space_id.eq(space))
        .order(known_clients::name)
        .load::<ClientColumns>(&mut connection)
        .await?;
    Ok(rows.into_iter().map(known_client).collect::<Result<_, _>>()?)
}

/// A page of them.
pub(super) async fn page(
    mut connection: &AsyncPgConnection,
    name: &SpaceName,
    after: Option<&ClientName>,
    limit: usize,
    remembered: Option<&Arc<Known>>,
) -> Result<Vec<KnownClient>, Fault> {
    let known = rows::existing_space(connection, name, remembered).await?;
    let rows = known_clients::table
        .filter(known_clients::space_id.eq(known.row.id))
        .filter(known_clients::name.gt(after.map_or("", ClientName::as_str)))
        .order(known_clients::name)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .load::<ClientColumns>(&mut connection)
        .await?;
    Ok(rows.into_iter().map(known_client).collect::<Result<_, _>>()?)
}

/// Remembers where clients were seen; what is known from later stays.
pub(super) async fn note(mut connection: &AsyncPgConnection, sightings: &Sightings) -> Result<(), Fault> {
    let mut clients = NoteClients::default();
    for (space, client) in &sightings.clients {
        clients.spaces.push(space.as_str());
        clients.names.push(client.name.as_str());
        clients.revs.push(client.place.rev.to_stored());
        clients.cursors.push(client.place.cursor.map(|cursor| cursor.to_string()));
        clients.choices.push(client.place.collections.as_ref().map(ToString::to_string));
        clients.agents.push(client.agent.as_deref());
        clients.times.push(client.seen_at.micros());
    }
    if !clients.spaces.is_empty() {
        clients.execute(&mut connection).await?;
    }
    let mut pulls = CountPulls::default();
    for (space, seen) in &sightings.anonymous {
        let at = seen.seen_at.micros();
        pulls.spaces.push(space.as_str());
        pulls.days.push(at - at.rem_euclid(DAY));
        pulls.buckets.push(i64::from(seen.bucket.number()));
        pulls.pulls.push(seen.pulls.cast_signed());
        pulls.times.push(at);
    }
    if !pulls.spaces.is_empty() {
        pulls.execute(&mut connection).await?;
    }
    Ok(())
}

/// Forgets where a client was seen; whether it was known.
pub(super) async fn forget(
    mut connection: &AsyncPgConnection,
    space: &SpaceName,
    client: &ClientName,
) -> Result<bool, Fault> {
    let id = rows::existing_space(connection, space, None).await?.row.id;
    let gone = diesel::delete(known_clients::table.find((id, client.as_str()))).execute(&mut connection).await?;
    Ok(gone > 0)
}

/// Forgets clients and counts from before `before`. Answers how many rows went.
pub(super) async fn expire(
    mut connection: &AsyncPgConnection,
    before: Timestamp,
    max_rows: usize,
) -> Result<usize, Fault> {
    let limit = i64::try_from(max_rows).unwrap_or(i64::MAX);
    let statement = ExpireClients { before: before.micros(), again: before.micros(), limit };
    let clients = statement.execute(&mut connection).await?;
    let counts = anonymous_pulls::table.filter(anonymous_pulls::day.lt(before.micros() - DAY));
    Ok(clients + diesel::delete(counts).execute(&mut connection).await?)
}

/// Pulls by clients without a name since `since`.
pub(super) async fn anonymous(
    mut connection: &AsyncPgConnection,
    name: &SpaceName,
    since: Timestamp,
    remembered: Option<&Arc<Known>>,
) -> Result<Vec<AnonymousPulls>, Fault> {
    let known = rows::existing_space(connection, name, remembered).await?;
    let statement = AnonymousSince { space: known.row.id, after: since.micros() - DAY };
    let rows = statement.load::<(i64, i64, i64)>(&mut connection).await?;
    let pulls = rows.into_iter().map(|(bucket, pulls, seen_at)| AnonymousPulls {
        bucket: LagBucket::from_stored(bucket),
        pulls: pulls.unsigned_abs(),
        seen_at: Timestamp::from_micros(seen_at),
    });
    Ok(pulls.collect())
}

/// Keeps a sample of every space that is not as its last one says, and drops those from before `before`.
pub(super) async fn take_samples(
    mut connection: &AsyncPgConnection,
    now: Timestamp,
    before: Timestamp,
) -> Result<(), Fault> {
    diesel::delete(samples::table.filter(samples::at.lt(before.micros()))).execute(&mut connection).await?;
    TakeSamples { now: now.micros() }.execute(&mut connection).await?;
    Ok(())
}

/// The samples of a space, oldest first.
pub(super) async fn samples_of(
    mut connection: &AsyncPgConnection,
    name: &SpaceName,
    remembered: Option<&Arc<Known>>,
) -> Result<Vec<Sample>, Fault> {
    let known = rows::existing_space(connection, name, remembered).await?;
    let rows = samples::table
        .filter(samples::space_id.eq(known.row.id))
        .order(samples::at)
        .select((samples::at, samples::head, samples::horizon, samples::live, samples::tombstones))
        .load::<(i64, i64, i64, i64, i64)>(&mut connection)
        .await?;
    Ok(rows.into_iter().map(crate::store::rows::sample).collect())
}
