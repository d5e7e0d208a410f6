//! What a node tells of its database, and of its link to the others.

#![expect(clippy::float_cmp, reason = "counts, which a float holds exactly")]

use serde_json::json;

use super::node::{Node, until};
use crate::support::Numbers;
use crate::support::postgres::Database;

async fn numbers(node: &Node) -> Numbers {
    let answer = reqwest::get(format!("http://{}/metrics", node.address())).await.unwrap();
    Numbers::parse(&answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_listener_is_told_and_so_is_its_return() {
    let Some(database) = Database::empty() else { return };
    let node = Node::start(database.url(), &[]).await;
    let (connected, losses) = ("strandline_listener_connected", "strandline_listener_losses_total");
    until("it listens", async || numbers(&node).await.get(connected) == 1.0).await;
    assert_eq!(numbers(&node).await.get(losses), 0.0);
    // No new connection either, so that it stays lost for as long as the test looks.
    let name: String = database.admin().ask("SELECT current_database()::text");
    let admin = database.admin().of("postgres");
    admin.run(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS false"));
    let ended: i64 = admin.ask(&format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = '{name}' AND application_name = 'strandline'"
    ));
    assert!(ended > 0);
    until("the loss is told", async || {
        let seen = numbers(&node).await;
        seen.get(connected) == 0.0 && seen.get(losses) == 1.0
    })
    .await;
    admin.run(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS true"));
    until("it is back", async || numbers(&node).await.get(connected) == 1.0).await;
    assert_eq!(numbers(&node).await.get(losses), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_rows_and_connections_are_told() {
    let Some(database) = Database::empty() else { return };
    let standby = ["--read-database", database.url(), "--writers", "3", "--readers", "2"];
    let node = Node::start(database.url(), &standby).await;
    let mut link = node.link("demo");
    for time in 0..20 {
        let change = json!({"collection": "todos", "id": "a", "base_rev": "*", "data": {"time": time}});
        link.post("/push", &json!({"changes": [change]})).await.unwrap().expect(200);
    }
    let seen = numbers(&node).await;
    for (pool, limit) in [("read", 2.0), ("write", 5.0), ("standby", 2.0)] {
        assert_eq!(seen.get(&format!("strandline_pool_connections_limit{{pool=\"{pool}\"}}")), limit, "{pool}");
    }
    assert!(seen.get("strandline_pool_connections_idle{pool=\"write\"}") > 0.0);
    for table in ["clients", "collections", "known_clients", "records", "spaces"] {
        for name in ["rows", "dead_rows"] {
            assert!(seen.has(&format!("strandline_table_{name}{{table=\"{table}\"}}")), "{name} of {table}");
        }
    }
    assert!(seen.get("strandline_database_size_bytes") > 1e6);
    assert!(!seen.has("strandline_wal_size_bytes"), "the server's WAL is not the database's own");
}
