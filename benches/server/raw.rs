//! The floor under the store: the same rows by diesel, in one thread, from a file of the same schema.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use strandline::store::{self, StoreOptions};

use crate::workload::{Batches, data, id};
use crate::{Result, load};

diesel::table! {
    records (space_id, rev) {
        space_id -> BigInt,
        rev -> BigInt,
        collection_id -> BigInt,
        id -> Text,
        deleted -> Bool,
        modified_at -> BigInt,
        data -> Nullable<Text>,
    }
}

diesel::table! {
    spaces (id) {
        id -> BigInt,
        name -> Nullable<Text>,
    }
}

/// A database file, opened as the store opens it.
pub struct Raw {
    connection: SqliteConnection,
    head: i64,
}

/// A record as a delta needs it.
type Row = (i64, i64, String, i64, Option<String>);

impl Raw {
    /// Makes a file with the store's own schema.
    pub fn create(path: &Path) -> Result<Self> {
        let url = format!("sqlite:{}", path.display()).parse()?;
        load::block_on(async {
            store::open(&url, StoreOptions::default()).await?.close().await;
            Ok(())
        })?;
        Self::open(path)
    }

    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = SqliteConnection::establish(&path.to_string_lossy())?;
        connection.batch_execute(
            "PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -65536;",
        )?;
        Ok(Self { connection, head: 0 })
    }

    /// The number of a space.
    pub fn space(&mut self, name: &str) -> Result<i64> {
        Ok(spaces::table.filter(spaces::name.eq(name)).select(spaces::id).first(&mut self.connection)?)
    }

    /// Reads the rows of `revs` of a space; answers how many there were.
    ///
    /// A range rather than a limit: SQLite prepares a statement with a bound limit anew each time, and the floor is to
    /// be as low as it can be.
    pub fn page(&mut self, space: i64, revs: std::ops::RangeInclusive<i64>) -> Result<usize> {
        let rows: Vec<Row> = records::table
            .filter(records::space_id.eq(space).and(records::rev.between(*revs.start(), *revs.end())))
            .order(records::rev)
            .select((records::rev, records::collection_id, records::id, records::modified_at, records::data))
            .load(&mut self.connection)?;
        Ok(rows.len())
    }

    /// Reads the revisions of a space.
    pub fn revisions(&mut self, space: i64) -> Result<Vec<i64>> {
        let revisions = records::table.filter(records::space_id.eq(space)).order(records::rev).select(records::rev);
        Ok(revisions.load(&mut self.connection)?)
    }

    /// Inserts `batches`, each in one durable transaction; answers how long that took, without making the records.
    pub fn insert(&mut self, batches: &Batches) -> Result<Duration> {
        let mut spent = Duration::ZERO;
        while let Some((first, count)) = batches.take() {
            let made: Vec<(String, String)> = (first..first + count).map(record).collect();
            let begun = Instant::now();
            let head = &mut self.head;
            self.connection.immediate_transaction(|connection| {
                for (id, data) in &made {
                    *head += 1;
                    insert(connection, *head, id, data)?;
                }
                QueryResult::Ok(())
            })?;
            spent += begun.elapsed();
        }
        Ok(spent)
    }
}

fn record(n: u64) -> (String, String) {
    let mut text = String::new();
    data(&mut text, n);
    (id(n), text)
}

fn insert(connection: &mut SqliteConnection, rev: i64, id: &str, data: &str) -> QueryResult<usize> {
    diesel::insert_into(records::table)
        .values((
            records::space_id.eq(1),
            records::rev.eq(rev),
            records::collection_id.eq(1),
            records::id.eq(id),
            records::deleted.eq(false),
            records::modified_at.eq(1_795_377_600_000_000 + rev),
            records::data.eq(data),
        ))
        .execute(connection)
}
