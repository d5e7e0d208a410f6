//! Where a test's store keeps its data: an SQLite file, or a database on the tests' own PostgreSQL server. The suites that
//! hold for every store run over either, as `STRANDLINE_TEST_STORE` says.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use strandline::store::{self, DatabaseUrl, StoreOptions};
use tempfile::TempDir;

use super::postgres::{Database, wait_for};

/// Whether the suites run over PostgreSQL now.
pub fn over_postgres() -> bool {
    match std::env::var("STRANDLINE_TEST_STORE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("STRANDLINE_TEST_STORE is sqlite or postgres, not {other:?}"),
    }
}

/// The bytes of an SQLite database with its schema and nothing in it: made once.
static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.db");
    wait_for(async {
        let store = store::open(&DatabaseUrl::Sqlite(path.clone()), StoreOptions::default()).await.unwrap();
        store.close().await;
    });
    std::fs::read(path).unwrap()
});

pub enum Home {
    File { path: PathBuf, copies: AtomicUsize, _directory: Option<TempDir> },
    Database(Database),
}

/// What a home held at some time.
pub enum Backup {
    File(PathBuf),
    Database(Database),
}

impl Home {
    /// A new one.
    pub fn new() -> Self {
        if over_postgres() { Self::on_a_server() } else { Self::on_a_file() }
    }

    /// A new file, whatever the suites run over.
    pub fn on_a_file() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::File { path: directory.path().join("s.db"), copies: AtomicUsize::new(1), _directory: Some(directory) }
    }

    /// A new one that is quick to come by. A file has its schema already, and is in memory where the machine has such a
    /// place: what a disk adds is tested elsewhere.
    pub fn quick() -> Self {
        if over_postgres() {
            return Self::on_a_server();
        }
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = directory.path().join("s.db");
        std::fs::write(&path, &*EMPTY).unwrap();
        Self::File { path, copies: AtomicUsize::new(1), _directory: Some(directory) }
    }

    /// A file in `directory`, whatever the suites run over.
    pub fn file_in(directory: &Path) -> Self {
        Self::file_at(directory.join("s.db"))
    }

    /// The file at `path`, whatever the suites run over.
    pub fn file_at(path: PathBuf) -> Self {
        Self::File { path, copies: AtomicUsize::new(1), _directory: None }
    }

    fn on_a_server() -> Self {
        Self::Database(Database::migrated().expect("STRANDLINE_TEST_STORE=postgres needs PostgreSQL"))
    }

    pub fn url(&self) -> DatabaseUrl {
        match self {
            Self::File { path, .. } => DatabaseUrl::Sqlite(path.clone()),
            Self::Database(database) => database.url().parse().unwrap(),
        }
    }

    /// What `--database` takes.
    pub fn argument(&self) -> String {
        match self {
            Self::File { path, .. } => format!("sqlite:{}", path.display()),
            Self::Database(database) => database.url().to_owned(),
        }
    }

    /// Copies it as an administrator would who knows nothing of the product. Nobody may have it open.
    pub fn copy(&self) -> Backup {
        match self {
            Self::File { path, .. } => {
                let copy = self.place_of_a_copy();
                std::fs::copy(path, &copy).unwrap();
                Backup::File(copy)
            }
            Self::Database(database) => Backup::Database(database.copy()),
        }
    }

    /// Copies it with `store::backup`, while it may be open. `None` where that is left to the database's own tools.
    pub async fn back_up(&self) -> Option<Backup> {
        let Self::File { path, .. } = self else { return None };
        let copy = self.place_of_a_copy();
        store::backup(&DatabaseUrl::Sqlite(path.clone()), &copy).await.unwrap();
        Some(Backup::File(copy))
    }

    /// A path beside a file.
    pub fn place_of_a_copy(&self) -> PathBuf {
        let Self::File { path, copies, .. } = self else { panic!("not a file") };
        path.with_file_name(format!("copy-{}.db", copies.fetch_add(1, Ordering::Relaxed)))
    }

    /// Puts back what it held. Nobody may have it open.
    pub fn put_back(&self, backup: &Backup) {
        match (self, backup) {
            (Self::File { path, .. }, Backup::File(copy)) => {
                for suffix in ["s.db-wal", "s.db-shm"] {
                    let _ = std::fs::remove_file(path.with_file_name(suffix));
                }
                std::fs::copy(copy, path).unwrap();
            }
            (Self::Database(database), Backup::Database(copy)) => database.put_back(copy),
            _ => panic!("a backup of another store"),
        }
    }

    /// Asks it itself for a number, past the store.
    pub fn ask(&self, sql: &str) -> i64 {
        let sql = format!("SELECT CAST(({sql}) AS BIGINT) AS number");
        match self {
            Self::File { .. } => diesel::sql_query(sql).get_result::<Number>(&mut self.file()).unwrap().number,
            Self::Database(database) => database.admin().ask(&sql),
        }
    }

    /// Changes one row, past the store.
    pub fn tamper(&self, sql: &str) {
        match self {
            Self::File { .. } => assert_eq!(diesel::sql_query(sql).execute(&mut self.file()).unwrap(), 1, "{sql}"),
            Self::Database(database) => {
                let changed: i64 =
                    database.admin().ask(&format!("WITH t AS ({sql} RETURNING 1) SELECT count(*) FROM t"));
                assert_eq!(changed, 1, "{sql}");
            }
        }
    }

    /// Carries out a statement, past the store.
    pub fn run(&self, sql: &str) {
        match self {
            Self::File { .. } => drop(diesel::sql_query(sql).execute(&mut self.file()).unwrap()),
            Self::Database(database) => database.admin().run(sql),
        }
    }

    /// Has the database look for damage.
    pub fn check_integrity(&self) {
        match self {
            Self::File { .. } => {
                let found = diesel::dsl::sql::<Text>("PRAGMA integrity_check");
                assert_eq!(found.load::<String>(&mut self.file()).unwrap(), ["ok"]);
            }
            Self::Database(database) => database.check_integrity(),
        }
    }

    fn file(&self) -> SqliteConnection {
        let Self::File { path, .. } = self else { panic!("not a file") };
        SqliteConnection::establish(path.to_str().unwrap()).unwrap()
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}
