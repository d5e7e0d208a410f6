//! Several users of one replica at once, and what is told of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use strandline::domain::{CollectionName, RecordId};
use strandline::replica::{
    Followed, LocalChange, Options, Origin, Replica, ReplicaError, Request, Response, Stop, Transport,
};
use tempfile::TempDir;

use crate::support::Server;

fn todos() -> CollectionName {
    "todos".parse().unwrap()
}

fn id(text: &str) -> RecordId {
    RecordId::new(text).unwrap()
}

fn origin(server: &Server) -> Origin {
    Origin { url: format!("http://{}", server.address), space: "demo".parse().unwrap(), collections: None }
}

fn put(replica: &Replica, name: &str, n: usize) {
    replica.put(&todos(), &id(name), &Replica::document(&json!({"n": n}).to_string()).unwrap()).unwrap();
}

/// (id, data) of what a replica shows.
fn shown(replica: &Replica) -> Vec<(String, String)> {
    let listed = replica.list(&todos(), None, 100_000).unwrap();
    listed.into_iter().map(|(id, data)| (id.to_string(), data.as_str().to_owned())).collect()
}

async fn served(server: &Server) -> Vec<(String, String)> {
    let page = server.get("/v1/spaces/demo/changes?limit=10000").await.json();
    let record = |it: &serde_json::Value| (it["id"].as_str().unwrap().to_owned(), it["data"].to_string());
    let mut records: Vec<_> = page["changes"].as_array().unwrap().iter().map(record).collect();
    records.sort();
    records
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_share_a_file_may_sync_and_edit_at_once() {
    let server = Server::start().await;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("copy");
    let first = Replica::create(&path, &origin(&server), Options::default()).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let users: Vec<_> = (0..3)
        .map(|user| {
            let replica = if user == 0 { first.clone() } else { Replica::open(&path, Options::default()).unwrap() };
            tokio::task::spawn_blocking(move || {
                for turn in 0..25 {
                    put(&replica, &format!("{user}-{}", turn % 10), turn);
                    if turn % 4 == 3 {
                        replica.delete(&todos(), &id(&format!("{user}-{}", (turn - 2) % 10))).unwrap();
                    }
                    replica.sync().unwrap();
                }
            })
        })
        .collect();
    let stranger = {
        let (address, over) = (server.address, Arc::clone(&over));
        tokio::spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut turn = 0;
            while !over.load(Ordering::Relaxed) {
                let url = format!("http://{address}/v1/spaces/demo/records/todos/stranger-{}", turn % 5);
                client
                    .put(url)
                    .body(json!({"turn": turn}).to_string())
                    .header("content-type", "application/json")
                    .send()
                    .await
                    .unwrap();
                turn += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    for user in users {
        user.await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    stranger.await.unwrap();
    let replica = first.clone();
    let verdict = blocking(move || replica.verify(false, &mut |_| {}).unwrap()).await;
    assert!(verdict.sound && verdict.same, "{verdict:?}");
    assert_eq!(shown(&first), served(&server).await);
    // Each user edits records of his own: nothing was ever in conflict, and nothing went astray.
    assert_eq!(first.conflicts().unwrap(), []);
    for user in 0..3 {
        assert_eq!(shown(&first).iter().filter(|(id, _)| id.starts_with(&format!("{user}-"))).count(), 8);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_outbox_goes_in_several_pushes_and_without_a_pull_between_them() {
    let server = Server::start().await;
    let directory = TempDir::new().unwrap();
    let replica = Replica::create(&directory.path().join("copy"), &origin(&server), Options::default()).unwrap();
    for n in 0..1_201 {
        put(&replica, &format!("r{n:05}"), n);
    }
    let report = blocking({
        let replica = replica.clone();
        move || replica.sync().unwrap()
    })
    .await;
    // No space, three pushes, the last of them one edit, and the pull that checks.
    assert_eq!((report.pushed, report.requests), (1_201, 5), "{report:?}");
    assert_eq!(shown(&replica), served(&server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_hears_of_edits_and_of_what_a_sync_brings() {
    let server = Server::start().await;
    server.write("theirs", &json!({})).await;
    let directory = TempDir::new().unwrap();
    let replica = Replica::create(&directory.path().join("copy"), &origin(&server), Options::default()).unwrap();
    let mut watch = replica.watch();
    put(&replica, "mine", 1);
    blocking({
        let replica = replica.clone();
        move || replica.sync().unwrap()
    })
    .await;
    let mut seen = Vec::new();
    while let Some(change) = watch.next_within(Duration::from_millis(200)) {
        let LocalChange::Record(collection, id) = change else { panic!("{change:?}") };
        assert_eq!(collection, todos());
        seen.push(id.to_string());
    }
    // Edited, pulled, and acknowledged.
    assert_eq!(seen, ["mine", "theirs", "mine"]);

    // More than anybody waits for is one word.
    for n in 0..3_000 {
        put(&replica, &format!("r{n}"), n);
    }
    assert_eq!(watch.next(), Some(LocalChange::Many));
    assert_eq!(watch.next_within(Duration::ZERO), None);
    put(&replica, "again", 1);
    assert_eq!(watch.next(), Some(LocalChange::Record(todos(), id("again"))));
    drop(replica);
    assert_eq!(watch.next(), None, "it ends with the replica");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_learns_of_news_and_hands_on_edits_at_once() {
    let server = Server::start().await;
    server.write("theirs", &json!({"n": 0})).await;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("copy");
    let replica = Replica::create(&path, &origin(&server), Options::default()).unwrap();
    let stop = Stop::default();
    let (syncs, following) = (Arc::new(AtomicU32::new(0)), (replica.clone(), stop.clone()));
    let counted = Arc::clone(&syncs);
    let follows = tokio::task::spawn_blocking(move || {
        let (replica, stop) = following;
        replica.follow(&stop, |followed| {
            assert!(matches!(followed, Followed::Synced(_)), "{followed:?}");
            counted.fetch_add(1, Ordering::Relaxed);
        })
    });
    let until = async |what: &str, there: &mut dyn FnMut() -> bool| {
        let begun = Instant::now();
        while !there() {
            assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until("the first sync", &mut || !shown(&replica).is_empty()).await;
    server.write("news", &json!({"n": 1})).await;
    until("news", &mut || shown(&replica).iter().any(|(id, _)| id == "news")).await;
    // An edit by another program is seen in the file.
    put(&Replica::open(&path, Options::default()).unwrap(), "mine", 2);
    let begun = Instant::now();
    while !served(&server).await.iter().any(|(id, _)| id == "mine") {
        assert!(begun.elapsed() < Duration::from_secs(10), "the edit");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // News, edit, and a spare one each for polls that were overtaken: but it does not run in circles.
    assert!(syncs.load(Ordering::Relaxed) <= 8, "{syncs:?}");
    stop.stop();
    follows.await.unwrap().unwrap();
}

/// Says 503 some times, and then what the inner one says.
struct Moody {
    inner: strandline::replica::Http,
    refusals: AtomicU32,
    retry_after: Option<Duration>,
}

impl Transport for Moody {
    fn send(&self, client: &str, request: &Request) -> Result<Response, String> {
        let left = self.refusals.load(Ordering::Relaxed);
        if left == 0 {
            return self.inner.send(client, request);
        }
        self.refusals.store(left - 1, Ordering::Relaxed);
        Ok(Response { status: 503, retry_after: self.retry_after, ..Response::default() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_asked_again_and_not_before_it_said() {
    let server = Server::start().await;
    server.write("theirs", &json!({})).await;
    let origin = origin(&server);
    for (refusals, retry_after, tries, enough) in
        [(1, Some(Duration::from_secs(1)), 5, true), (2, None, 5, true), (2, None, 2, false)]
    {
        let directory = TempDir::new().unwrap();
        let inner = strandline::replica::Http::new(&origin.url, &origin.space, None).unwrap();
        let moody = Moody { inner, refusals: AtomicU32::new(refusals), retry_after };
        let options = Options { transport: Some(Arc::new(moody)), tries, ..Options::default() };
        let replica = Replica::create(&directory.path().join("copy"), &origin, options).unwrap();
        let begun = Instant::now();
        let synced = blocking(move || replica.sync()).await;
        assert!(begun.elapsed() >= retry_after.unwrap_or(Duration::from_millis(250)), "{:?}", begun.elapsed());
        if enough {
            assert_eq!(synced.unwrap().pulled, 1);
        } else {
            assert!(matches!(synced, Err(ReplicaError::Unavailable(_))), "{synced:?}");
        }
    }
}

#[test]
fn what_is_no_replica_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    let not_one = || matches!(Replica::open(&path, Options::default()), Err(ReplicaError::NotAReplica(_)));
    assert!(not_one() && !path.exists(), "nothing is made");
    std::fs::write(&path, "a letter").unwrap();
    assert!(not_one());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a letter");
    let origin = Origin { url: "http://127.0.0.1:1".into(), space: "demo".parse().unwrap(), collections: None };
    let made = Replica::create(&path, &origin, Options::default());
    assert!(matches!(made, Err(ReplicaError::Exists(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a letter");
}

#[test]
fn an_address_that_is_none_is_said_so() {
    let directory = TempDir::new().unwrap();
    let origin = Origin { url: "127.0.0.1:7878".into(), space: "demo".parse().unwrap(), collections: None };
    let made = Replica::create(&directory.path().join("copy"), &origin, Options::default());
    let error = made.err().unwrap();
    assert_eq!(error.to_string(), "127.0.0.1:7878 is no address of a server: write it as http://127.0.0.1:7878");
    assert!(!directory.path().join("copy").exists());
}
