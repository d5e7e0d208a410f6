//! Spaces do not wait for each other: what holds one up, however long, holds up no other.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::Client;

use super::node::{Node, until};
use crate::support::postgres::Database;
use crate::support::{Answer, Link};

/// Pushes a record; the answer and how long it took.
async fn push(mut link: Link, id: usize) -> (Answer, Duration) {
    let change = json!({"collection": "todos", "id": id.to_string(), "base_rev": "*", "data": {"at": id}});
    let begun = Instant::now();
    let answer = link.post("/push", &json!({"changes": [change]})).await.unwrap();
    (answer, begun.elapsed())
}

/// Locks spaces, as a node does that then hangs.
async fn hold(database: &Database, names: &[&str]) -> Client {
    let client = database.admin().connect().await.unwrap();
    let names = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",");
    client.batch_execute(&format!("BEGIN; SELECT FROM spaces WHERE name IN ({names}) FOR UPDATE")).await.unwrap();
    client
}

fn blocked(database: &Database) -> i64 {
    database.admin().ask(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
         AND application_name = 'strandline' AND wait_event_type = 'Lock'",
    )
}

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// Pushes to all of these spaces at once; the slowest answer.
async fn push_to_all(node: &Node, names: &[&str], turn: usize) -> Duration {
    let pushes: Vec<_> = names.iter().map(|name| tokio::spawn(push(node.link(name), turn))).collect();
    let mut slowest = Duration::ZERO;
    for push in pushes {
        let (answer, took) = push.await.unwrap();
        answer.expect(200);
        slowest = slowest.max(took);
    }
    slowest
}

async fn furnished(limits: &[&str]) -> Option<(Database, Node)> {
    let database = Database::empty()?;
    let node = Node::start(database.url(), limits).await;
    for name in NAMES {
        push(node.link(name), 0).await.0.expect(200);
    }
    Some((database, node))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_space_holds_up_no_other_and_is_given_up_or_goes_through() {
    let Some((database, node)) = furnished(&["--lock-timeout", "3s"]).await else { return };
    let holder = hold(&database, &["a"]).await;
    let waiting: Vec<_> = (0..20).map(|turn| tokio::spawn(push(node.link("a"), turn))).collect();
    until("the pushes wait for the lock", async || blocked(&database) > 0).await;
    let mut slowest = Duration::ZERO;
    for turn in 0..20 {
        slowest = slowest.max(push_to_all(&node, &NAMES[1..], turn).await);
    }
    for push in waiting {
        let (answer, took) = push.await.unwrap();
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.expect(503)["code"], "unavailable");
        assert!(took < Duration::from_secs(10), "{took:?}");
    }
    let late = tokio::spawn(push(node.link("a"), 1));
    until("the push waits for the lock", async || blocked(&database) > 0).await;
    holder.batch_execute("COMMIT").await.unwrap();
    late.await.unwrap().0.expect(200);
    eprintln!("waiting: beside a locked space, the slowest of 180 pushes took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_locked_spaces_as_connections_hold_up_no_other() {
    let Some((database, node)) = furnished(&["--lock-timeout", "3s", "--writers", "4"]).await else { return };
    let (locked, free) = NAMES.split_at(6);
    let holder = hold(&database, locked).await;
    let waiting: Vec<_> = locked.iter().map(|name| tokio::spawn(push(node.link(name), 1))).collect();
    until("the pushes wait for the locks", async || blocked(&database) > 0).await;
    let mut slowest = Duration::ZERO;
    for turn in 0..20 {
        slowest = slowest.max(push_to_all(&node, free, turn).await);
    }
    // A space that is made just now, and a push that is not small.
    let (answer, new) = push(node.link("new"), 1).await;
    answer.expect(200);
    let begun = Instant::now();
    let changes: Vec<Value> =
        (0..200).map(|n| json!({"collection": "more", "id": n.to_string(), "data": {"n": n}})).collect();
    node.link("j").post("/push", &json!({"changes": changes})).await.unwrap().expect(200);
    let large = begun.elapsed();
    let mut given_up = Duration::ZERO;
    for push in waiting {
        let (answer, took) = push.await.unwrap();
        answer.expect(503);
        given_up = given_up.max(took);
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    eprintln!(
        "waiting: beside 6 locked spaces the slowest of 80 pushes took {slowest:?}, the first of a new space {new:?}, one of \
         200 records {large:?}; the last of the locked was given up after {given_up:?}"
    );
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    // These two are of the kind that goes alone, and waits behind others of that kind.
    assert!(new.max(large) < Duration::from_secs(10), "{new:?} {large:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_push_holds_up_no_small_ones_elsewhere() {
    let Some((database, node)) = furnished(&[]).await else { return };
    let begun = Instant::now();
    let mut link = node.link("a");
    let changes: Vec<Value> =
        (0..10_000).map(|n| json!({"collection": "many", "id": n.to_string(), "data": {"n": n}})).collect();
    let large = tokio::spawn(async move {
        link.post("/push", &json!({"changes": changes})).await.unwrap().expect(200);
        begun.elapsed()
    });
    until("the large push is carried out", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'INSERT INTO records%' AND state = 'active'";
        large.is_finished() || database.admin().ask::<i64>(sql) > 0
    })
    .await;
    let (mut slowest, mut pushes) = (Duration::ZERO, 0);
    while !large.is_finished() {
        slowest = slowest.max(push(node.link("b"), pushes).await.1);
        pushes += 1;
    }
    let large = large.await.unwrap();
    eprintln!(
        "waiting: beside a push of 10,000 records, which took {large:?}, the slowest of {pushes} took {slowest:?}"
    );
    assert!(pushes == 0 || slowest < large.max(Duration::from_millis(500)), "{slowest:?}");
}
