//! A standby serves the rows of pulls where it has them; where it lags, is paused or is gone, nobody is told anything wrong
//! and nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::timeout;

use super::node::{Node, PATIENCE, until};
use crate::support::postgres::{Admin, Cluster, Database, Settings};
use crate::support::{Form, Link, Replica, Trouble, lots};

struct Pair {
    primary: Cluster,
    standby: Cluster,
    database: Database,
    node: Node,
}

impl Pair {
    async fn new() -> Option<Self> {
        let primary = Cluster::start(&Settings::default())?;
        let database = Database::on(&primary);
        let standby = primary.standby();
        let node =
            Node::start(database.url(), &["--connect-timeout", "1s", "--read-database", &standby.url(database.name())])
                .await;
        Some(Self { primary, standby, database, node })
    }

    fn there(&self) -> Admin {
        self.standby.admin().of(self.database.name())
    }

    /// The standby stays where it is.
    async fn pause(&self) {
        self.there().run("SELECT pg_wal_replay_pause()");
        until("the standby is paused", async || {
            self.there().ask::<bool>("SELECT pg_get_wal_replay_pause_state() = 'paused'")
        })
        .await;
    }

    fn resume(&self) {
        self.there().run("SELECT pg_wal_replay_resume()");
    }
}

async fn write(link: &mut Link, ids: std::ops::Range<usize>) {
    let changes: Vec<_> = ids
        .map(|id| json!({"collection": "todos", "id": id.to_string(), "base_rev": "*", "data": {"n": fastrand::u64(..)}}))
        .collect();
    link.post("/push", &json!({"changes": changes})).await.unwrap().expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_at_the_standby_and_who_is_ahead_of_it_is_served_by_the_primary() {
    let Some(pair) = Pair::new().await else { return };
    let mut link = pair.node.link("demo");
    write(&mut link, 0..100).await;
    pair.standby.catch_up(&pair.primary);
    pair.pause().await;

    // Nobody can read records at the primary, and they are read.
    let holder = pair.database.admin().connect().await.unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE records IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let mut early = Replica::new(pair.node.link("demo"), None);
    early.pull(Form::Pages(7)).await.unwrap();
    let mut lines = Replica::new(pair.node.link("demo"), None);
    lines.pull(Form::Lines).await.unwrap();
    assert_eq!((early.whole_at, lines.whole_at, early.records.len()), (Some(100), Some(100), 100));
    holder.batch_execute("ROLLBACK").await.unwrap();

    // The standby knows nothing of this.
    write(&mut link, 50..120).await;
    early.pull(Form::Pages(7)).await.unwrap();
    assert_eq!((early.whole_at, early.records.len()), (Some(170), 120));
    let cursor = early.cursor.clone().unwrap();
    let page = link.get(&format!("/changes?since={cursor}")).await.unwrap().expect(200);
    assert_eq!(page["changes"], json!([]));
    let page = link.get("/changes?since=160").await.unwrap().expect(200);
    assert_eq!(page["changes"].as_array().unwrap().len(), 10);
    for limit in [3, 60, 1000] {
        let mut late = Replica::new(pair.node.link("demo"), None);
        late.pull(Form::Pages(limit)).await.unwrap();
        assert_eq!(late.records, early.records);
    }
    pair.resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_misses_anything_while_the_standby_falls_behind_and_catches_up() {
    let Some(pair) = Pair::new().await else { return };
    let (mut link, mut rng) = (pair.node.link("demo"), lots("standby"));
    write(&mut link, 0..10).await;
    pair.standby.catch_up(&pair.primary);
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for number in 0..4 {
        let (mut replica, over) = (Replica::new(pair.node.link("demo"), None), Arc::clone(&over));
        readers.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                match number {
                    0 => replica.pull(Form::Pages(3)).await.unwrap(),
                    1 => replica.pull(Form::Lines).await.unwrap(),
                    2 => {
                        replica.pull(Form::Pages(20)).await.unwrap();
                        let since = replica.cursor.clone().unwrap();
                        // What it is woken for is there, or it was woken by something that came with it.
                        let page =
                            replica.link.get(&format!("/changes?since={since}&wait=1")).await.unwrap().expect(200);
                        assert!(page["head"].as_u64() >= replica.whole_at);
                    }
                    _ => {
                        let mut feed = replica.subscribe().await.unwrap();
                        while !over.load(Ordering::Relaxed)
                            && let Ok(next) = timeout(Duration::from_secs(2), replica.follow(&mut feed)).await
                        {
                            assert!(next.unwrap(), "the feed goes on");
                        }
                    }
                }
            }
            replica
        }));
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        pair.pause().await;
        for _ in 0..rng.usize(1..30) {
            let first = rng.usize(..80);
            write(&mut link, first..first + rng.usize(1..8)).await;
            let id = rng.usize(..80).to_string();
            let change = json!({"collection": "todos", "id": id, "base_rev": "*", "deleted": true});
            link.post("/push", &json!({"changes": [change]})).await.unwrap().expect(200);
        }
        link.post("/compact", &json!({"older_than": "1h"})).await.unwrap().expect(200);
        pair.resume();
        tokio::time::sleep(Duration::from_millis(rng.u64(0..100))).await;
    }
    let head = link.get("").await.unwrap().expect(200)["head"].as_u64();
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        let mut replica = timeout(PATIENCE, reader).await.unwrap().unwrap();
        replica.pull(Form::Pages(50)).await.unwrap();
        assert_eq!(replica.whole_at, head);
    }
    let scans: i64 = pair
        .there()
        .ask("SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'records'");
    eprintln!("standby: {head:?} revisions, {scans} scans of records at the standby");
    assert!(scans > 0);
}

/// The slowest of some pulls of rows.
async fn slowest(node: &Node) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let mut replica = Replica::new(node.link("demo"), None);
        let begun = Instant::now();
        match timeout(PATIENCE, replica.pull(Form::Pages(1000))).await.expect("an answer") {
            Ok(()) => assert_eq!(replica.records.len(), 20),
            Err(Trouble::Lost(why)) => panic!("the primary is there: {why}"),
            Err(Trouble::Resync(problem)) => panic!("{problem}"),
        }
        slowest = slowest.max(begun.elapsed());
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_standby_the_primary_serves() {
    let Some(mut pair) = Pair::new().await else { return };
    write(&mut pair.node.link("demo"), 0..20).await;
    pair.standby.catch_up(&pair.primary);
    let with = slowest(&pair.node).await;
    pair.standby.freeze();
    let frozen = slowest(&pair.node).await;
    pair.standby.thaw();
    pair.standby.kill();
    let without = slowest(&pair.node).await;
    pair.standby.start_again();
    eprintln!("standby: the slowest of 5 pulls with it {with:?}, while it hangs {frozen:?}, without it {without:?}");
    assert!(without.max(frozen) < Duration::from_secs(3), "{frozen:?} {without:?}");
}
