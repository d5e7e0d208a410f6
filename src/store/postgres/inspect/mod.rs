//! Inspecting a PostgreSQL database: the session is here, the database as a whole in `catalog`, a space in `space`.
//!
//! It has one connection, which is told to wait longer than a node's: a look at a large space is one statement, and its
//! rows are read as they come. A repair locks the space's row as every write does, draws a new version of it, and tells the
//! nodes after the commit, as they tell each other.

mod catalog;
mod space;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio::sync::Mutex;

use super::connection::{Connector, Role};
use super::fault::Fault as Failure;
use super::group::BEGIN;
use super::link::CHANNEL;
use super::migrate;
use super::run::SNAPSHOT;
use super::statements::Tell;
use crate::domain::{Clock, SystemClock};
use crate::store::inspect::{Finding, Inspector, SpaceKey, Watch, mended, orphans};
use crate::store::schema::spaces;
use crate::store::{PostgresUrl, RemoteOptions, StoreError};

/// What the session is told beside what every connection is: a look takes the time it takes, and only who wants the lock
/// of a space waits for somebody.
const SESSION: &str =
    "SET statement_timeout = 0; SET lock_timeout = '60s'; SET idle_in_transaction_session_timeout = 0";

/// Who looks at a PostgreSQL database.
pub struct PostgresInspector {
    connection: Mutex<AsyncPgConnection>,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl PostgresInspector {
    /// Connects, and looks whether there is a database of this program's schema.
    ///
    /// # Errors
    /// [`StoreError::Open`] where there is none.
    pub async fn open(url: &PostgresUrl) -> Result<Self, StoreError> {
        let cannot =
            |why: &dyn std::fmt::Display| StoreError::Open(format!("the database {url} cannot be inspected: {why}"));
        let connector = Connector::new(url, Role::Primary, &RemoteOptions::default())?;
        let mut connection = connector.connect().await.map_err(|error| cannot(&error))?;
        let pending = migrate::pending(&mut connection).await.map_err(|error| cannot(&error))?;
        if !pending.is_empty() {
            return Err(cannot(
                &"its schema is not that of this program: if it is older, starting a server brings it up to date",
            ));
        }
        connection.batch_execute(SESSION).await.map_err(|error| cannot(&error))?;
        Ok(Self { connection: Mutex::new(connection) })
    }
}

/// Runs `work` between `begin` and its end: a commit where it went well.
async fn within<T>(
    mut connection: &AsyncPgConnection,
    begin: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, StoreError> {
    connection.batch_execute(begin).await.map_err(|error| Failure::from(error).into_store())?;
    let done = work.await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.batch_execute(end).await;
    let value = done.map_err(Failure::into_store)?;
    ended.map_err(|error| Failure::from(error).into_store())?;
    Ok(value)
}

/// Tells the nodes that a space was changed. Whoever does not hear of it finds the new version within seconds.
async fn tell(mut connection: &AsyncPgConnection, name: &str) -> Result<(), StoreError> {
    let tell = Tell { channel: CHANNEL, payloads: vec![format!("inspector {name}")] };
    tell.execute(&mut connection).await.map_err(|error| Failure::from(error).into_store())?;
    Ok(())
}

#[async_trait]
impl Inspector for PostgresInspector {
    async fn database(&self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        let connection = &*self.connection.lock().await;
        let mut findings = within(connection, SNAPSHOT, catalog::check(connection)).await?;
        let lost = within(connection, SNAPSHOT, find_orphans(connection)).await?;
        if repair && !lost.is_empty() {
            findings.extend(within(connection, BEGIN, adopt_orphans(connection)).await?);
        } else {
            findings.extend(lost.into_iter().map(|(_, finding)| finding));
        }
        Ok(findings)
    }

    async fn spaces(&self) -> Result<Vec<SpaceKey>, StoreError> {
        let connection = self.connection.lock().await;
        let found = spaces::table
            .filter(spaces::name.is_not_null())
            .order(spaces::id)
            .select((spaces::id, spaces::name.assume_not_null()))
            .load::<(i64, String)>(&mut &*connection)
            .await
            .map_err(|error| Failure::from(error).into_store())?;
        Ok(found.into_iter().map(|(id, name)| SpaceKey { id, name }).collect())
    }

    async fn space(
        &self,
        key: &SpaceKey,
        repair: bool,
        watch: Watch,
    ) -> Result<Option<(Vec<Finding>, u64)>, StoreError> {
        let connection = &*self.connection.lock().await;
        let now = SystemClock.now();
        let look = space::examine(connection, key.id, now, Some(&watch));
        let Some((seen, rows)) = within(connection, SNAPSHOT, look).await? else { return Ok(None) };
        if !repair || seen.mend.is_empty() {
            return Ok(Some((seen.findings, rows)));
        }
        let again = within(connection, BEGIN, space::mend(connection, key.id, now)).await?;
        tell(connection, &key.name).await?;
        Ok(again.map(|again| (mended(seen.findings, again.findings), rows)))
    }

    async fn history(&self, space: Option<&SpaceKey>, _repair: bool) -> Result<Vec<Finding>, StoreError> {
        // A database that has moved is noticed by the first node that connects. What is to be seen to here is that the
        // place is known at all; it is the database's, and no space's.
        if space.is_some() {
            return Ok(Vec::new());
        }
        let connection = &*self.connection.lock().await;
        within(connection, SNAPSHOT, catalog::check_home(connection)).await
    }
}

async fn numbers(mut connection: &AsyncPgConnection, sql: String) -> Result<Vec<i64>, Failure> {
    let found = diesel::sql_query(sql).load::<Number>(&mut connection).await?;
    Ok(found.into_iter().map(|row| row.number).collect())
}

/// Rows of spaces that there are none of, with the id.
async fn find_orphans(connection: &AsyncPgConnection) -> Result<Vec<(i64, Finding)>, Failure> {
    let mut found = Vec::new();
    for table in orphans::TABLES {
        for space in numbers(connection, orphans::ids(table)).await? {
            let count = numbers(connection, orphans::count(table, space)).await?.into_iter().sum();
            found.push((space, orphans::finding(table, space, count)));
        }
    }
    Ok(found)
}

/// Gives orphans a space without a name, so that they are swept away. An id that the sequence has not come to yet is
/// passed over by it from now on.
async fn adopt_orphans(mut connection: &AsyncPgConnection) -> Result<Vec<Finding>, Failure> {
    let found = find_orphans(connection).await?;
    for (space, _) in &found {
        diesel::sql_query(
            "INSERT INTO spaces (id, retention, max_retention, created_at, modified_at, version)
             VALUES ($1, '30d', '180d', 0, 0, 0) ON CONFLICT DO NOTHING",
        )
        .bind::<BigInt, _>(space)
        .execute(&mut connection)
        .await?;
        diesel::sql_query(
            "SELECT setval(s, greatest($1, coalesce(pg_sequence_last_value(s::regclass), 1)))
             FROM pg_get_serial_sequence('spaces', 'id') AS s",
        )
        .bind::<BigInt, _>(space)
        .execute(&mut connection)
        .await?;
    }
    Ok(found.into_iter().map(|(_, finding)| finding.mended()).collect())
}
