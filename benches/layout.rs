//! Compares physical SQLite layouts for the `records` table.
//!
//! Every layout holds the same logical rows; what differs is the b-tree that
//! carries the payload (by revision, by identity, or a rowid heap), the
//! secondary indexes beside it, and the page size. The bench answers which of
//! them makes delta pages, point reads, updates and purges cheap at once, both
//! on a freshly filled file and after random updates have fragmented it.
//!
//! ```text
//! cargo bench --bench layout
//! STRANDLINE_LAYOUT_RECORDS=50000 STRANDLINE_LAYOUT_ROUNDS=1 cargo bench --bench layout
//! ```
//!
//! * `STRANDLINE_LAYOUT_RECORDS`: records per layout, 1,000,000 by default. The
//!   run with large payloads uses a tenth of it.
//! * `STRANDLINE_LAYOUT_ROUNDS`: how often everything is repeated, 3 by default.
//!   Rounds visit all layouts in turn, and the best figure of each is kept.
//! * `STRANDLINE_LAYOUT_RUN`: only the runs whose title contains this, such as
//!   `2,000-byte`.
//!
//! Databases are built under Cargo's target directory, one at a time, and need
//! about 1 GiB at the default size. The figures of each round go to stderr, one
//! markdown table per run to stdout. "Cold" figures evict the file from the page
//! cache through GNU `dd`; the hypervisor or the drive may still hold it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    missing_docs,
    reason = "all numbers here are small and come from this file, and what diesel generates needs no words"
)]

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice;
use std::time::Instant;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

diesel::table! {
    records (space_id, rev) {
        space_id -> BigInt,
        rev -> BigInt,
        collection_id -> BigInt,
        id -> Text,
        deleted -> Bool,
        modified_at -> BigInt,
        data -> Text,
    }
}

#[derive(Insertable, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = records)]
struct Record {
    space_id: i64,
    rev: i64,
    collection_id: i64,
    id: String,
    deleted: bool,
    modified_at: i64,
    data: String,
}

#[derive(QueryableByName)]
#[diesel(table_name = records)]
struct Rev {
    rev: i64,
}

/// How a record is given its next revision.
#[derive(Clone, Copy)]
enum Rewrite {
    UpdateByRev,
    UpdateById,
    DeleteInsert,
}

struct Layout {
    name: &'static str,
    /// Table constraints, after the column list.
    key: &'static str,
    options: &'static str,
    indexes: &'static str,
    /// The index to walk for the delta of one collection, where the planner
    /// does not choose the right one by itself.
    scope_hint: &'static str,
    rewrite: Rewrite,
}

const BY_REV: Layout = Layout {
    name: "A by_rev",
    key: ", PRIMARY KEY (space_id, rev)",
    options: "WITHOUT ROWID",
    indexes: "CREATE UNIQUE INDEX records_id ON records (space_id, collection_id, id);",
    scope_hint: "",
    rewrite: Rewrite::UpdateByRev,
};

const BY_REV_COVERED: Layout = Layout {
    name: "A2 by_rev + covering",
    indexes: "CREATE UNIQUE INDEX records_id ON records (space_id, collection_id, id);
        CREATE INDEX records_scope ON records (space_id, collection_id, rev, deleted);",
    scope_hint: "INDEXED BY records_scope",
    ..BY_REV
};

const BY_ID: Layout = Layout {
    name: "B by_id",
    key: ", PRIMARY KEY (space_id, collection_id, id)",
    options: "WITHOUT ROWID",
    indexes: "CREATE UNIQUE INDEX records_rev ON records (space_id, rev);",
    scope_hint: "",
    rewrite: Rewrite::UpdateById,
};

const HEAP: Layout = Layout {
    name: "C heap",
    key: "",
    options: "",
    indexes: "CREATE UNIQUE INDEX records_rev ON records (space_id, rev);
        CREATE UNIQUE INDEX records_id ON records (space_id, collection_id, id);",
    scope_hint: "",
    rewrite: Rewrite::DeleteInsert,
};

/// A layout at a page size: one column of the printed table.
struct Variant {
    layout: &'static Layout,
    page_size: u32,
}

