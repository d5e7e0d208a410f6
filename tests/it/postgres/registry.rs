//! What one node knows of clients, all know: who was seen, what is held for them, and what a plan says.

use serde_json::{Value, json};

use super::node::{Node, until};
use crate::support::Link;
use crate::support::postgres::Database;

/// The revision at which a client is known to be, as a node tells it.
async fn rev(asked: &mut Link, client: &str) -> Value {
    let known = asked.get("/clients").await.unwrap().expect(200);
    let known = known["clients"].as_array().unwrap().iter().find(|known| known["client"] == client).cloned();
    known.map_or(Value::Null, |known| known["rev"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_one_node_has_seen_is_known_to_all() {
    let Some(database) = Database::empty() else { return };
    let nodes = [Node::start(database.url(), &[]).await, Node::start(database.url(), &[]).await];
    let [mut here, mut there] = [nodes[0].link("demo"), nodes[1].link("demo")];
    let policy = json!({"retention": "0s", "hold_for_clients": true});
    here.put("", &json!({})).await.unwrap().expect(201);
    here.put("/retention", &policy).await.unwrap().expect(200);
    for (id, deleted) in [("a", false), ("b", false), ("a", true), ("b", true)] {
        let mut change = json!({"collection": "todos", "id": id, "base_rev": "*"});
        change[if deleted { "deleted" } else { "data" }] = if deleted { json!(true) } else { json!({}) };
        here.post("/push", &json!({"changes": [change]})).await.unwrap().expect(200);
    }

    // The phone is seen here, and what it needs is held there.
    here.name = Some("phone".into());
    here.get("/changes?since=2").await.unwrap().expect(200);
    until("the other node knows it", async || rev(&mut there, "phone").await == 2).await;
    let plan = there.get("/retention/plan?windows=0s").await.unwrap().expect(200);
    assert_eq!(plan["plan"][0]["tombstones"], 0);
    assert_eq!(there.get("/retention/state").await.unwrap().expect(200)["pinned_by"][0]["client"], "phone");

    // It goes on over there; what this node remembers of it is older, and does not come back.
    there.name = Some("phone".into());
    there.get("/changes?since=3").await.unwrap().expect(200);
    there.name = None;
    until("this node knows it", async || rev(&mut here, "phone").await == 3).await;
    let purged = here.post("/compact", &json!({})).await.unwrap().expect(200);
    assert_eq!((&purged["purged"], &purged["horizon"], &purged["clients_behind"]), (&json!(1), &json!(3), &json!(0)));
    assert_eq!(rev(&mut there, "phone").await, 3);

    // By force the rest goes, and who is left behind is told by any node.
    let forced = there.post("/compact", &json!({"force": true})).await.unwrap().expect(200);
    assert_eq!((&forced["purged"], &forced["clients_behind"]), (&json!(1), &json!(1)));
}
