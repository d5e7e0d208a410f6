//! Connections are cut, and the server is stopped, killed and started, under load.

use std::time::{Duration, Instant};

use super::load::Load;
use super::node::Node;
use crate::support::lots;
use crate::support::postgres::{Admin, Cluster, Database, Settings, Stop};

/// Ends all connections of stores to a database; how many there were.
pub fn cut(database: &Admin) -> i64 {
    database.ask(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'strandline'",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_happens_twice_when_connections_are_cut_again_and_again() {
    let Some(database) = Database::empty() else { return };
    let mut rng = lots("cut off");
    let node = Node::start(database.url(), &[]).await;
    let load = Load::start(&[node.place()], 4, 4, &mut rng).await;
    let begun = Instant::now();
    let (mut times, mut connections) = (0, 0);
    while begun.elapsed() < Duration::from_secs(8) {
        tokio::time::sleep(Duration::from_millis(rng.u64(20..700))).await;
        connections += cut(&database.admin());
        times += 1;
    }
    let outcome = load.end(&database.admin()).await;
    eprintln!("cut off: {connections} connections, {times} times; {outcome}");
    assert!(connections > 0 && outcome.acknowledged > 0 && outcome.whole > 0);
    let said = node.said();
    assert!(!said.contains(" ERROR ") && !said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_happens_twice_when_the_server_is_stopped_and_killed() {
    let Some(mut cluster) = Cluster::start(&Settings::default()) else { return };
    let mut rng = lots("stopped");
    let database = Database::on(&cluster);
    let node = Node::start(database.url(), &[]).await;
    let load = Load::start(&[node.place()], 4, 4, &mut rng).await;
    for how in [Some(Stop::Fast), Some(Stop::Immediate), None, Some(Stop::Fast), None] {
        tokio::time::sleep(Duration::from_millis(rng.u64(200..1500))).await;
        match how {
            Some(how) => cluster.stop(how),
            None => cluster.kill(),
        }
        // Sometimes longer than a push is tried.
        tokio::time::sleep(Duration::from_millis(rng.u64(0..3000))).await;
        cluster.start_again();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let outcome = load.end(&database.admin()).await;
    eprintln!("stopped: {outcome}");
    assert!(outcome.acknowledged > 0 && outcome.whole > 0);
    let said = node.said();
    assert!(!said.contains(" ERROR ") && !said.contains("panicked"), "{said}");
    assert!(!said.contains("moved"), "a restart breaks no history: {said}");
}
