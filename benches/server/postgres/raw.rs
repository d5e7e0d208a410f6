//! The floor under pushes: what they send to PostgreSQL, by its client library and nothing else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all, try_join3};
use tokio_postgres::{Client, NoTls};

use crate::workload::{Batches, data, id};
use crate::{Result, load};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

const LOCK: &str = "SELECT * FROM spaces WHERE name = ANY ($1) FOR UPDATE";

const EXISTING: &str = "SELECT r.collection_id, r.id, r.rev, r.modified_at, r.data
    FROM unnest($1::bigint[], $2::text[]) AS k (collection_id, id)
    JOIN records r ON r.collection_id = k.collection_id AND r.id = k.id COLLATE \"C\"";

const INSERT: &str = "INSERT INTO records (space_id, rev, collection_id, id, modified_at, deleted, data)
    SELECT 1, rev, 1, id, modified_at, FALSE, data::json
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS r (rev, id, modified_at, data)";

const UPDATE_COLLECTION: &str = "UPDATE collections SET head = $1, live = live + 1, checksum = checksum # $1,
    live_bytes = live_bytes + 236 WHERE id = 1";

const UPDATE_SPACE: &str = "UPDATE spaces SET head = $1, modified_at = $2, version = $1 WHERE id = 1";

/// A database with the store's schema, and in it a space with a collection, both of the number 1.
pub struct Raw {
    url: String,
}

/// The columns of records that are to be inserted.
#[derive(Default)]
struct Rows {
    revs: Vec<i64>,
    ids: Vec<String>,
    times: Vec<i64>,
    data: Vec<String>,
}

impl Raw {
    /// Makes the space and the collection.
    pub fn create(url: &str) -> Result<Self> {
        load::block_on(async {
            let make = "INSERT INTO spaces (id, name, retention, max_retention, created_at, modified_at, version)
                    VALUES (1, 'space', 'forever', 'forever', 0, 0, 0);
                INSERT INTO collections (id, space_id, name) VALUES (1, 1, 'todos')";
            Ok(connect(url).await?.batch_execute(make).await?)
        })?;
        Ok(Self { url: url.to_owned() })
    }

    /// Inserts `batches`, each with one statement and in one transaction; answers how long that took, without making
    /// the records.
    pub fn insert(&self, batches: &Batches, connections: usize) -> Result<Duration> {
        let mut waiting = Vec::new();
        while let Some((first, count)) = batches.take() {
            waiting.push(Rows::of(first, count)?);
        }
        // Taken from the end.
        waiting.reverse();
        let waiting = Arc::new(Mutex::new(waiting));
        load::block_on(async {
            let mut inserts = Vec::new();
            for _ in 0..connections {
                let (client, waiting) = (connect(&self.url).await?, Arc::clone(&waiting));
                let insert = client.prepare(INSERT).await?;
                inserts.push(async move {
                    loop {
                        let Some(rows) = waiting.lock().map_err(|_| "an insert panicked")?.pop() else { break };
                        client.execute(&insert, &[&rows.revs, &rows.ids, &rows.times, &rows.data]).await?;
                    }
                    Result::Ok(())
                });
            }
            let begun = Instant::now();
            try_join_all(inserts).await?;
            Ok(begun.elapsed())
        })
    }

    /// Does what a push of one record does, one push a transaction, until the time is over; answers how many a second.
    /// All connections want the same space, and each has it until its commit.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn one_by_one(&self, batches: &Batches, connections: usize, duration: Duration) -> Result<f64> {
        load::block_on(async {
            let mut clients = Vec::new();
            for _ in 0..connections {
                clients.push(connect(&self.url).await?);
            }
            let begun = Instant::now();
            let pushes = clients.iter().map(|client| pushes(client, batches, begun, duration));
            let done: u64 = try_join_all(pushes).await?.iter().sum();
            Ok(done as f64 / begun.elapsed().as_secs_f64())
        })
    }
}

impl Rows {
    fn of(first: u64, count: u64) -> Result<Self> {
        let mut rows = Self::default();
        for n in first..first + count {
            let mut text = String::new();
            data(&mut text, n);
            let rev = i64::try_from(n)? + 1;
            rows.revs.push(rev);
            rows.ids.push(id(n));
            rows.times.push(1_795_377_600_000_000 + rev);
            rows.data.push(text);
        }
        Ok(rows)
    }
}

/// The four round trips of a push, again and again; statements of one trip are sent together.
async fn pushes(client: &Client, batches: &Batches, begun: Instant, duration: Duration) -> Result<u64> {
    let (lock, existing) = (client.prepare(LOCK).await?, client.prepare(EXISTING).await?);
    let (insert, collection) = (client.prepare(INSERT).await?, client.prepare(UPDATE_COLLECTION).await?);
    let space = client.prepare(UPDATE_SPACE).await?;
    let mut done = 0;
    while begun.elapsed() < duration
        && let Some((first, _)) = batches.take()
    {
        let mut rows = Rows::of(first, 1)?;
        let ((), locked) = try_join(client.batch_execute(BEGIN), client.query_one(&lock, &[&vec!["space"]])).await?;
        client.query(&existing, &[&vec![1_i64], &rows.ids]).await?;
        let head = locked.try_get::<_, i64>("head")? + 1;
        rows.revs = vec![head];
        try_join3(
            client.execute(&insert, &[&rows.revs, &rows.ids, &rows.times, &rows.data]),
            client.execute(&collection, &[&head]),
            client.execute(&space, &[&head, &rows.times.first()]),
        )
        .await?;
        client.batch_execute("COMMIT").await?;
        done += 1;
    }
    Ok(done)
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Its errors come out of the client's calls too.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
