//! What one node commits wakes who waits at another: at once where they hear each other, and within five seconds whatever
//! becomes of the notification.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::node::{Node, PATIENCE, until};
use crate::support::postgres::{Admin, Database};
use crate::support::{Form, Link, Replica, lots};

/// How long a change may take to arrive, whatever happens to notifications.
const AT_THE_LATEST: Duration = Duration::from_secs(5);
const TIMES: usize = 50;

/// Writes a record and answers its revision.
async fn write(link: &mut Link, id: usize) -> u64 {
    let change = json!({"collection": "todos", "id": id.to_string(), "base_rev": "*", "data": {"at": id}});
    loop {
        let answer = link.post("/push", &json!({"changes": [change.clone()]})).await.unwrap();
        if answer.status == 200 {
            return answer.json()["results"][0]["rev"].as_u64().unwrap();
        }
    }
}

/// The newest revision that arrived by the live feed, and when.
fn subscribe(mut replica: Replica, over: Arc<AtomicBool>) -> watch::Receiver<(u64, Instant)> {
    let (sender, receiver) = watch::channel((0, Instant::now()));
    tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            let Ok(mut feed) = replica.subscribe().await else { continue };
            while let Ok(true) = replica.follow(&mut feed).await {
                sender.send_replace((replica.whole_at.unwrap_or(0), Instant::now()));
            }
        }
    });
    receiver
}

