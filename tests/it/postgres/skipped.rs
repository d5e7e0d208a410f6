//! No change is ever skipped: a writer may stand still between any two of its statements, and the readers that passed it
//! by meanwhile still meet what it writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use strandline::domain::repair::{FetchRequest, ManifestRequest};
use strandline::domain::{Change, Rev, SpaceName};
use strandline::store::{RemoteOptions, Store};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::mirror::{Mirror, SPACE, delete, open, push, put, told};
use super::node::{Node, PATIENCE};
use crate::support::postgres::Database;
use crate::support::{Form, Link, Replica, lots};

/// What another node's writer sends, in order; it inserts a record, changes one, and deletes one. `3`, `4` and `5` travel
/// together, and the server may come to them in any order.
struct Stranger {
    client: Client,
    head: i64,
}

impl Stranger {
    async fn new(database: &Database) -> Self {
        Self { client: database.admin().connect().await.unwrap(), head: 0 }
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }

    /// Begins and locks the space.
    async fn lock(&mut self) {
        self.run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await;
        let row = self.client.query_one("SELECT head FROM spaces WHERE name = 'demo' FOR UPDATE", &[]).await.unwrap();
        self.head = row.get(0);
    }

    /// One of the statements that write.
    async fn write(&self, which: usize, turn: usize) {
        let (head, now) = (self.head, "(extract(epoch FROM clock_timestamp()) * 1e6)::bigint");
        let todos = "(SELECT c.id FROM collections c JOIN spaces s ON s.id = c.space_id WHERE s.name = 'demo' AND c.name = 'todos')";
        let space = "(SELECT id FROM spaces WHERE name = 'demo')";
        let sql = match which {
            0 => format!(
                "INSERT INTO records (space_id, rev, collection_id, id, modified_at, deleted, data)
                 SELECT {space}, {head} + n, {todos}, id, {now}, data IS NULL, data::json
                 FROM (VALUES (1, 'new-{turn}', '{{}}'), (2, 'edited', '{{\"turn\": {turn}}}'), (3, 'gone-{turn}', NULL))
                    AS r (n, id, data)
                 ON CONFLICT (collection_id, id) DO UPDATE SET rev = excluded.rev, deleted = excluded.deleted,
                    modified_at = excluded.modified_at, data = excluded.data"
            ),
            // The sums as they are after the change, from the rows themselves.
            1 => format!(
                "UPDATE collections SET head = {head} + 3, live = live, tombstones = tombstones + 1,
                    live_bytes = live_bytes, checksum = {} WHERE id = {todos}",
                self.checksum(turn).await
            ),
            _ => format!(
                "UPDATE spaces SET head = {head} + 3, modified_at = {now}, version = (random() * 9e18)::bigint
                 WHERE name = 'demo'"
            ),
        };
        self.run(&sql).await;
    }

    /// The checksum that `todos` will have.
    async fn checksum(&self, turn: usize) -> i64 {
        let sql = "SELECT r.id, r.rev FROM records r JOIN collections c ON c.id = r.collection_id
                   JOIN spaces s ON s.id = c.space_id WHERE s.name = 'demo' AND c.name = 'todos' AND NOT r.deleted";
        let rows = self.client.query(sql, &[]).await.unwrap();
        let gone = [format!("new-{turn}"), "edited".to_owned(), format!("gone-{turn}")];
        let held = rows.iter().filter(|row| !gone.contains(&row.get(0))).map(|row| row.get::<_, i64>(1));
        let revs = held.chain([self.head + 1, self.head + 2]);
        let sum: strandline::domain::Checksum =
            revs.map(|rev| strandline::domain::Rev::new(rev.unsigned_abs()).unwrap()).collect();
        sum.to_stored()
    }
}

/// Readers of all kinds that page to their end, and what each of them then has: to go on from later.
struct Readers {
    stores: [Arc<dyn Store>; 2],
    mirrors: Vec<Mirror>,
    replica: Replica,
}

impl Readers {
    async fn go(&mut self, limit: usize) {
        for store in &self.stores {
            let mut from_nothing = Mirror::default();
            from_nothing.pull(&**store, limit).await.unwrap();
            self.mirrors.push(from_nothing);
        }
        for (number, mirror) in self.mirrors.iter_mut().enumerate().rev().take(6) {
            mirror.pull(&*self.stores[number % 2], limit).await.unwrap();
        }
        self.replica.pull(Form::Pages(limit)).await.unwrap();
        let mut lines = Replica::new(self.replica.link.again(), None);
        lines.pull(Form::Lines).await.unwrap();
        assert_eq!(lines.records, self.replica.records);
    }

