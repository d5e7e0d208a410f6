//! The replica's file: opened, brought up to date, and changed in whole transactions.

use std::path::Path;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::ReplicaError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/replica");

/// `synchronous = FULL`: a push that was sent must be remembered after a power cut, or its number would be given twice.
const PRAGMAS: &str = "
    PRAGMA busy_timeout = 10000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;
";

/// Decides whether a commit takes place.
pub(super) type Gate = Arc<dyn Fn() -> bool + Send + Sync>;

/// One connection to the file.
pub(super) struct Database {
    connection: SqliteConnection,
    before_commit: Option<Gate>,
}

impl Database {
    /// Opens a file that is there, or makes it.
    pub fn open(path: &Path, before_commit: Option<Gate>) -> Result<Self, ReplicaError> {
        let cannot = |why: String| ReplicaError::Local(format!("{} cannot be opened: {why}", path.display()));
        let text = path.to_str().ok_or_else(|| cannot("its path is not UTF-8".into()))?;
        // A `file:` would be taken for a URI.
        let text = if text.starts_with("file:") { format!("./{text}") } else { text.to_owned() };
        let mut connection = SqliteConnection::establish(&text).map_err(|error| cannot(error.to_string()))?;
        connection.batch_execute(PRAGMAS).map_err(|error| cannot(error.to_string()))?;
        // Two programs that open it at once must not both migrate.
        let migrated = connection.exclusive_transaction(|connection| {
            connection
                .run_pending_migrations(MIGRATIONS)
                .map(drop)
                .map_err(|error| ReplicaError::Local(error.to_string()))
        });
        migrated.map_err(|error| cannot(error.to_string()))?;
        Ok(Self { connection, before_commit })
    }

    /// Reads in one snapshot.
    pub fn read<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, ReplicaError>,
    ) -> Result<T, ReplicaError> {
        transact(&mut self.connection, "BEGIN", work)
    }

    /// Changes something, as a whole or not at all.
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, ReplicaError>,
    ) -> Result<T, ReplicaError> {
        let gate = self.before_commit.clone();
        transact(&mut self.connection, "BEGIN IMMEDIATE", |connection| {
            let done = work(connection)?;
            match gate {
                Some(open) if !open() => Err(ReplicaError::Interrupted),
                _ => Ok(done),
            }
        })
    }
}

/// One transaction. Diesel's own would be of no use any more once SQLite has rolled back by itself, as it does where the
/// disk is full; and it would tell of that, and not of the disk.
fn transact<T>(
    connection: &mut SqliteConnection,
    begin: &str,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, ReplicaError>,
) -> Result<T, ReplicaError> {
    connection.batch_execute(begin)?;
    let done = work(connection).and_then(|done| {
        connection.batch_execute("COMMIT")?;
        Ok(done)
    });
    if done.is_err() {
        // That there is nothing left to roll back is just as well.
        let _ = connection.batch_execute("ROLLBACK");
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_has_rolled_back_by_itself_does_no_harm() {
        let directory = tempfile::TempDir::new().unwrap();
        let mut database = Database::open(&directory.path().join("copy"), None).unwrap();
        // As it does where the disk is full.
        let failed = database.write(|file| {
            file.batch_execute("ROLLBACK")?;
            Err::<(), _>(ReplicaError::Local("the disk is full".into()))
        });
        assert_eq!(failed, Err(ReplicaError::Local("the disk is full".into())));
        assert_eq!(database.write(|_| Ok(1)), Ok(1));
        assert_eq!(database.read(|_| Ok(2)), Ok(2));
    }
}
