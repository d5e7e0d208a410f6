//! PROTOCOL.md §4 over HTTP: every outcome, cursors, sequence numbers, atomic and malformed pushes.

use serde_json::{Value, json};

use crate::support::{Answer, Server};

async fn push(server: &Server, body: Value) -> Answer {
    server.post("/v1/spaces/demo/push", &body).await
}

async fn one(server: &Server, change: Value) -> Value {
    let answer = push(server, json!({"changes": [change]})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["results"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_outcomes() {
    let server = Server::start().await;
    server.write("live", &json!({"n": 1, "m": 2})).await;
    server.write("gone", &json!({})).await;
    server.delete("gone").await;
    // live at 1, gone a tombstone at 3, never absent; the head is 3.
    for (change, status) in [
        (json!({"id": "live", "data": {"m": 2, "n": 1.0}}), "unchanged"),
        (json!({"id": "live", "patch": {"n": 1}}), "unchanged"),
        (json!({"id": "live", "data": {"n": 2}}), "conflict"),
        (json!({"id": "live", "patch": {"n": 2}}), "conflict"),
        (json!({"id": "live", "deleted": true}), "conflict"),
        (json!({"id": "live", "base_rev": 0, "data": {"n": 2}}), "conflict"),
        (json!({"id": "live", "base_rev": 4, "data": {"n": 2}}), "conflict"),
        (json!({"id": "gone", "deleted": true}), "unchanged"),
        (json!({"id": "gone", "base_rev": 1, "deleted": true}), "unchanged"),
        (json!({"id": "gone", "data": {}}), "conflict"),
        (json!({"id": "gone", "base_rev": 2, "data": {}}), "conflict"),
        (json!({"id": "gone", "base_rev": 3, "patch": {}}), "conflict"),
        (json!({"id": "gone", "base_rev": "*", "patch": {}}), "conflict"),
        (json!({"id": "never", "deleted": true}), "unchanged"),
        (json!({"id": "never", "base_rev": 1, "data": {}}), "conflict"),
        (json!({"id": "never", "patch": {}}), "conflict"),
        (json!({"id": "never", "base_rev": "*", "patch": {}}), "conflict"),
    ] {
        let mut change = change;
        change["collection"] = json!("todos");
        let result = one(&server, change.clone()).await;
        assert_eq!(result["status"], status, "{change}: {result}");
        assert_eq!(server.get("/v1/spaces/demo").await.json()["head"], 3, "{change} took a revision");
    }
    for (change, rev) in [
        (json!({"id": "live", "base_rev": 1, "data": {"n": 2}}), 4),
        (json!({"id": "live", "base_rev": "*", "patch": {"n": null}}), 5),
        (json!({"id": "live", "base_rev": 5, "deleted": true}), 6),
        (json!({"id": "gone", "base_rev": 3, "data": {}}), 7),
        (json!({"id": "live", "base_rev": "*", "data": {}}), 8),
        (json!({"id": "new", "base_rev": null, "data": {}}), 9),
        (json!({"id": "newer", "base_rev": "*", "data": {}}), 10),
    ] {
        let mut change = change;
        change["collection"] = json!("todos");
        let result = one(&server, change.clone()).await;
        assert_eq!((&result["status"], &result["rev"]), (&json!("applied"), &json!(rev)), "{change}: {result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_brings_the_servers_record_along() {
    let server = Server::start().await;
    server.write("a", &json!({"n": 1})).await;
    let result = one(&server, json!({"collection": "todos", "id": "a", "data": {"n": 2}})).await;
    let record = server.get("/v1/spaces/demo/records/todos/a").await.json();
    assert_eq!(result, json!({"collection": "todos", "id": "a", "status": "conflict", "record": record}));
    let result = one(&server, json!({"collection": "todos", "id": "b", "base_rev": 1, "data": {}})).await;
    assert_eq!(result["record"], json!({"collection": "todos", "id": "b", "rev": null, "deleted": true}));
    server.delete("a").await;
    let result = one(&server, json!({"collection": "todos", "id": "a", "data": {"n": 2}})).await;
    assert_eq!((&result["record"]["deleted"], &result["record"]["rev"]), (&json!(true), &json!(2)));
    assert!(result["record"].get("data").is_none());
    let unchanged = one(&server, json!({"collection": "todos", "id": "zz", "deleted": true})).await;
    assert_eq!(unchanged, json!({"collection": "todos", "id": "zz", "status": "unchanged", "rev": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_takes_consecutive_revisions_and_says_where_it_left_the_client() {
    let server = Server::start().await;
    let change = |id: &str| json!({"collection": "todos", "id": id, "data": {}});
    let first = push(&server, json!({"changes": [change("a"), change("b")]})).await.json();
    let epoch = first["cursor"].as_str().unwrap().split_once('.').unwrap().0.to_owned();
    assert_eq!((&first["previous_head"], &first["head"]), (&json!(0), &json!(2)));
    assert_eq!((&first["cursor"], &first["duplicate"]), (&json!(format!("{epoch}.2")), &json!(false)));
    let revs: Vec<_> = first["results"].as_array().unwrap().iter().map(|result| result["rev"].clone()).collect();
    assert_eq!(revs, [1, 2]);
    let with = |cursor: &str, id: &str| json!({"changes": [change(id)], "cursor": cursor});
    // Nothing foreign came between: the client moves to the new head.
    assert_eq!(push(&server, with(&format!("{epoch}.2"), "c")).await.json()["cursor"], format!("{epoch}.3"));
    // Something did: it keeps its place, under way.
    assert_eq!(push(&server, with(&format!("{epoch}.2"), "d")).await.json()["cursor"], format!("{epoch}.2.p"));
    assert_eq!(push(&server, with(&format!("{epoch}.1.4"), "e")).await.json()["cursor"], format!("{epoch}.1.4"));
    let scoped = server.get("/v1/spaces/demo/changes?collections=todos").await.json()["cursor"].clone();
    let body = json!({"changes": [change("f")], "cursor": scoped, "collections": ["todos"]});
    assert_eq!(push(&server, body).await.json()["cursor"], scoped.as_str().unwrap().replace(".5~", ".6~"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_history_stops_the_whole_push() {
    let server = Server::start().await;
    let change = json!({"collection": "todos", "id": "b", "data": {}});
    push(&server, json!({"changes": [change], "cursor": "k3.0"})).await.problem(404, "not_found");
    server.write("a", &json!({})).await;
    let epoch = server.cursor().await.split_once('.').unwrap().0.to_owned();
    let scoped = server.get("/v1/spaces/demo/changes?collections=todos").await.json()["cursor"].clone();
    for (cursor, collections, reason) in [
        (json!("zzz.1"), json!(null), "epoch"),
        (json!("zzz.0.p"), json!(null), "epoch"),
        (json!(format!("{epoch}.2")), json!(null), "ahead"),
        (scoped.clone(), json!(null), "scope"),
        (scoped, json!(["lists"]), "scope"),
        (json!(format!("{epoch}.1")), json!(["todos"]), "scope"),
    ] {
        let body = json!({"changes": [change], "cursor": cursor, "collections": collections});
        let problem = push(&server, body).await.problem(410, "resync_required");
        assert_eq!(problem["reason"], reason, "{cursor}");
    }
    assert_eq!(server.get("/v1/spaces/demo").await.json()["head"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_push_happens_at_most_once() {
    let server = Server::start().await;
    let path = "/v1/spaces/demo/push";
    let headers = [("content-type", "application/json"), ("strandline-client", "phone")];
    let body = |seq: u64, n: u64| {
        json!({"changes": [{"collection": "todos", "id": "a", "base_rev": "*", "data": {"n": n}}], "seq": seq})
            .to_string()
    };
    let first = server.send("POST", path, &headers, body(1, 1)).await.json();
    assert_eq!((&first["results"][0]["status"], &first["duplicate"]), (&json!("applied"), &json!(false)));
    let again = server.send("POST", path, &headers, body(1, 1)).await.json();
    assert_eq!((&again["results"][0]["status"], &again["duplicate"]), (&json!("unchanged"), &json!(true)));
    server.write("a", &json!({"n": 9})).await;
    let late = server.send("POST", path, &headers, body(1, 1)).await.json();
    assert_eq!((&late["results"][0]["status"], &late["duplicate"]), (&json!("conflict"), &json!(true)));
    assert_eq!(server.get("/v1/spaces/demo").await.json()["head"], 2);
    let other = [("content-type", "application/json"), ("strandline-client", "laptop")];
    assert_eq!(server.send("POST", path, &other, body(1, 3)).await.json()["duplicate"], false);
    server.post(path, &json!({"changes": [], "seq": 1})).await.problem_about(
        400,
        "invalid_request",
        "Strandline-Client",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_push_applies_all_or_nothing() {
    let server = Server::start().await;
    server.write("a", &json!({"n": 1})).await;
    let good = json!({"collection": "todos", "id": "b", "data": {}});
    let same = json!({"collection": "todos", "id": "a", "data": {"n": 1}});
    let bad = json!({"collection": "todos", "id": "c", "patch": {}});
    let refused = push(&server, json!({"changes": [good, same, bad], "atomic": true})).await;
    let problem = refused.problem(409, "push_refused");
    let statuses: Vec<_> = problem["results"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, ["not_applied", "unchanged", "conflict"]);
    assert_eq!((&problem["previous_head"], &problem["head"]), (&json!(1), &json!(1)));
    server.get("/v1/spaces/demo/records/todos/b").await.problem(404, "not_found");
    let taken = push(&server, json!({"changes": [good, same], "atomic": true})).await.json();
    assert_eq!((&taken["results"][0]["status"], &taken["head"]), (&json!("applied"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_push_makes_no_space() {
    let server = Server::start().await;
    let nothing = push(&server, json!({"changes": []})).await;
    assert_eq!(nothing.status, 200);
    assert_eq!(
        nothing.json(),
        json!({"results": [], "previous_head": 0, "head": 0, "cursor": null, "duplicate": false})
    );
    server.get("/v1/spaces/demo").await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_or_too_deep_is_rejected_alone() {
    let server = Server::start().await;
    let nested = |levels: usize| {
        let text = format!("{}{}", r#"{"a":"#.repeat(levels - 1) + "{", "}".repeat(levels));
        serde_json::value::RawValue::from_string(text).unwrap()
    };
    let large = format!(r#"{{"t":"{}"}}"#, "x".repeat(1 << 20));
    let body = format!(
        r#"{{"changes":[{{"collection":"t","id":"ok","data":{}}},{{"collection":"t","id":"deep","data":{}}},
            {{"collection":"t","id":"large","data":{large}}},{{"collection":"t","id":"after","data":{{}}}}]}}"#,
        nested(128),
        nested(129),
    );
    let answer = server.send("POST", "/v1/spaces/demo/push", &[], body).await.json();
    let statuses: Vec<_> = answer["results"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, ["applied", "rejected", "rejected", "applied"]);
    for (index, says) in [(1, "128"), (2, "1048576")] {
        let problem = &answer["results"][index]["problem"];
        assert_eq!(problem["code"], "too_large");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_push_is_refused_as_a_whole() {
    let server = Server::start().await;
    let good = r#"{"collection":"todos","id":"a","data":{}}"#;
    let control = r#"{"collection":"todos","id":"a\n","data":{}}"#;
    for (body, code, says) in [
        (String::new(), "invalid_request", "body"),
        ("{".into(), "invalid_request", "body"),
        (r#"{"changes":{}}"#.into(), "invalid_request", "body"),
        (r#"{"changes":[],"chagnes":[]}"#.into(), "invalid_request", "chagnes"),
        (r#"{"changes":[],"cursor":"12"}"#.into(), "invalid_cursor", "cursor"),
        (r#"{"changes":[],"cursor":"now"}"#.into(), "invalid_cursor", "cursor"),
        (format!(r#"{{"changes":[{good},{good}]}}"#), "invalid_request", "changes[1]"),
        (format!(r#"{{"changes":[{good},{control}]}}"#), "invalid_request", "changes[1]"),
        (r#"{"changes":[{"collection":"todos","id":"a"}]}"#.into(), "invalid_request", "changes[0]"),
        (
            r#"{"changes":[{"collection":"todos","id":"a","data":{"a":1,"a":1}}]}"#.into(),
            "invalid_request",
            "changes[0]",
        ),
    ] {
        let answer = server.send("POST", "/v1/spaces/demo/push", &[], body).await;
        answer.problem_about(400, code, says);
    }
    server.get("/v1/spaces/demo").await.problem(404, "not_found");
}
