//! Connections: how they are opened, and what their errors mean.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel::{Connection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::store::StoreError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// What every connection is told. `busy_timeout` comes first: the others may already have to wait for a lock.
/// `synchronous = FULL`: what is acknowledged survives a power cut.
const PRAGMAS: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA temp_store = MEMORY;
    PRAGMA foreign_keys = OFF;
    PRAGMA journal_size_limit = 67108864;
";

/// What a new file is told before it has its first page, so that it can give free pages back, step by step. Said again to a
/// file that has it, SQLite would write it anew: a commit, and the write lock, for each connection that is opened.
const NEW: &str = "PRAGMA busy_timeout = 5000; PRAGMA auto_vacuum = INCREMENTAL;";

/// The page cache of a connection, in KiB (negative for SQLite): a writer touches pages all over the indexes. The WAL may
/// grow to 32 MiB before a commit has to checkpoint it: that is the `checkpointer`'s work, and a commit does what is left.
const WRITER: &str = "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8000;";
const READER: &str = "PRAGMA cache_size = -8192; PRAGMA query_only = ON;";

/// Opens the connection that writes, and brings the schema up to date.
pub(super) fn open_writer(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut connection = establish(path)?;
    connection.batch_execute(WRITER).map_err(failure)?;
    // Two programs that start at once must not both migrate.
    let migrated = connection.exclusive_transaction(|connection| {
        connection.run_pending_migrations(MIGRATIONS).map(|_| ()).map_err(MigrationFault::Migration)
    });
    migrated.map_err(|fault| {
        let why = match fault {
            MigrationFault::Migration(error) => error.to_string(),
            MigrationFault::Transaction(error) => error.to_string(),
        };
        StoreError::Open(format!("the schema of {} cannot be brought up to date: {why}", path.display()))
    })?;
    Ok(connection)
}

enum MigrationFault {
    Migration(Box<dyn std::error::Error + Send + Sync>),
    Transaction(diesel::result::Error),
}

impl From<diesel::result::Error> for MigrationFault {
    fn from(error: diesel::result::Error) -> Self {
        Self::Transaction(error)
    }
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut connection = establish(path)?;
    connection.batch_execute(READER).map_err(failure)?;
    Ok(connection)
}

/// Opens a connection for who looks at a database past the store, or mends it, and so neither makes nor migrates it. It
/// waits longer for the write lock: under load the server has it most of the time.
pub(super) fn open_for_inspection(path: &Path, writes: bool) -> Result<SqliteConnection, StoreError> {
    let mut connection = establish(path)?;
    let pragmas = if writes { "PRAGMA busy_timeout = 60000; PRAGMA cache_size = -8192;" } else { READER };
    connection.batch_execute(pragmas).map_err(failure)?;
    Ok(connection)
}

/// The versions of the schema that this program has, and a database with no others would be as it should be.
pub(super) fn embedded_versions() -> Result<Vec<String>, StoreError> {
    let migrations: Vec<Box<dyn Migration<Sqlite>>> = MIGRATIONS.migrations().map_err(StoreError::internal)?;
    Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
}

/// An empty database in memory with the schema as it should be.
pub(super) fn pattern() -> Result<SqliteConnection, StoreError> {
    let mut connection = SqliteConnection::establish(":memory:").map_err(StoreError::internal)?;
    connection.run_pending_migrations(MIGRATIONS).map_err(StoreError::internal)?;
    Ok(connection)
}

fn establish(path: &Path) -> Result<SqliteConnection, StoreError> {
    let cannot = |why: String| StoreError::Open(format!("the database {} cannot be opened: {why}", path.display()));
    let text = path.to_str().ok_or_else(|| cannot("its path is not UTF-8".into()))?;
    // A `file:` would be taken for a URI.
    let text = if text.starts_with("file:") { format!("./{text}") } else { text.to_owned() };
    let mut connection = SqliteConnection::establish(&text).map_err(|error| cannot(error.to_string()))?;
    if std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
        connection.batch_execute(NEW).map_err(|error| cannot(error.to_string()))?;
    }
    connection.batch_execute(PRAGMAS).map_err(|error| cannot(error.to_string()))?;
    Ok(connection)
}

/// Runs `work` in one read snapshot.
pub(super) fn snapshot<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.batch_execute("BEGIN").map_err(failure)?;
    let result = work(connection);
    // A read transaction has nothing to lose: ending it cannot change the answer.
    let ended = connection.batch_execute("ROLLBACK").map_err(failure);
    result.and_then(|value| ended.map(|()| value))
}

/// What an error of SQLite means. diesel hands on its message, not its code.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
pub(super) fn failure(error: diesel::result::Error) -> StoreError {
    let text = error.to_string();
    if text.contains("database or disk is full") {
        StoreError::StorageFull
    } else if text.contains("is locked") || text.contains("is busy") {
        StoreError::Unavailable("another program holds a lock on it for too long".into())
    } else {
        StoreError::internal(text)
    }
}