    /// All of them go on, and find what is there now; the newest revision is the own push of that turn.
    async fn meet(&mut self, head: u64, turn: usize) {
        let begun = std::time::Instant::now();
        // Another store may not have heard of the newest commit for a moment.
        for store in &self.stores {
            let mut fresh = Mirror::default();
            while fresh.whole_at < head {
                assert!(begun.elapsed() < Duration::from_secs(5), "it does not hear of it");
                fresh.pull(&**store, 1000).await.unwrap();
            }
        }
        while self.replica.whole_at < Some(head) {
            assert!(begun.elapsed() < Duration::from_secs(5), "it does not hear of it");
            self.replica.pull(Form::Pages(3)).await.unwrap();
        }
        let new = ("todos".to_owned(), format!("new-{turn}"));
        assert_eq!(self.replica.records[&new].rev, head - 3);
        for (number, mut mirror) in self.mirrors.drain(..).enumerate() {
            mirror.pull(&*self.stores[(number + 1) % 2], 3).await.unwrap();
            assert_eq!((mirror.whole_at, mirror.revs.get(&new)), (head, Some(&(head - 3))));
            assert!(!mirror.revs.contains_key(&("todos".to_owned(), format!("gone-{turn}"))));
        }
    }
}

async fn long_poll(mut link: Link, cursor: String) -> Value {
    link.get(&format!("/changes?since={cursor}&wait=30")).await.unwrap().expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_stands_still_at_any_step_hides_nothing_from_who_passes_it_by() {
    let Some(database) = Database::empty() else { return };
    let node = Node::start(database.url(), &[]).await;
    let stores =
        [open(database.url(), RemoteOptions::default()).await, open(database.url(), RemoteOptions::default()).await];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut first = vec![put("todos", "edited", "{}")];
    first.extend((0..orders.len()).map(|turn| put("todos", &format!("gone-{turn}"), "{}")));
    first.extend((0..8).map(|n| put("other", &format!("{n}"), "{}")));
    push(&*stores[0], SPACE, first).await.unwrap();
    let mut readers = Readers { stores, mirrors: Vec::new(), replica: Replica::new(node.link(SPACE), None) };

    for (turn, order) in orders.into_iter().enumerate() {
        let mut stranger = Stranger::new(&database).await;
        readers.go(3).await;
        let cursor = readers.replica.cursor.clone().unwrap();
        let poll = tokio::spawn(long_poll(node.link(SPACE), cursor.clone()));
        stranger.lock().await;
        readers.go(2).await;
        // One of this node's own waits for its turn behind the stranger.
        let store = Arc::clone(&readers.stores[turn % 2]);
        let own = tokio::spawn(async move {
            push(&*store, SPACE, vec![put("other", "own", &format!("{{\"n\":{turn}}}"))]).await.map(|it| told(&it))
        });
        for which in order {
            stranger.write(which, turn).await;
            readers.go(2).await;
        }
        assert!(!own.is_finished() && !poll.is_finished(), "nothing was committed yet");
        assert_eq!(readers.replica.cursor.as_ref(), Some(&cursor), "nobody moves on before the commit");
        let begun = std::time::Instant::now();
        stranger.run("COMMIT").await;
        let page = timeout(PATIENCE, poll).await.unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let ids: Vec<&str> = page["changes"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert!(ids.starts_with(&[&format!("new-{turn}"), "edited", &format!("gone-{turn}")]), "{ids:?}");
        let own = timeout(PATIENCE, own).await.unwrap().unwrap().unwrap();
        let head = stranger.head.unsigned_abs() + 4;
        assert_eq!(own, [head], "behind the stranger, not over it");
        // The own push has told everybody; before that a store may answer as it was for three seconds.
        readers.meet(head, turn).await;
    }
}

/// A node that has not heard of a commit yet answers nobody from before it who has already met it: what `fetch` left out
/// because it was edited meanwhile must come with the pull that follows.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_does_not_end_before_what_it_has_met() {
    let Some(database) = Database::empty() else { return };
    let store = open(database.url(), RemoteOptions::default()).await;
    let changes = ["edited", "gone-0", "stays"].map(|id| put("todos", id, "{}")).into();
    push(&*store, SPACE, changes).await.unwrap();
    let name = || SpaceName::new(SPACE).unwrap();
    let mut stranger = Stranger::new(&database).await;
    // The state is remembered now, and nobody tells this store of the stranger's commit.
    let mut whole = Mirror::default();
    whole.pull(&*store, 10).await.unwrap();
    whole.pull(&*store, 10).await.unwrap();
    let asked = ManifestRequest { space: name(), collections: None, from: None, to: None };
    let manifest = store.manifest(asked).await.unwrap();
    stranger.lock().await;
    for which in 0..3 {
        stranger.write(which, 0).await;
    }
    stranger.run("COMMIT").await;
    let asked = FetchRequest {
        space: name(),
        runs: manifest.runs,
        collections: None,
        from: Rev::ZERO,
        limit: 10,
        max_bytes: usize::MAX,
    };
    let fetched = store.fetch(asked).await.unwrap();
    assert_eq!(fetched.changes.len(), 1, "two of the three are not what they were");
    let held = |change: &Change| ((change.collection.to_string(), change.id.to_string()), change.rev.get());
    let mut repaired = Mirror {
        revs: fetched.changes.iter().map(held).collect(),
        cursor: manifest.cursor.unwrap().to_string(),
        whole_at: 0,
    };
    repaired.pull(&*store, 10).await.unwrap();
    assert_eq!(repaired.whole_at, 6);
}

/// Pulls without pause until all is written; how often it was whole. What is answered from memory awaits nothing, so that
/// it yields by itself: otherwise it would keep the runtime's threads from everybody else, the store's own tasks included.
async fn read(store: Arc<dyn Store>, limit: usize, over: Arc<AtomicBool>) -> (usize, Mirror) {
    let (mut mirror, mut whole) = (Mirror::default(), 0);
    while !over.load(Ordering::Relaxed) {
        mirror.pull(&*store, limit).await.unwrap();
        whole += 1;
        tokio::task::yield_now().await;
    }
    (whole, mirror)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_on_three_nodes_leave_no_gap_and_no_double() {
    let Some(database) = Database::empty() else { return };
    let mut rng = lots("many writers");
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(open(database.url(), RemoteOptions::default()).await);
    }
    push(&*stores[0], SPACE, vec![put("shared", "0", "{}")]).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..6).map(|n| tokio::spawn(read(Arc::clone(&stores[n % 3]), [3, 50][n / 3], Arc::clone(&over)))).collect();
    let writers: Vec<_> = (0..12)
        .map(|writer| {
            let (store, mut rng) = (Arc::clone(&stores[writer % 3]), fastrand::Rng::with_seed(rng.u64(..)));
            tokio::spawn(async move {
                let mut revs = Vec::new();
                for turn in 0..60 {
                    let data = format!("{{\"by\":{writer},\"turn\":{turn}}}");
                    let mut changes = vec![put("shared", &rng.usize(..30).to_string(), &data)];
                    // Every so often more than go together with others, and a deletion that is one for sure.
                    let more = if turn % 20 == 0 { 150 } else { rng.usize(..4) };
                    changes.extend((0..more).map(|n| put("own", &format!("{writer}-{n}"), &data)));
                    if turn % 2 == 1 {
                        changes.push(put("own", &format!("{writer}-{turn}-gone"), &data));
                    } else if turn > 0 {
                        changes.push(delete("own", &format!("{writer}-{}-gone", turn - 1)));
                    }
                    revs.extend(told(&push(&*store, SPACE, changes).await.unwrap()));
                }
                revs
            })
        })
        .collect();
    let mut revs = Vec::new();
    for writer in writers {
        revs.extend(timeout(PATIENCE, writer).await.expect("they come to an end").unwrap());
    }
    over.store(true, Ordering::Relaxed);
    revs.sort_unstable();
    let head = revs.len() as u64 + 1;
    assert!(revs.iter().copied().eq(2..=head), "every revision once");
    let mut whole = 0;
    for (number, reader) in readers.into_iter().enumerate() {
        let (times, mut mirror) = reader.await.unwrap();
        whole += times;
        // What it has not heard of it finds within the time that a state in memory may be answered.
        let begun = std::time::Instant::now();
        while mirror.whole_at < head {
            assert!(begun.elapsed() < Duration::from_secs(5));
            mirror.pull(&*stores[number % 3], 3).await.unwrap();
        }
    }
    let lost: i64 = database.admin().ask("SELECT count(*) - count(DISTINCT rev) FROM records");
    assert_eq!(lost, 0);
    eprintln!("skipped: {head} revisions by 12 writers on three stores, {whole} times whole");
    assert!(whole >= 6);
}