struct Run {
    title: &'static str,
    /// The run holds the configured number of records divided by this.
    divisor: usize,
    data_bytes: usize,
    variants: &'static [Variant],
}

const RUNS: &[Run] = &[
    Run {
        title: "200-byte data",
        divisor: 1,
        data_bytes: 200,
        variants: &[
            Variant { layout: &BY_REV, page_size: 4096 },
            Variant { layout: &BY_REV_COVERED, page_size: 4096 },
            Variant { layout: &BY_ID, page_size: 4096 },
            Variant { layout: &HEAP, page_size: 4096 },
            Variant { layout: &BY_REV, page_size: 8192 },
            Variant { layout: &HEAP, page_size: 8192 },
        ],
    },
    Run {
        title: "2,000-byte data",
        divisor: 10,
        data_bytes: 2_000,
        variants: &[
            Variant { layout: &BY_REV, page_size: 4096 },
            Variant { layout: &BY_ID, page_size: 4096 },
            Variant { layout: &HEAP, page_size: 4096 },
        ],
    },
];

const SPACE: i64 = 1;
const COLLECTIONS: [i64; 3] = [1, 2, 3];
const SMALL_COLLECTION: i64 = 3;
const PAGE: i64 = 1_000;
const FILL_BATCH: usize = 1_000;
const PURGE_BATCH: i64 = 500;
const POINT_READS: usize = 5_000;
const COLD_POINT_READS: usize = 200;
const SINGLE_UPDATES: usize = 300;

/// What a measurement counts, and so how it is printed.
#[derive(Clone, Copy)]
enum Unit {
    /// Items per second, from the seconds that this many items took.
    Rate(usize),
    /// Microseconds per item, from the seconds that this many items took.
    Micros(usize),
    Millis,
    Mebibytes,
}

/// Lower is better for every amount: seconds, or bytes for a size.
struct Measure {
    label: String,
    unit: Unit,
    amount: f64,
}

impl Measure {
    fn cell(&self) -> String {
        match self.unit {
            Unit::Rate(items) => format!("{:.0}", items as f64 / self.amount),
            Unit::Micros(items) => format!("{:.1}", self.amount * 1e6 / items as f64),
            Unit::Millis => format!("{:.2}", self.amount * 1e3),
            Unit::Mebibytes => format!("{:.1}", self.amount / f64::from(1 << 20)),
        }
    }

    fn heading(&self) -> String {
        let unit = match self.unit {
            Unit::Rate(_) => "/s",
            Unit::Micros(_) => "µs each",
            Unit::Millis => "ms",
            Unit::Mebibytes => "MiB",
        };
        format!("{} ({unit})", self.label)
    }
}

/// `SplitMix64`: spreads consecutive numbers over the whole range.
fn mix(n: u64) -> u64 {
    let z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The collection and the v4-shaped id of the `n`th record.
fn identity(n: usize) -> (i64, String) {
    let (high, low) = (mix(2 * n as u64), mix(2 * n as u64 + 1));
    let collection = match high % 100 {
        0..80 => COLLECTIONS[0],
        80..95 => COLLECTIONS[1],
        _ => SMALL_COLLECTION,
    };
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        (high >> 4) & 0xfff,
        0x8000 | (low >> 50),
        low & 0xffff_ffff_ffff,
    );
    (collection, id)
}

