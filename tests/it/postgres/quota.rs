//! A quota holds over all nodes of a database together.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::node::Node;
use crate::support::postgres::Database;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_push_at_once_never_exceed_a_quota_together() {
    let Some(database) = Database::empty() else { return };
    let default = ["--max-space-records", "1"];
    let nodes = [Node::start(database.url(), &default).await, Node::start(database.url(), &default).await];
    let [mut here, mut there] = [nodes[0].link("demo"), nodes[1].link("demo")];
    let change = |id: String| json!({"collection": "todos", "id": id, "data": {}});
    let push = |changes: Vec<Value>| json!({"changes": changes});
    here.post("/push", &push(vec![change("a".into())])).await.unwrap().expect(200);
    there.post("/push", &push(vec![change("b".into())])).await.unwrap().problem(403, "quota_exceeded");

    // Set at one node, it counts at the other with the next push.
    here.put("/quota", &json!({"records": 2})).await.unwrap().expect(200);
    there.post("/push", &push(vec![change("b".into())])).await.unwrap().expect(200);
    here.put("/quota", &json!({"records": 50})).await.unwrap().expect(200);
    let mut pushing = JoinSet::new();
    for client in 0..8 {
        let mut link = nodes[client % 2].link("demo");
        pushing.spawn(async move {
            let mut taken = 0;
            for turn in 0..10 {
                let ids = ["x", "y", "z"].map(|one| format!("{client}-{turn}-{one}"));
                let changes: Vec<Value> =
                    ids.iter().map(|id| json!({"collection": "todos", "id": id, "data": {}})).collect();
                let answer = link.post("/push", &json!({"changes": changes})).await.unwrap();
                if answer.status == 200 {
                    taken += 1;
                } else {
                    let problem = answer.problem(403, "quota_exceeded");
                    assert!(problem["held"].as_u64().unwrap() <= 50, "{problem}");
                }
            }
            taken
        });
    }
    let taken: u64 = pushing.join_all().await.into_iter().sum();
    assert_eq!(taken, 16, "48 of 80 times 3 fit above the two that were there");
    for link in [&mut here, &mut there] {
        let told = link.get("/quota").await.unwrap().expect(200);
        assert_eq!((&told["used"]["records"], &told["effective"]["records"]), (&json!(50), &json!(50)));
    }
}
