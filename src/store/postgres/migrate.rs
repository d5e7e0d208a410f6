//! Brings the schema up to date when the program starts, one node at a time.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tokio::time::sleep;

use crate::store::StoreError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// How long a migration waits for a table, at first and at the most: longer than PostgreSQL waits before it ends an
/// autovacuum that is in the way.
const LOCK: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));
/// After how long it tries again.
const TURN: Duration = Duration::from_secs(4);

type Blocking = AsyncConnectionWrapper<AsyncPgConnection>;

/// Advisory locks of this program, in PostgreSQL's one space of numbers for a database: "strand" and a letter.
pub(super) mod locks {
    /// Held while the schema is brought up to date.
    pub const MIGRATE: i64 = 0x7374_7261_6e64_006d;
    /// Held while new epochs are opened after a failover.
    pub const HOME: i64 = 0x7374_7261_6e64_0068;
    /// Held by the node that compacts.
    pub const COMPACT: i64 = 0x7374_7261_6e64_0063;
}

#[derive(diesel::QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(diesel::QueryableByName)]
struct Known {
    #[diesel(sql_type = Bool)]
    known: bool,
}

/// Applies what is missing. Whoever comes second waits, and finds nothing missing. A role that may not create tables
/// gets by as long as nothing is.
pub(super) async fn run(mut connection: AsyncPgConnection) -> Result<(), StoreError> {
    let failed = |why: &dyn std::fmt::Display| {
        StoreError::Open(format!("the schema of the database cannot be brought up to date: {why}"))
    };
    // Waiting for another node's migration takes the time it takes.
    connection
        .batch_execute("SET statement_timeout = 0; SET lock_timeout = 0; SET client_min_messages = warning")
        .await
        .map_err(|error| failed(&error))?;
    if pending(&mut connection).await.map_err(|error| failed(&error))?.is_empty() {
        return Ok(());
    }
    // The lock goes with the connection, also when this process dies.
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(locks::MIGRATE)
        .execute(&mut connection)
        .await
        .map_err(|error| failed(&error))?;
    let count = apply(AsyncConnectionWrapper::from(connection)).await.map_err(|why| failed(&why))?;
    log::info!("{count} migrations of the schema were applied");
    Ok(())
}

/// Applies what is missing, and waits for tables that are in use. Who waits for a table holds up all who come after; so
/// it waits in turns, between which the others have theirs, and longer each time.
async fn apply(mut connection: Blocking) -> Result<usize, String> {
    let (mut count, mut wait) = (0, LOCK.0);
    loop {
        let step;
        (connection, step) = tokio::task::spawn_blocking(move || {
            let done = next(&mut connection, wait).map_err(|error| error.to_string());
            (connection, done)
        })
        .await
        .map_err(|error| error.to_string())?;
        match step {
            Ok(true) => count += 1,
            Ok(false) => return Ok(count),
            Err(why) if why.contains("lock timeout") => {
                log::warn!("the schema is brought up to date once a transaction that is in the way has ended: {why}");
                sleep(TURN).await;
                wait = (wait * 2).min(LOCK.1);
            }
            Err(why) => return Err(why),
        }
    }
}

/// Applies the next migration, if one is missing; by blocking calls, on a thread that may block.
fn next(connection: &mut Blocking, wait: Duration) -> diesel::migration::Result<bool> {
    SimpleConnection::batch_execute(connection, &format!("SET lock_timeout = {}", wait.as_millis()))?;
    let pending = connection.has_pending_migration(MIGRATIONS)?;
    if pending {
        connection.run_next_migration(MIGRATIONS)?;
    }
    Ok(pending)
}

/// The versions that the database lacks. Unlike diesel's own check it makes no table.
pub(super) async fn pending(connection: &mut AsyncPgConnection) -> diesel::QueryResult<Vec<String>> {
    let known = diesel::sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS known")
        .get_result::<Known>(connection)
        .await?
        .known;
    let applied = if known {
        diesel::sql_query("SELECT version::text FROM __diesel_schema_migrations").load::<Applied>(connection).await?
    } else {
        Vec::new()
    };
    let embedded: Vec<Box<dyn Migration<Pg>>> =
        MIGRATIONS.migrations().map_err(diesel::result::Error::QueryBuilderError)?;
    let versions = embedded.iter().map(|migration| migration.name().version().to_string());
    Ok(versions.filter(|version| !applied.iter().any(|applied| applied.version == *version)).collect())
}