/// A JSON object of `bytes` bytes that differs between revisions.
fn payload(rev: i64, bytes: usize) -> String {
    let head = format!(r#"{{"rev":{rev},"text":""#);
    let filler = bytes.saturating_sub(head.len() + 2);
    let text: String = (0..filler).map(|at| char::from(b'a' + ((rev as usize + at * 7) % 26) as u8)).collect();
    format!(r#"{head}{text}"}}"#)
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn connect(path: &Path, page_size: u32) -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
    conn.batch_execute(&format!(
        "PRAGMA busy_timeout = 5000;
         PRAGMA page_size = {page_size};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -65536;"
    ))?;
    Ok(conn)
}

/// One database under measurement.
struct Subject {
    conn: SqliteConnection,
    path: PathBuf,
    page_size: u32,
    scope_hint: &'static str,
    rewrite: Rewrite,
    records: usize,
    data_bytes: usize,
    last_rev: i64,
    /// State of the sequence that picks records at random.
    picks: u64,
    measures: Vec<Measure>,
}

impl Subject {
    fn create(variant: &Variant, records: usize, data_bytes: usize, path: PathBuf) -> Result<Self> {
        remove(&path)?;
        let mut conn = connect(&path, variant.page_size)?;
        let Layout { key, options, indexes, scope_hint, rewrite, .. } = variant.layout;
        conn.batch_execute(&format!(
            "CREATE TABLE records (
                 space_id INTEGER NOT NULL, rev INTEGER NOT NULL,
                 collection_id INTEGER NOT NULL, id TEXT NOT NULL,
                 deleted INTEGER NOT NULL, modified_at INTEGER NOT NULL,
                 data TEXT NOT NULL{key}
             ) {options};
             {indexes}
             CREATE INDEX records_deleted ON records (space_id, collection_id, rev)
                 WHERE deleted = 1;"
        ))?;
        Ok(Self {
            conn,
            path,
            page_size: variant.page_size,
            scope_hint,
            rewrite: *rewrite,
            records,
            data_bytes,
            last_rev: 0,
            picks: 0,
            measures: Vec::new(),
        })
    }

    fn note(&mut self, label: impl Into<String>, unit: Unit, amount: f64) {
        self.measures.push(Measure { label: label.into(), unit, amount });
    }

    /// Takes every measurement, in the order of the printed rows.
    fn measure(&mut self) -> Result<()> {
        let seconds = timed(|| self.fill())?;
        self.note("insert, 1,000 per transaction", Unit::Rate(self.records), seconds);
        self.note_size("file after the fill")?;
        self.measure_reads("filled")?;

        let total = self.records / 5;
        let single = SINGLE_UPDATES.min(total / 10);
        let hundreds = total / 10;
        self.measure_updates(single, 1)?;
        self.measure_updates(hundreds, 100)?;
        self.measure_updates(total - single - hundreds, 1_000)?;
        self.note_size("file after the updates")?;
        self.measure_reads("updated")?;

        let dead = self.records / 10;
        let seconds = timed(|| self.bury(dead))?;
        self.note("tombstone, 1,000 per transaction", Unit::Rate(dead), seconds);
        let seconds = timed(|| self.purge())?;
        self.note("purge, 500 per transaction", Unit::Rate(dead), seconds);
        Ok(())
    }

    fn measure_reads(&mut self, state: &str) -> Result<()> {
        let newest = self.last_rev - PAGE;
        let seconds = best_of(5, || self.delta(newest).map(drop))?;
        self.note(format!("{state}: newest 1,000"), Unit::Millis, seconds);
        let seconds = timed(|| self.full_sync())?;
        self.note(format!("{state}: full sync, rows"), Unit::Rate(self.records), seconds);
        let seconds = best_of(3, || self.scoped_delta())?;
        self.note(format!("{state}: scoped delta 1,000"), Unit::Millis, seconds);
        let seconds = best_of(3, || self.scoped_delta_hinted())?;
        self.note(format!("{state}: scoped delta, index hinted"), Unit::Millis, seconds);
        let seconds = timed(|| self.point_reads(POINT_READS))?;
        self.note(format!("{state}: point read"), Unit::Micros(POINT_READS), seconds);
        let seconds = timed(|| self.manifest())?;
        self.note(format!("{state}: manifest, deleted = 0"), Unit::Millis, seconds);
        let seconds = timed(|| self.manifest_by_difference())?;
        self.note(format!("{state}: manifest, all less tombstones"), Unit::Millis, seconds);
        self.evict()?;
        let seconds = timed(|| self.delta(newest))?;
        self.note(format!("{state}: newest 1,000, cold"), Unit::Millis, seconds);
        self.evict()?;
        let seconds = timed(|| self.point_reads(COLD_POINT_READS))?;
        self.note(format!("{state}: point read, cold"), Unit::Micros(COLD_POINT_READS), seconds);
        Ok(())
    }

    fn measure_updates(&mut self, updates: usize, batch: usize) -> Result<()> {
        let seconds = timed(|| self.update(updates, batch))?;
        self.note(format!("update, {batch} per transaction"), Unit::Rate(updates), seconds);
        Ok(())
    }

    fn note_size(&mut self, label: &str) -> Result<()> {
        self.conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE);")?;
        let bytes = fs::metadata(&self.path)?.len();
        self.note(label, Unit::Mebibytes, bytes as f64);
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        for start in (0..self.records).step_by(FILL_BATCH) {
            let end = self.records.min(start + FILL_BATCH);
            let (data_bytes, last_rev) = (self.data_bytes, &mut self.last_rev);
            self.conn.immediate_transaction(|conn| -> Result<()> {
                for n in start..end {
                    *last_rev += 1;
                    insert(conn, record(n, *last_rev, false, data_bytes))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn pick(&mut self) -> usize {
        self.picks += 1;
        (mix(!self.picks) % self.records as u64) as usize
    }

    fn update(&mut self, updates: usize, batch: usize) -> Result<()> {
        let targets: Vec<usize> = (0..updates).map(|_| self.pick()).collect();
        self.rewrite(&targets, batch, false)
    }

    /// Tombstones `count` distinct records, strewn over the whole table.
    fn bury(&mut self, count: usize) -> Result<()> {
        const STRIDE: usize = 2_654_435_761; // prime, so no record comes up twice
        let targets: Vec<usize> = (0..count).map(|k| k * STRIDE % self.records).collect();
        self.rewrite(&targets, FILL_BATCH, true)
    }

    fn rewrite(&mut self, targets: &[usize], batch: usize, deleted: bool) -> Result<()> {
        let (rewrite, last_rev) = (self.rewrite, &mut self.last_rev);
        let data_bytes = if deleted { 0 } else { self.data_bytes };
        for chunk in targets.chunks(batch) {
            self.conn.immediate_transaction(|conn| -> Result<()> {
                for &n in chunk {
                    *last_rev += 1;
                    rewrite_one(conn, rewrite, record(n, *last_rev, deleted, data_bytes))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Deletes all tombstones, collection by collection, oldest first.
    fn purge(&mut self) -> Result<()> {
        for collection in COLLECTIONS {
            while self.conn.immediate_transaction(|conn| purge_batch(conn, collection))? > 0 {}
        }
        Ok(())
    }

    fn delta(&mut self, after: i64) -> Result<Vec<Record>> {
        Ok(records::table
            .filter(records::space_id.eq(SPACE))
            .filter(records::rev.gt(after))
            .order(records::rev)
            .limit(PAGE)
            .select(Record::as_select())
            .load(&mut self.conn)?)
    }

    fn full_sync(&mut self) -> Result<()> {
        let (mut after, mut rows) = (0, 0);
        while let Some((last, page)) = self.delta(after)?.split_last() {
            after = last.rev;
            rows += page.len() + 1;
        }
        expect(rows, self.records)
    }

    fn scoped_delta(&mut self) -> Result<()> {
        let page: Vec<Record> = records::table
            .filter(records::space_id.eq(SPACE))
            .filter(records::collection_id.eq(SMALL_COLLECTION))
            .filter(records::rev.gt(0))
            .order(records::rev)
            .limit(PAGE)
            .select(Record::as_select())
            .load(&mut self.conn)?;
        expect(page.is_empty(), false)
    }

    fn scoped_delta_hinted(&mut self) -> Result<()> {
        let page: Vec<Record> = diesel::sql_query(format!(
            "SELECT * FROM records {} WHERE space_id = ? AND collection_id = ? AND rev > 0
             ORDER BY rev LIMIT {PAGE}",
            self.scope_hint
        ))
        .bind::<BigInt, _>(SPACE)
        .bind::<BigInt, _>(SMALL_COLLECTION)
        .load(&mut self.conn)?;
        expect(page.is_empty(), false)
    }

    fn point_reads(&mut self, reads: usize) -> Result<()> {
        for _ in 0..reads {
            let (collection, id) = identity(self.pick());
            let _: (i64, String) = find(&mut self.conn, collection, &id)?;
        }
        Ok(())
    }

    fn manifest(&mut self) -> Result<()> {
        let revs: Vec<i64> = records::table
            .filter(records::space_id.eq(SPACE))
            .filter(records::deleted.eq(false))
            .select(records::rev)
            .load(&mut self.conn)?;
        expect(revs.len(), self.records)
    }

    /// The manifest from indexes alone: every revision, then the dead ones to
    /// be taken out of them.
    fn manifest_by_difference(&mut self) -> Result<()> {
        let revs: Vec<i64> =
            records::table.filter(records::space_id.eq(SPACE)).select(records::rev).load(&mut self.conn)?;
        let dead: Vec<Rev> =
            diesel::sql_query("SELECT rev FROM records INDEXED BY records_deleted WHERE space_id = ? AND deleted = 1")
                .bind::<BigInt, _>(SPACE)
                .load(&mut self.conn)?;
        expect(revs.len() - dead.len(), self.records)
    }

    /// Empties SQLite's cache and drops the file from the system's.
    fn evict(&mut self) -> Result<()> {
        self.conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE);")?;
        let status = Command::new("dd")
            .arg(format!("if={}", self.path.display()))
            .args(["iflag=nocache", "count=0", "status=none"])
            .status()?;
        expect(status.success(), true)?;
        self.conn = connect(&self.path, self.page_size)?;
        Ok(())
    }
}

fn record(n: usize, rev: i64, deleted: bool, data_bytes: usize) -> Record {
    let (collection_id, id) = identity(n);
    let data = if deleted { String::new() } else { payload(rev, data_bytes) };
    let modified_at = 1_700_000_000_000_000 + rev * 1_000;
    Record { space_id: SPACE, rev, collection_id, id, deleted, modified_at, data }
}

fn insert(conn: &mut SqliteConnection, record: Record) -> Result<()> {
    diesel::insert_into(records::table).values(record).execute(conn)?;
    Ok(())
}

fn find(conn: &mut SqliteConnection, collection: i64, id: &str) -> Result<(i64, String)> {
    Ok(records::table
        .filter(records::space_id.eq(SPACE))
        .filter(records::collection_id.eq(collection))
        .filter(records::id.eq(id))
        .select((records::rev, records::data))
        .first(conn)?)
}

/// Reads the stored record, as the server does before a write, and replaces it.
fn rewrite_one(conn: &mut SqliteConnection, rewrite: Rewrite, record: Record) -> Result<()> {
    let (stored, _data) = find(conn, record.collection_id, &record.id)?;
    let by_rev = records::table.filter(records::space_id.eq(SPACE)).filter(records::rev.eq(stored));
    let by_id = records::table
        .filter(records::space_id.eq(SPACE))
        .filter(records::collection_id.eq(record.collection_id))
        .filter(records::id.eq(&record.id));
    let columns = (
        records::rev.eq(record.rev),
        records::deleted.eq(record.deleted),
        records::modified_at.eq(record.modified_at),
        records::data.eq(&record.data),
    );
    let changed = match rewrite {
        Rewrite::UpdateByRev => diesel::update(by_rev).set(columns).execute(conn)?,
        Rewrite::UpdateById => diesel::update(by_id).set(columns).execute(conn)?,
        Rewrite::DeleteInsert => {
            let changed = diesel::delete(by_rev).execute(conn)?;
            insert(conn, record)?;
            changed
        }
    };
    expect(changed, 1)
}

/// Deletes the oldest tombstones of a collection; how many there were.
fn purge_batch(conn: &mut SqliteConnection, collection: i64) -> Result<usize> {
    // The planner finds the partial index for the SELECT, but without statistics
    // it runs the DELETE on a table keyed by revision as a walk of the primary
    // key from its start, unless told otherwise. The literal is needed as well.
    let revs: Vec<Rev> = diesel::sql_query(
        "SELECT rev FROM records INDEXED BY records_deleted
         WHERE space_id = ? AND collection_id = ? AND deleted = 1 ORDER BY rev LIMIT ?",
    )
    .bind::<BigInt, _>(SPACE)
    .bind::<BigInt, _>(collection)
    .bind::<BigInt, _>(PURGE_BATCH)
    .load(conn)?;
    let Some(Rev { rev: last }) = revs.last() else {
        return Ok(0);
    };
    let purged = diesel::sql_query(
        "DELETE FROM records INDEXED BY records_deleted
         WHERE space_id = ? AND collection_id = ? AND deleted = 1 AND rev <= ?",
    )
    .bind::<BigInt, _>(SPACE)
    .bind::<BigInt, _>(collection)
    .bind::<BigInt, _>(last)
    .execute(conn)?;
    expect(purged, revs.len())?;
    Ok(purged)
}

fn best_of(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    (0..times).try_fold(f64::INFINITY, |best, _| Ok(best.min(timed(&mut work)?)))
}

fn expect<T: Copy + PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(format!("expected {expected:?}, found {found:?}").into())
}

fn remove(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{suffix}", path.display()));
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

fn setting(name: &str, default: usize) -> Result<usize> {
    match env::var(name) {
        Ok(value) => Ok(value.parse().map_err(|error| format!("{name}: {error}"))?),
        Err(_) => Ok(default),
    }
}

/// Keeps the better of what is known and a further round.
fn merge(best: &mut Vec<Measure>, round: Vec<Measure>) {
    if best.is_empty() {
        *best = round;
        return;
    }
    for (known, new) in best.iter_mut().zip(round) {
        known.amount = known.amount.min(new.amount);
    }
}

fn execute(run: &Run, records: usize, rounds: usize) -> Result<()> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout.sqlite3");
    let mut columns: Vec<Vec<Measure>> = run.variants.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (variant, column) in run.variants.iter().zip(&mut columns) {
            let start = Instant::now();
            let mut subject = Subject::create(variant, records, run.data_bytes, path.clone())?;
            subject.measure()?;
            let seconds = start.elapsed().as_secs();
            let alone = table(slice::from_ref(variant), &[&subject.measures]);
            eprintln!("\n{}, round {round}, {seconds} s\n\n{alone}", run.title);
            merge(column, subject.measures);
        }
    }
    let columns: Vec<&[Measure]> = columns.iter().map(Vec::as_slice).collect();
    println!("### {}, {records} records, best of {rounds}\n", run.title);
    println!("{}", table(run.variants, &columns));
    remove(&path)
}

/// The measurements as a markdown table with a column for each variant.
fn table(variants: &[Variant], columns: &[&[Measure]]) -> String {
    let mut table = vec![vec![String::from("measurement")]];
    table.extend(columns[0].iter().map(|measure| vec![measure.heading()]));
    for (variant, column) in variants.iter().zip(columns) {
        table[0].push(format!("{}, {}", variant.layout.name, variant.page_size));
        for (row, measure) in table[1..].iter_mut().zip(*column) {
            row.push(measure.cell());
        }
    }
    let widths: Vec<usize> =
        (0..table[0].len()).map(|at| table.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let rule = widths.iter().enumerate().map(|(at, &width)| match at {
        0 => "-".repeat(width),
        _ => format!("{}:", "-".repeat(width - 1)),
    });
    table.insert(1, rule.collect());
    table.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, &width))| match at {
        0 => format!(" {cell:<width$} |"),
        _ => format!(" {cell:>width$} |"),
    });
    format!("|{}\n", cells.collect::<String>())
}

fn main() -> Result<()> {
    let records = setting("STRANDLINE_LAYOUT_RECORDS", 1_000_000)?;
    let rounds = setting("STRANDLINE_LAYOUT_ROUNDS", 3)?;
    let wanted = env::var("STRANDLINE_LAYOUT_RUN").unwrap_or_default();
    for run in RUNS.iter().filter(|run| run.title.contains(&wanted)) {
        execute(run, (records / run.divisor).max(2 * PAGE as usize), rounds)?;
    }
    Ok(())
}
