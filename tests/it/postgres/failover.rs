//! The primary dies and its standby takes its place, with everything or without the last commits: each space then has a
//! new epoch that was opened at the head it has there, and everybody goes on from what is shared.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::node::{Node, PATIENCE, until};
use crate::support::postgres::{Cluster, Database, Settings};
use crate::support::{Form, Link, Replica, Trouble};

const LIMITS: [&str; 6] = ["--connect-timeout", "2s", "--statement-timeout", "2s", "--lock-timeout", "1s"];
const BREATH: Duration = Duration::from_millis(5);
/// How long a node that has heard of nothing may answer polls from its memory.
const MEMORY: Duration = Duration::from_secs(5);

/// A primary, its standby, a database, and two nodes that know both.
struct Pair {
    primary: Cluster,
    standby: Cluster,
    database: Database,
    nodes: [Node; 2],
}

impl Pair {
    async fn new() -> Option<Self> {
        let primary = Cluster::start(&Settings::default())?;
        let database = Database::on(&primary);
        let standby = primary.standby();
        let url = format!(
            "postgres://strandline@127.0.0.1:{},127.0.0.1:{}/{}",
            primary.port(),
            standby.port(),
            database.name()
        );
        let nodes = [Node::start(&url, &LIMITS).await, Node::start(&url, &LIMITS).await];
        Some(Self { primary, standby, database, nodes })
    }

    fn there(&self) -> crate::support::postgres::Admin {
        self.standby.admin().of(self.database.name())
    }

    /// The standby receives nothing more. What it received until then it has replayed.
    async fn part(&self) {
        let standby = self.there();
        standby.run("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'");
        standby.run("SELECT pg_reload_conf()");
        until("the standby is alone", async || {
            standby.ask::<bool>(
                "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL)
                 AND pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn()",
            )
        })
        .await;
    }

    fn heads(&self) -> BTreeMap<String, u64> {
        let text: String = self.there().ask("SELECT coalesce(jsonb_object_agg(name, head), '{}')::text FROM spaces");
        serde_json::from_str(&text).unwrap()
    }
}

async fn breathe() {
    tokio::time::sleep(BREATH).await;
}

/// Repairs, however often it takes; how far it shared the history that it met.
async fn repair(replica: &mut Replica, mut problem: Value, form: Form) -> u64 {
    let shared = problem["shared_rev"].as_u64().unwrap();
    loop {
        assert_eq!(problem["reason"], "epoch", "{problem}");
        match replica.repair(&problem, form).await {
            Ok(()) => return shared,
            Err(Trouble::Lost(_)) => breathe().await,
            Err(Trouble::Resync(again)) => problem = again,
        }
    }
}

/// A replica that is kept through it all, and how far it shared the history at each repair.
async fn follow(mut replica: Replica, form: Form, over: Arc<AtomicBool>) -> (Replica, Vec<u64>) {
    let mut repairs = Vec::new();
    loop {
        let last = over.load(Ordering::Relaxed);
        match replica.pull(form).await {
            Ok(()) if last => return (replica, repairs),
            Ok(()) => {}
            Err(Trouble::Lost(_)) => breathe().await,
            Err(Trouble::Resync(problem)) => repairs.push(repair(&mut replica, problem, form).await),
        }
    }
}

/// The same by the live feed.
async fn listen(mut replica: Replica, over: Arc<AtomicBool>) -> (Replica, Vec<u64>) {
    let mut repairs = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let trouble = match replica.subscribe().await {
            Ok(mut feed) => loop {
                let next = timeout(Duration::from_secs(1), replica.follow(&mut feed)).await;
                match next {
                    Ok(Err(trouble)) => break trouble,
                    Ok(Ok(false)) => break Trouble::Lost("closed".into()),
                    Err(_) if over.load(Ordering::Relaxed) => break Trouble::Lost("over".into()),
                    Ok(Ok(true)) | Err(_) => {}
                }
            },
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Lost(_) => breathe().await,
            Trouble::Resync(problem) => repairs.push(repair(&mut replica, problem, Form::Pages(100)).await),
        }
    }
    (replica, repairs)
}

