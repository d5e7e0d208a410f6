//! Where the spaces live: which server, which of its timelines, which database, which tables. When that is another place
//! than it was, history may have been broken, and each space gets a new epoch before anything is answered.
//!
//! A standby that is promoted begins a new timeline. It may lack the last commits of the old one, and would give out
//! their revisions again with another meaning; a cursor that is beyond the head at which the epoch was opened is then told
//! so (410 `epoch`), one at or below it goes on. The same holds for a dump that is restored: another database or table,
//! or another server. Every connection that may write looks at its first use; as a failover ends all of them, none
//! is used in the new place without having looked.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::fault::Fault;
use super::migrate::locks;
use crate::store::schema::{facts, spaces};
use crate::store::writes::new_epoch;

/// The fact that says where the spaces were seen last.
const HOME: &str = "home";

#[derive(diesel::QueryableByName)]
struct Seen {
    #[diesel(sql_type = Text)]
    here: String,
    #[diesel(sql_type = Nullable<Text>)]
    recorded: Option<String>,
}

/// The timeline is that of the WAL being written: what `pg_control_checkpoint` says is as old as the last checkpoint.
const LOOK: &str = "
    SELECT (SELECT system_identifier FROM pg_control_system())::text
        || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
        || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())::text
        || '/' || 'spaces'::regclass::oid::text AS here,
    (SELECT value FROM facts WHERE name = 'home') AS recorded";

/// Looks where this connection leads. If that is another place than is recorded, opens a new epoch of each space at its
/// present head and records the place, in one transaction. Answers the place.
pub(super) async fn look(connection: &mut AsyncPgConnection) -> Result<String, Fault> {
    let seen = diesel::sql_query(LOOK).get_result::<Seen>(connection).await?;
    if seen.recorded.as_deref() == Some(&seen.here) {
        return Ok(seen.here);
    }
    connection.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await?;
    // An error drops the connection, and the transaction with it.
    let seen = move_in(connection).await?;
    connection.batch_execute("COMMIT").await?;
    Ok(seen.here)
}

async fn move_in(connection: &mut AsyncPgConnection) -> Result<Seen, Fault> {
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(locks::HOME).execute(connection).await?;
    // Another node may have been first.
    let seen = diesel::sql_query(LOOK).get_result::<Seen>(connection).await?;
    let Some(recorded) = seen.recorded.as_deref().filter(|recorded| *recorded != seen.here) else {
        if seen.recorded.is_none() {
            record(connection, &seen.here).await?;
        }
        return Ok(seen);
    };
    let named: Vec<i64> = spaces::table
        .filter(spaces::name.is_not_null())
        .order(spaces::id)
        .select(spaces::id)
        .for_update()
        .load(connection)
        .await?;
    let epochs: Vec<String> = named.iter().map(|_| new_epoch().to_string()).collect();
    diesel::sql_query(
        "WITH opened AS (
             INSERT INTO epochs (space_id, ordinal, epoch, opened_at)
             SELECT s.id, (SELECT max(e.ordinal) + 1 FROM epochs e WHERE e.space_id = s.id), new.epoch, s.head
             FROM unnest($1, $2) AS new (space_id, epoch) JOIN spaces s ON s.id = new.space_id
             RETURNING space_id)
         UPDATE spaces SET version = (random() * 9e18)::bigint WHERE id IN (SELECT space_id FROM opened)",
    )
    .bind::<Array<BigInt>, _>(&named)
    .bind::<Array<Text>, _>(&epochs)
    .execute(connection)
    .await?;
    record(connection, &seen.here).await?;
    log::warn!(
        "the database has moved from {recorded} to {} (server/timeline/database/table): opened a new epoch in each of {} \
         spaces, so that clients ahead of it repair themselves",
        seen.here,
        named.len()
    );
    Ok(seen)
}

async fn record(connection: &mut AsyncPgConnection, here: &str) -> Result<(), Fault> {
    diesel::insert_into(facts::table)
        .values((facts::name.eq(HOME), facts::value.eq(here)))
        .on_conflict(facts::name)
        .do_update()
        .set(facts::value.eq(here))
        .execute(connection)
        .await?;
    Ok(())
}
