//! One node compacts at a time, and when it dies another one takes over.

use std::time::Duration;

use serde_json::json;

use super::node::{Node, until};
use crate::support::postgres::Database;

const LIMITS: [&str; 4] = ["--compact-interval", "1s", "--default-retention", "1s"];
/// "strand" and a letter: the advisory lock of the node that compacts, in two halves.
const HOLDERS: &str =
    "SELECT coalesce(string_agg(pid::text, ','), '') FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND classid = x'73747261'::bigint AND objid = x'6e640063'::bigint
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[tokio::test(flavor = "multi_thread")]
async fn one_node_compacts_and_another_takes_over_when_it_is_killed() {
    let Some(database) = Database::empty() else { return };
    let admin = database.admin();
    let mut nodes = vec![Node::start(database.url(), &LIMITS).await, Node::start(database.url(), &LIMITS).await];
    let mut written = 0;
    for turn in 0..3 {
        // It dies, or loses the connection: either way the lock is free.
        until("a node compacts", async || !admin.ask::<String>(HOLDERS).is_empty()).await;
        let holder: String = admin.ask(HOLDERS);
        let mut link = nodes[0].link("demo");
        written += 5;
        let changes = |deleted: bool| {
            let change = |n: usize| {
                let id = format!("{turn}-{n}");
                if deleted {
                    json!({"collection": "todos", "id": id, "base_rev": "*", "deleted": true})
                } else {
                    json!({"collection": "todos", "id": id, "data": {}})
                }
            };
            json!({"changes": (0..5).map(change).collect::<Vec<_>>()})
        };
        link.post("/push", &changes(false)).await.unwrap().expect(200);
        link.post("/push", &changes(true)).await.unwrap().expect(200);
        let took = until("the tombstones are purged", async || {
            let holders: String = admin.ask(HOLDERS);
            assert!(!holders.contains(','), "two nodes compact: {holders}");
            let space = link.get("").await.unwrap().expect(200);
            space["tombstones"] == 0 && space["horizon"] == written * 2
        })
        .await;
        assert!(took < Duration::from_secs(10), "{took:?}");
        // Which node it is shows in the ports of its connections.
        let port: i32 = admin.ask(&format!("SELECT client_port FROM pg_stat_activity WHERE pid = {holder}"));
        let leads = nodes.iter().position(|node| has_port(node.id(), port)).expect("one of the nodes holds the lock");
        if turn == 1 {
            admin.run(&format!("SELECT pg_terminate_backend({holder})"));
        } else {
            nodes[leads].kill();
            nodes.swap_remove(leads);
            nodes.push(Node::start(database.url(), &LIMITS).await);
        }
        let took = until("another one compacts", async || {
            let now: String = admin.ask(HOLDERS);
            !now.is_empty() && now != holder
        })
        .await;
        eprintln!("compactor: taken over after {took:?}");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
}

/// Whether a process has a connection from this port of this machine.
fn has_port(process: u32, port: i32) -> bool {
    let Ok(table) = std::fs::read_to_string("/proc/net/tcp") else { panic!("there is no /proc") };
    let local = format!(":{port:04X} ");
    let inodes = table.lines().filter(|line| {
        let mut fields = line.split_whitespace();
        fields.nth(1).is_some_and(|address| format!("{address} ").ends_with(&local))
    });
    let inodes: Vec<String> =
        inodes.filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?))).collect();
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .any(|to| inodes.iter().any(|inode| to.as_os_str() == inode.as_str()))
}