/// A client that keeps a replica and adds one record after the other.
struct Editor {
    replica: Replica,
    name: String,
    seq: u64,
    /// Epoch and revision of each that was acknowledged.
    told: BTreeMap<String, (String, u64)>,
    repairs: Vec<u64>,
}

impl Editor {
    fn new(mut link: Link, name: String) -> Self {
        link.name = Some(name.clone());
        Self { replica: Replica::new(link, None), name, seq: 0, told: BTreeMap::new(), repairs: Vec::new() }
    }

    async fn run(mut self, over: Arc<AtomicBool>, acknowledged: Arc<AtomicUsize>) -> Self {
        while !over.load(Ordering::Relaxed) {
            match self.replica.pull(Form::Pages(500)).await {
                Ok(()) => {}
                Err(trouble) => {
                    self.overcome(trouble).await;
                    continue;
                }
            }
            self.seq += 1;
            let id = format!("{}-{}", self.name, self.seq);
            let change = json!({"collection": "todos", "id": id, "base_rev": "*", "data": {"seq": self.seq}});
            let push = json!({"changes": [change], "cursor": self.replica.cursor, "seq": self.seq});
            loop {
                match self.replica.link.post("/push", &push).await {
                    Ok(answer) if answer.status == 503 => breathe().await,
                    Ok(answer) => {
                        let answer = answer.expect(200);
                        let rev = answer["results"][0]["rev"].as_u64();
                        let epoch = answer["cursor"].as_str().unwrap().split('.').next().unwrap();
                        self.told.insert(id, (epoch.to_owned(), rev.unwrap_or_else(|| panic!("{answer}"))));
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    Err(Trouble::Lost(_)) => breathe().await,
                    Err(trouble) => {
                        self.overcome(trouble).await;
                        break;
                    }
                }
            }
        }
        self
    }

    async fn overcome(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Lost(_) => breathe().await,
            Trouble::Resync(problem) => {
                let shared = repair(&mut self.replica, problem, Form::Lines).await;
                self.repairs.push(shared);
            }
        }
    }
}

/// Asks a node without pause where the head is; when it answered of which epoch. That is answered from memory.
async fn watch(mut link: Link, over: Arc<AtomicBool>) -> Vec<(Instant, String)> {
    let mut seen = Vec::new();
    while !over.load(Ordering::Relaxed) {
        if let Ok(answer) = link.get("/changes?since=now").await
            && answer.status == 200
        {
            let cursor = answer.json()["cursor"].as_str().unwrap().to_owned();
            seen.push((Instant::now(), cursor.split('.').next().unwrap().to_owned()));
        }
        breathe().await;
    }
    seen
}

struct Crowd {
    over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    editors: Vec<JoinHandle<Editor>>,
    replicas: Vec<JoinHandle<(Replica, Vec<u64>)>>,
    watchers: Vec<JoinHandle<Vec<(Instant, String)>>>,
}

