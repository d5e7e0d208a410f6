//! Nodes start at once on an empty database, and on one in which they may create nothing.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio_postgres::Client;

use super::node::{Node, program, to_its_end, until};
use crate::support::postgres::{Cluster, Database, Settings};
use crate::support::{Form, Replica};

#[tokio::test(flavor = "multi_thread")]
async fn ten_nodes_that_start_at_once_on_an_empty_database_all_serve() {
    let Some(database) = Database::empty() else { return };
    // Ten at once are many connections, and a little of each is enough.
    let few = ["--readers", "1", "--writers", "2"];
    let starting: Vec<_> = (0..10)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(async move { Node::start(&url, &few).await })
        })
        .collect();
    let mut nodes = Vec::new();
    for node in starting {
        nodes.push(node.await.unwrap());
    }
    let migrated = nodes.iter().filter(|node| {
        !node.said().contains(" 0 migrations") && node.said().contains("migrations of the schema were applied")
    });
    assert_eq!(migrated.count(), 1, "one of them made the schema");
    for (number, node) in nodes.iter().enumerate() {
        let push = json!({"changes": [{"collection": "todos", "id": number.to_string(), "data": {}}]});
        let answer = node.link("demo").post("/push", &push).await.unwrap().expect(200);
        assert_eq!(answer["head"], number + 1);
        let said = node.said();
        assert!(!said.contains(" ERROR ") && !said.contains("panicked"), "{said}");
    }
    let mut replica = Replica::new(nodes[3].link("demo"), None);
    replica.pull(Form::Lines).await.unwrap();
    assert_eq!(replica.whole_at, Some(10));
}

/// What a role that serves has to be given, and no more.
const GRANTS: &str = "
    GRANT USAGE ON SCHEMA public TO server;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO server;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO server";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_owns_nothing_and_creates_nothing_can_serve() {
    let Some(cluster) = Cluster::start(&Settings::default()) else { return };
    let database = Database::on(&cluster);
    database.admin().run("CREATE ROLE server LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC");
    let url = database.url().replace("strandline@", "server@");
    // On an empty database it says what it lacks.
    let refused = to_its_end(&mut program(&["--database".to_owned(), url.clone()]));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("permission denied"), "{said}");

    Node::start(database.url(), &[]).await.stop().await;
    database.admin().run(GRANTS);
    database.admin().run(&format!("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC", database.name()));
    let node = Node::start(&url, &["--compact-interval", "1s", "--default-retention", "1s"]).await;
    let mut link = node.link("demo");
    link.name = Some("one".into());
    link.put("", &json!({"retention": "1s"})).await.unwrap().expect(201);
    for seq in 1..=3 {
        let push =
            json!({"changes": [{"collection": "todos", "id": "a", "base_rev": "*", "data": {"seq": seq}}], "seq": seq});
        link.post("/push", &push).await.unwrap().expect(200);
    }
    let delete = json!({"changes": [{"collection": "todos", "id": "a", "base_rev": "*", "deleted": true}]});
    link.post("/push", &delete).await.unwrap().expect(200);
    link.post("/compact", &json!({"older_than": "0s"})).await.unwrap().expect(200);
    let mut replica = Replica::new(node.link("demo"), None);
    replica.pull(Form::Pages(10)).await.unwrap();
    until("another epoch and a sweep cost no more", async || {
        link.get("").await.unwrap().expect(200)["tombstones"] == 0
    })
    .await;
    let said = node.said();
    assert!(!said.contains(" ERROR ") && !said.contains("denied"), "{said}");
}

/// Makes a database as the version before left it, with a transaction in the way of the migration to this one.
async fn left_behind(database: &Database) -> Client {
    Node::start(database.url(), &[]).await.stop().await;
    database.admin().run(
        "ALTER TABLE spaces DROP COLUMN quota_records, DROP COLUMN quota_bytes, DROP COLUMN quota_record_bytes;
         DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)",
    );
    let report = database.admin().connect().await.unwrap();
    report.batch_execute("BEGIN; SELECT FROM spaces").await.unwrap();
    report
}

async fn until_it_waits(database: &Database) {
    // Of this database alone: other tests of the cluster wait for such a lock too.
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'ALTER TABLE spaces%' AND wait_event_type = 'Lock'";
    let admin = database.admin();
    until("the migration waits for the table", async || admin.ask::<i64>(WAITING) > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_waits_for_a_table_without_holding_up_others() {
    let Some(database) = Database::empty() else { return };
    let report = left_behind(&database).await;
    let url = database.url().to_owned();
    let starting = tokio::spawn(async move { Node::start(&url, &[]).await });
    until_it_waits(&database).await;
    let begun = Instant::now();
    database.admin().run("SELECT FROM spaces");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    report.batch_execute("COMMIT").await.unwrap();
    let node = starting.await.unwrap();
    let push = json!({"changes": [{"collection": "todos", "id": "a", "data": {}}]});
    node.link("demo").post("/push", &push).await.unwrap().expect(200);
    let said = node.said();
    assert!(said.contains("in the way") && said.contains("1 migrations of the schema were applied"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_waits_for_a_table_ends_when_it_is_told_to() {
    let Some(database) = Database::empty() else { return };
    let _report = left_behind(&database).await;
    let mut waiting = program(&["--database".to_owned(), database.url().to_owned()]).spawn().unwrap();
    until_it_waits(&database).await;
    kill_process(Pid::from_child(&waiting), Signal::TERM).unwrap();
    until("it ends", async || waiting.try_wait().unwrap().is_some()).await;
    assert!(waiting.wait().unwrap().success());
}
