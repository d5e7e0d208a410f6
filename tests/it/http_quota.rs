//! What a space may hold, over HTTP: read and set, and what is refused because of it.

use serde_json::{Value, json};
use strandline::domain::Quota;
use strandline::server::Config;
use strandline::store::StoreOptions;

use crate::support::{Answer, Server};

const QUOTA: &str = "/v1/spaces/demo/quota";
const PUSH: &str = "/v1/spaces/demo/push";

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_of_a_space_is_read_and_changed() {
    let default_quota = Quota { bytes: Some(1_000), ..Quota::default() };
    let server = Server::start_on(Config::default(), StoreOptions { default_quota, ..StoreOptions::default() }).await;
    server.get(QUOTA).await.problem(404, "not_found");
    server.put(QUOTA, &json!({"records": 1})).await.problem(404, "not_found");
    server.write("a", &json!({"n": 1})).await;
    let space = server.get("/v1/spaces/demo").await.json();
    assert_eq!(
        server.get(QUOTA).await.expect(200),
        json!({"records": null, "bytes": null, "record_bytes": null,
            "effective": {"records": "none", "bytes": 1_000, "record_bytes": "none"},
            "used": {"records": 1, "bytes": 8}})
    );
    let changed = json!({"records": 10, "bytes": "none", "record_bytes": 0,
        "effective": {"records": 10, "bytes": "none", "record_bytes": 0},
        "used": {"records": 1, "bytes": 8}});
    // What is absent stays as it is.
    for body in [json!({"records": 10, "bytes": "none", "record_bytes": 0}), json!({"records": 10}), json!({})] {
        assert_eq!(server.put(QUOTA, &body).await.expect(200), changed);
    }
    assert_eq!(server.put(QUOTA, &json!({"bytes": null})).await.expect(200)["effective"]["bytes"], 1_000);
    for (body, says) in [
        (json!({"records": -1}), "whole number"),
        (json!({"records": "many"}), "whole number"),
        (json!({"records": 1.5}), "whole number"),
        (json!({"bytes": u64::MAX}), "at most"),
        (json!({"record": 1}), "record"),
        (json!([]), "body"),
    ] {
        server.put(QUOTA, &body).await.problem_about(400, "invalid_request", says);
    }
    // Clients see a space as ever, and their cached answer stays good.
    assert_eq!(server.get("/v1/spaces/demo").await.json(), space);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_above_the_quota_is_refused_as_a_whole_and_says_why() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    server.put(QUOTA, &json!({"records": 2})).await.expect(200);
    let changes = |ids: &[&str]| -> Vec<Value> {
        ids.iter().map(|id| json!({"collection": "todos", "id": id, "data": {}})).collect()
    };
    let named = [("content-type", "application/json"), ("strandline-client", "phone")];
    let numbered = async |ids: &[&str]| {
        let body = json!({"changes": changes(ids), "seq": 1});
        server.send("POST", PUSH, &named, body.to_string()).await
    };
    let refused = numbered(&["b", "c"]).await;
    let problem = refused.problem(403, "quota_exceeded");
    assert_eq!(excess(&problem), json!(["records", 2, 1, 3]));
    assert!(problem["detail"].as_str().unwrap().contains("nothing was applied"), "{problem}");
    assert_eq!(server.get("/v1/spaces/demo").await.json()["head"], 1);
    // A 4xx leaves the number free.
    let taken = numbered(&["b"]).await.expect(200);
    assert_eq!((&taken["duplicate"], &taken["results"][0]["status"]), (&json!(false), &json!("applied")));
    // Beyond it, what makes room is taken; and reads go on.
    server.put(QUOTA, &json!({"records": 0})).await.expect(200);
    server.post(PUSH, &json!({"changes": changes(&["c"])})).await.problem(403, "quota_exceeded");
    server.delete("a").await;
    server.get("/v1/spaces/demo/changes").await.expect(200);
}

/// Which quota, its value, what there is and what would be.
fn excess(problem: &Value) -> Value {
    json!([problem["quota"], problem["limit"], problem["held"], problem["would_hold"]])
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_bounded_on_every_way_to_write_them() {
    let server = Server::start().await;
    let record = |id: &str| format!("/v1/spaces/demo/records/todos/{id}");
    let patch = async |id: &str, body: Value| -> Answer {
        server.send("PATCH", &record(id), &[("content-type", "application/json")], body.to_string()).await
    };
    server.put(&record("a"), &json!({"n": 1})).await.expect(201);
    server.put(QUOTA, &json!({"record_bytes": 10, "records": 2})).await.expect(200);
    for (what, answer, expected) in [
        ("PUT", server.put(&record("b"), &json!({"n": 12345})).await, json!(["record_bytes", 10, 0, 11])),
        ("PATCH", patch("a", json!({"n": 12345})).await, json!(["record_bytes", 10, 7, 11])),
        (
            "POST",
            server.post("/v1/spaces/demo/records/todos", &json!({"n": 12345})).await,
            json!(["record_bytes", 10, 0, 11]),
        ),
    ] {
        assert_eq!(excess(&answer.problem(403, "quota_exceeded")), expected, "{what}");
    }
    server.put(&record("b"), &json!({"n": 1234})).await.expect(201);
    let full = json!(["records", 2, 2, 3]);
    let (put, post) =
        (server.put(&record("c"), &json!({})).await, server.post("/v1/spaces/demo/records/todos", &json!({})).await);
    for answer in [put, post] {
        assert_eq!(excess(&answer.problem(403, "quota_exceeded")), full);
    }
    // In a push, one that is too large does not block the rest.
    let changes = json!([
        {"collection": "todos", "id": "a", "base_rev": "*", "data": {"n": 12345}},
        {"collection": "todos", "id": "b", "base_rev": "*", "data": {"n": 4321}},
    ]);
    let pushed = server.post(PUSH, &json!({"changes": changes})).await.expect(200);
    assert_eq!(
        (&pushed["results"][0]["status"], &pushed["results"][0]["problem"]["code"]),
        (&json!("rejected"), &json!("quota_exceeded"))
    );
    assert_eq!(pushed["results"][1]["status"], "applied");
    // What the server takes of no space is told first.
    let huge = json!({"text": "x".repeat(2 << 20)});
    server.put(&record("b"), &huge).await.problem(413, "too_large");

    let metrics = server.get("/metrics").await.text();
    for line in [
        "strandline_quota_refusals_total{quota=\"records\"} 2",
        "strandline_quota_refusals_total{quota=\"record_bytes\"} 4",
        "strandline_quota_refusals_total{quota=\"bytes\"} 0",
        "strandline_space_quota_records{space=\"demo\"} 2",
        "strandline_space_record_bytes{space=\"demo\"} 19",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("strandline_space_quota_bytes{"));
}
