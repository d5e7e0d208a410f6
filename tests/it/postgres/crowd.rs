//! Three nodes, one database, many clients, and a minute in which anything may be killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::cut_off::cut;
use super::load::Load;
use super::node::Node;
use crate::support::postgres::{Admin, Database};
use crate::support::{Link, lots};

/// How long it goes on: `STRANDLINE_CROWD_SECONDS`, or a minute.
fn duration() -> Duration {
    let seconds = std::env::var("STRANDLINE_CROWD_SECONDS").map_or(60, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}

/// Ends one of a store's connections.
fn cut_one(database: &Admin) -> i64 {
    database.ask(
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'strandline' ORDER BY random() LIMIT 1) AS one",
    )
}

/// Purges now and then, at any node; how often.
async fn purge(mut links: Vec<Link>, over: Arc<AtomicBool>) -> usize {
    let mut purges = 0;
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        let number = turn % links.len();
        let answer = links[number].post("/compact", &json!({"older_than": "0s"})).await;
        purges += usize::from(answer.is_ok_and(|answer| answer.status == 200));
    }
    purges
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_or_skipped_while_nodes_and_connections_are_killed() {
    let Some(database) = Database::empty() else { return };
    let (mut rng, admin) = (lots("crowd"), database.admin());
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::start(database.url(), &[]).await);
    }
    let places: Vec<_> = nodes.iter().map(Node::place).collect();
    let load = Load::start(&places, 8, 4, &mut rng).await;
    let over = Arc::new(AtomicBool::new(false));
    let purger = tokio::spawn(purge(nodes.iter().map(|node| node.link("demo")).collect(), Arc::clone(&over)));
    let (mut killed, mut connections) = (0, 0);
    let begun = Instant::now();
    while begun.elapsed() < duration() {
        tokio::time::sleep(Duration::from_millis(rng.u64(50..1000))).await;
        match rng.usize(..8) {
            0 => connections += cut(&admin),
            1..5 => connections += cut_one(&admin),
            _ => {
                let node = &mut nodes[rng.usize(..3)];
                node.kill();
                tokio::time::sleep(Duration::from_millis(rng.u64(0..300))).await;
                node.start_again().await;
                killed += 1;
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    let purges = purger.await.unwrap();
    let outcome = load.end(&admin).await;
    eprintln!("crowd: {killed} nodes and {connections} connections killed, {purges} purges; {outcome}");
    assert!(killed > 0 && connections > 0 && purges > 0 && outcome.whole > 0 && outcome.retries > 0);
    for node in &nodes {
        let said = node.said();
        assert!(!said.contains(" ERROR ") && !said.contains("panicked") && !said.contains("moved"), "{said}");
    }
    database.check_integrity();
}