impl Crowd {
    fn start(nodes: &[Node; 2]) -> Self {
        let (over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let editors = (0..3).map(|n| {
            let editor = Editor::new(nodes[n % 2].link("demo"), format!("editor-{n}"));
            tokio::spawn(editor.run(Arc::clone(&over), Arc::clone(&acknowledged)))
        });
        let editors = editors.collect();
        let replica = |n: usize| Replica::new(nodes[n % 2].link("demo"), None);
        let replicas = vec![
            tokio::spawn(follow(replica(0), Form::Pages(20), Arc::clone(&over))),
            tokio::spawn(follow(replica(1), Form::Lines, Arc::clone(&over))),
            tokio::spawn(listen(replica(0), Arc::clone(&over))),
            tokio::spawn(listen(replica(1), Arc::clone(&over))),
        ];
        let watchers = nodes.iter().map(|node| tokio::spawn(watch(node.link("demo"), Arc::clone(&over)))).collect();
        Self { over, acknowledged, editors, replicas, watchers }
    }

    /// Waits until so many more pushes are acknowledged.
    async fn more(&self, pushes: usize) {
        let due = self.acknowledged.load(Ordering::Relaxed) + pushes;
        until("pushes are acknowledged", async || self.acknowledged.load(Ordering::Relaxed) >= due).await;
    }

    /// Ends it, and compares everybody with the server. `shared` is the head that was taken along.
    async fn end(self, pair: &Pair, shared: u64, epochs: (&str, &str)) {
        self.over.store(true, Ordering::Relaxed);
        let mut truth = Replica::new(pair.nodes[0].link("demo"), None);
        let (mut told, mut lost, mut repairs) = (0, 0, Vec::new());
        let mut editors = Vec::new();
        for editor in self.editors {
            editors.push(timeout(PATIENCE, editor).await.expect("an editor comes to an end").unwrap());
        }
        truth.pull(Form::Pages(1000)).await.unwrap();
        for editor in editors {
            for (id, (epoch, rev)) in &editor.told {
                let there = truth.records.get(&("todos".to_owned(), id.clone())).map(|record| record.rev);
                told += 1;
                if epoch == epochs.0 && *rev > shared {
                    lost += 1;
                } else {
                    assert_eq!(there, Some(*rev), "{id} was acknowledged in {epoch}");
                }
            }
            repairs.extend(editor.repairs);
        }
        for replica in self.replicas {
            let (mut replica, of_it) = timeout(PATIENCE, replica).await.expect("a replica comes to an end").unwrap();
            repairs.extend(of_it);
            until("a replica has everything", async || {
                match replica.pull(Form::Pages(1000)).await {
                    Ok(()) => {}
                    // Nobody has told it yet: it heard of nothing while its node was the last one to find the new primary.
                    Err(Trouble::Resync(problem)) => {
                        repairs.push(repair(&mut replica, problem, Form::Pages(1000)).await);
                    }
                    Err(lost) => panic!("{lost:?}"),
                }
                replica.whole_at == truth.whole_at
            })
            .await;
            assert_eq!(replica.records, truth.records);
        }
        assert!(repairs.iter().all(|at| *at == shared), "{repairs:?} at {shared}");
        let (mut first, mut last) = (None::<Instant>, None::<Instant>);
        for watcher in self.watchers {
            let seen = watcher.await.unwrap();
            let (before, after): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(_, epoch)| epoch == epochs.0);
            assert!(after.iter().all(|(_, epoch)| epoch == epochs.1), "one new epoch, and no more");
            first = first.into_iter().chain(after.first().map(|(at, _)| *at)).min();
            last = last.into_iter().chain(before.last().map(|(at, _)| *at)).max();
        }
        let old_after_new = last.unwrap().saturating_duration_since(first.expect("polls are answered again"));
        eprintln!(
            "failover: {told} pushes were acknowledged, {lost} of them before they were lost; {} repairs at {shared}; \
             the old epoch was answered for {old_after_new:?} after the new one",
            repairs.len()
        );
        assert!(old_after_new < MEMORY, "{old_after_new:?}");
    }
}

async fn space(node: &Node, name: &str) -> Value {
    node.link(name).get("").await.unwrap().expect(200)
}

/// Waits until a node answers with rows from the database.
async fn until_served(nodes: &[Node]) -> Duration {
    let begun = Instant::now();
    for node in nodes {
        let mut link = node.link("quiet");
        until("the space is served", async || link.get("").await.is_ok_and(|it| it.status == 200)).await;
    }
    begun.elapsed()
}