/// Who waits at a node, by its own account.
async fn waiting(node: &Node) -> u64 {
    let text = reqwest::get(format!("http://{}/metrics", node.address())).await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| line.starts_with("strandline_subscribers")).unwrap_or_else(|| panic!("{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn middle(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_at_one_node_wakes_who_waits_at_another_at_once() {
    let Some(database) = Database::empty() else { return };
    let nodes = [Node::start(database.url(), &[]).await, Node::start(database.url(), &[]).await];
    let (mut link, over) = (nodes[0].link("demo"), Arc::new(AtomicBool::new(false)));
    write(&mut link, 0).await;
    let mut feed = subscribe(Replica::new(nodes[1].link("demo"), None), Arc::clone(&over));
    let mut replica = Replica::new(nodes[1].link("demo"), None);
    let (mut by_poll, mut by_feed) = (Vec::new(), Vec::new());
    for turn in 1..=TIMES {
        replica.pull(Form::Pages(100)).await.unwrap();
        let (mut poller, cursor) = (nodes[1].link("demo"), replica.cursor.clone().unwrap());
        let poll = tokio::spawn(async move {
            let page = poller.get(&format!("/changes?since={cursor}&wait=30")).await.unwrap().expect(200);
            (page, Instant::now())
        });
        until("both wait", async || waiting(&nodes[1]).await == 2).await;
        let rev = write(&mut link, turn).await;
        let told = Instant::now();
        let (page, at) = timeout(PATIENCE, poll).await.unwrap().unwrap();
        assert_eq!(page["changes"][0]["rev"], rev);
        by_poll.push(at.saturating_duration_since(told));
        let arrived = *timeout(PATIENCE, feed.wait_for(|(head, _)| *head >= rev)).await.unwrap().unwrap();
        by_feed.push(arrived.1.saturating_duration_since(told));
    }
    over.store(true, Ordering::Relaxed);
    let (slowest, poll, feed) =
        (by_poll.iter().chain(&by_feed).max().copied(), middle(&mut by_poll), middle(&mut by_feed));
    eprintln!(
        "wake-ups of {TIMES}: the middle one after {poll:?} by long poll, {feed:?} by feed; the slowest {slowest:?}"
    );
    assert!(poll.max(feed) < Duration::from_millis(100));
}

/// Ends the connections on which nodes hear each other.
fn deafen(database: &Admin) -> i64 {
    database.ask(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()
         AND application_name = 'strandline' AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%')",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_cannot_hear_each_other_for_long_still_learn_of_every_change() {
    let Some(database) = Database::empty() else { return };
    let nodes = [Node::start(database.url(), &[]).await, Node::start(database.url(), &[]).await];
    let (mut link, over) = (nodes[0].link("demo"), Arc::new(AtomicBool::new(false)));
    write(&mut link, 0).await;
    let feed = subscribe(Replica::new(nodes[1].link("demo"), None), Arc::clone(&over));
    let deaf = {
        let (admin, over) = (database.admin(), Arc::clone(&over));
        let mut rng = lots("deaf");
        tokio::spawn(async move {
            let mut times = 0;
            while !over.load(Ordering::Relaxed) {
                times += deafen(&admin);
                tokio::time::sleep(Duration::from_millis(rng.u64(20..400))).await;
            }
            times
        })
    };
    let mut slowest = (Duration::ZERO, Duration::ZERO);
    let mut replica = Replica::new(nodes[1].link("demo"), None);
    replica.pull(Form::Pages(100)).await.unwrap();
    for turn in 1..=60 {
        let (mut poller, cursor) = (nodes[1].link("demo"), replica.cursor.clone().unwrap());
        let poll = tokio::spawn(async move {
            // At its end it has waited in vain, and asks again.
            let path = format!("/changes?since={cursor}&wait=30");
            loop {
                let answer = poller.get(&path).await.unwrap();
                if answer.status == 200 {
                    return (answer.json(), Instant::now());
                }
            }
        });
        let rev = write(&mut link, turn).await;
        let told = Instant::now();
        let (page, at): (Value, Instant) = timeout(PATIENCE, poll).await.unwrap().unwrap();
        assert_eq!(page["changes"][0]["rev"], rev, "{page}");
        slowest.0 = slowest.0.max(at.saturating_duration_since(told));
        let arrived = *timeout(PATIENCE, feed.clone().wait_for(|(head, _)| *head >= rev)).await.unwrap().unwrap();
        slowest.1 = slowest.1.max(arrived.1.saturating_duration_since(told));
        let begun = Instant::now();
        while replica.whole_at < Some(rev) {
            replica.pull(Form::Pages(100)).await.unwrap();
            assert!(begun.elapsed() < AT_THE_LATEST);
        }
    }
    over.store(true, Ordering::Relaxed);
    let times = deaf.await.unwrap();
    eprintln!(
        "wake-ups: cut off {times} times, the slowest of 60 after {:?} by long poll, {:?} by feed",
        slowest.0, slowest.1
    );
    assert!(slowest.0.max(slowest.1) < AT_THE_LATEST && times > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_was_told_of_reaches_who_waits() {
    let Some(database) = Database::empty() else { return };
    let node = Node::start(database.url(), &[]).await;
    let mut link = node.link("demo");
    write(&mut link, 0).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut feed = subscribe(Replica::new(node.link("demo"), None), Arc::clone(&over));
    let mut rng = lots("untold");
    let mut times = Vec::new();
    for turn in 1..=6 {
        let (mut poller, cursor) = (node.link("demo"), link.get("").await.unwrap().expect(200)["cursor"].clone());
        let poll = tokio::spawn(async move {
            let path = format!("/changes?since={}&wait=30", cursor.as_str().unwrap());
            (poller.get(&path).await.unwrap().expect(200), Instant::now())
        });
        until("both wait", async || waiting(&node).await == 2).await;
        // At any time between two looks.
        tokio::time::sleep(Duration::from_millis(rng.u64(0..2000))).await;
        // The same record once more: the checksum changes by the old revision and the new one.
        let sum: strandline::domain::Checksum =
            [strandline::domain::Rev::new(turn).unwrap(), strandline::domain::Rev::new(turn + 1).unwrap()]
                .into_iter()
                .collect();
        database.admin().run(&format!(
            "BEGIN;
             SELECT FROM spaces WHERE name = 'demo' FOR UPDATE;
             UPDATE records SET rev = rev + 1, data = '{{\"by\":\"nobody\"}}' WHERE id = '0';
             UPDATE collections SET head = head + 1, checksum = checksum # ({});
             UPDATE spaces SET head = head + 1, version = version + 1 WHERE name = 'demo';
             COMMIT",
            sum.to_stored()
        ));
        let told = Instant::now();
        let (page, at) = timeout(PATIENCE, poll).await.unwrap().unwrap();
        assert_eq!(page["changes"][0]["rev"], turn + 1);
        times.push(at.saturating_duration_since(told));
        let arrived = *timeout(PATIENCE, feed.wait_for(|(head, _)| *head > turn)).await.unwrap().unwrap();
        times.push(arrived.1.saturating_duration_since(told));
    }
    over.store(true, Ordering::Relaxed);
    eprintln!("wake-ups that nobody was told of: {times:?}");
    assert!(times.iter().all(|time| *time < AT_THE_LATEST));
}