/// Fails over by what `fall` does to the primary, with the standby cut off before where `behind`.
async fn fail_over(behind: bool, fall: impl FnOnce(&mut Cluster)) {
    let Some(mut pair) = Pair::new().await else { return };
    for name in ["demo", "quiet", "empty"] {
        pair.nodes[0].link(name).put("", &json!({})).await.unwrap().expect(201);
    }
    let quiet = json!({"changes": [{"collection": "todos", "id": "a", "data": {}}]});
    pair.nodes[1].link("quiet").post("/push", &quiet).await.unwrap().expect(200);
    let before = space(&pair.nodes[0], "demo").await["epoch"].as_str().unwrap().to_owned();
    let quiet_cursor = space(&pair.nodes[0], "quiet").await["cursor"].as_str().unwrap().to_owned();
    let crowd = Crowd::start(&pair.nodes);
    crowd.more(60).await;
    if behind {
        pair.part().await;
        crowd.more(60).await;
    } else {
        pair.standby.catch_up(&pair.primary);
    }
    fall(&mut pair.primary);
    let standby = pair.there();
    until("all that was received is replayed", async || {
        standby.ask::<bool>("SELECT pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn()")
    })
    .await;
    let heads = pair.heads();
    pair.standby.promote();
    let served = until_served(&pair.nodes).await;
    eprintln!("failover: served by the new primary {served:?} after it was one");

    // The epochs, as the first answer found them.
    for (name, head) in &heads {
        let epochs: String = pair.there().ask(&format!(
            "SELECT string_agg(opened_at::text, ',' ORDER BY ordinal) FROM epochs e JOIN spaces s ON s.id = e.space_id
             WHERE name = '{name}'"
        ));
        assert_eq!(epochs, format!("0,{head}"), "{name}");
    }
    let mut link = pair.nodes[1].link("quiet");
    let page = link.get(&format!("/changes?since={quiet_cursor}")).await.unwrap().expect(200);
    assert_eq!(page["changes"], json!([]));
    assert_ne!(page["cursor"], quiet_cursor);
    let head = heads["demo"];
    let after = space(&pair.nodes[1], "demo").await["epoch"].as_str().unwrap().to_owned();
    assert_ne!(before, after);
    for node in &pair.nodes {
        let mut link = node.link("demo");
        for whole in [head, head - 1, 1] {
            link.get(&format!("/changes?since={before}.{whole}")).await.unwrap().expect(200);
        }
        for beyond in [format!("{before}.{}", head + 1), format!("{before}.{head}.p"), format!("{before}.9.9")] {
            let Err(Trouble::Resync(problem)) = link.get(&format!("/changes?since={beyond}")).await else {
                panic!("{beyond} goes on");
            };
            assert_eq!((&problem["reason"], &problem["shared_rev"]), (&json!("epoch"), &json!(head)), "{problem}");
        }
    }
    // Writes go on, and so does everybody else.
    crowd.more(60).await;
    crowd.end(&pair, head, (&before, &after)).await;
    for node in &pair.nodes {
        let said = node.said();
        assert!(!said.contains(" ERROR ") && !said.contains("panicked"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_lost_commits_opens_an_epoch_where_the_standby_was() {
    fail_over(true, Cluster::kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_under_load_goes_on_from_what_had_arrived() {
    fail_over(false, Cluster::kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_hangs_is_left_for_the_one_that_took_its_place() {
    fail_over(true, Cluster::freeze).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_lost_nothing_repairs_nobody_who_was_whole() {
    let Some(mut pair) = Pair::new().await else { return };
    let mut replicas = Vec::new();
    for n in 0..50 {
        let push = json!({"changes": [{"collection": "todos", "id": n.to_string(), "data": {}}]});
        pair.nodes[n % 2].link("demo").post("/push", &push).await.unwrap().expect(200);
        if n % 10 == 9 {
            let mut replica = Replica::new(pair.nodes[n % 2].link("demo"), None);
            until("it has all", async || {
                replica.pull(Form::Pages(7)).await.unwrap();
                replica.whole_at == Some(n as u64 + 1)
            })
            .await;
            replicas.push(replica);
        }
    }
    pair.standby.catch_up(&pair.primary);
    pair.primary.kill();
    pair.standby.promote();
    pair.nodes[0].link("quiet").get("").await.unwrap();
    let mut link = pair.nodes[0].link("demo");
    let push = json!({"changes": [{"collection": "todos", "id": "new", "data": {}}]});
    until("it is written to again", async || link.post("/push", &push).await.unwrap().status == 200).await;
    let mut truth = Replica::new(pair.nodes[0].link("demo"), None);
    truth.pull(Form::Pages(100)).await.unwrap();
    for mut replica in replicas {
        until("the new record arrives", async || match replica.pull(Form::Pages(7)).await {
            Ok(()) => replica.records == truth.records,
            Err(Trouble::Lost(_)) => false,
            Err(Trouble::Resync(problem)) => panic!("nothing was lost: {problem}"),
        })
        .await;
    }
}
