//! What the log says of who did what, and what it never says.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Home, Program};

/// What no log may have.
const MARKS: [&str; 2] = ["the-data-of-a-record", "the-id-of-a-record"];

struct Desk {
    program: Program,
    client: reqwest::Client,
}

impl Desk {
    async fn new(level: &str) -> Self {
        let program = Program::start_with(Home::new(), &[("RUST_LOG", level)]).await;
        Self { program, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("http://{}{path}", self.program.address()));
        request = request.header("content-type", "application/json");
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = request.body(if body.is_null() { String::new() } else { body.to_string() }).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn issue(&self, token: &str, grants: Value) -> Value {
        let (status, issued) = self.send(token, "POST", "/v1/tokens", &json!({"name": "ops", "grants": grants})).await;
        assert_eq!(status, 201, "{issued}");
        issued
    }
}

/// The lines of the audit.
fn audit(log: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| line.contains(" audit]"));
    lines.map(|line| serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_configured_deleted_compacted_or_failed_is_a_line_each() {
    let mut desk = Desk::new("warn,audit=info").await;
    let root = desk.issue("", json!([{"space": "*", "access": "admin"}])).await;
    let (id, root) = (root["id"].as_str().unwrap().to_owned(), root["token"].as_str().unwrap().to_owned());
    let reader = desk.issue(&root, json!([{"space": "demo", "access": "read"}])).await;
    let reader_token = reader["token"].as_str().unwrap();
    let no = Value::Null;
    let revoke = format!("/v1/tokens/{}", reader["id"].as_str().unwrap());
    for (token, method, path, body, status) in [
        (root.as_str(), "PUT", "/v1/spaces/demo", json!({}), 201),
        (&root, "PUT", "/v1/spaces/demo/records/todos/the-id-of-a-record", json!({"a": "the-data-of-a-record"}), 201),
        (&root, "GET", "/v1/spaces/demo", no.clone(), 200),
        (&root, "PUT", "/v1/spaces/demo/retention", json!({"retention": "7d"}), 200),
        (&root, "PUT", "/v1/spaces/demo/retention", json!({"retention": "soon"}), 400),
        (&root, "PUT", "/v1/spaces/demo/quota", json!({"records": 1}), 200),
        (&root, "PUT", "/v1/spaces/demo/records/todos/another", json!({}), 403),
        (&root, "POST", "/v1/spaces/demo/compact", json!({}), 200),
        (&root, "DELETE", "/v1/spaces/demo/clients/phone", no.clone(), 404),
        (reader_token, "DELETE", "/v1/spaces/demo", no.clone(), 403),
        (reader_token, "DELETE", "/v1/spaces/demo/records/todos/the-id-of-a-record", no.clone(), 403),
        (reader_token, "GET", "/v1/spaces/other/changes", no.clone(), 404),
        ("garbage", "GET", "/v1/spaces/demo/changes", no.clone(), 401),
        (&root, "DELETE", &revoke, no.clone(), 204),
        (&root, "DELETE", "/v1/spaces/demo", no.clone(), 204),
    ] {
        assert_eq!(desk.send(token, method, path, &body).await.0, status, "{method} {path}");
    }
    desk.program.stop().await;
    let lines = audit(&desk.program.said());
    let told: Vec<Vec<&str>> = (lines.iter())
        .map(|line| ["event", "outcome", "space"].iter().map(|name| line[name].as_str().unwrap_or("-")).collect())
        .collect();
    assert_eq!(
        told,
        [
            ["token.create", "done", "-"],
            ["token.create", "done", "-"],
            ["space.configure", "done", "demo"],
            ["retention.configure", "done", "demo"],
            ["retention.configure", "failed", "demo"],
            ["quota.configure", "done", "demo"],
            ["space.compact", "done", "demo"],
            ["client.forget", "failed", "demo"],
            ["space.delete", "refused", "demo"],
            ["access", "refused", "demo"],
            ["access", "refused", "other"],
            ["access", "refused", "demo"],
            ["token.revoke", "done", "-"],
            ["space.delete", "done", "demo"],
        ]
    );
    assert!(lines[0].get("who").is_none(), "there was no access control yet");
    assert_eq!((&lines[3]["who"], &lines[3]["name"]), (&json!(format!("token {id}")), &json!("ops")));
    assert_eq!((&lines[3]["from"], &lines[3]["status"]), (&json!("127.0.0.1"), &json!(200)));
    assert_eq!(lines[7]["subject"], "phone");
    assert_eq!((&lines[1]["subject"], &lines[12]["subject"]), (&reader["id"], &reader["id"]));
    let log = desk.program.said();
    for secret in [&root, reader_token, MARKS[0], MARKS[1]] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_compactor_purges_by_itself_is_a_line_too() {
    let environment = [("RUST_LOG", "warn,audit=info"), ("STRANDLINE_COMPACT_INTERVAL", "1s")];
    let program = Program::start_with(Home::new(), &environment).await;
    let desk = Desk { program, client: reqwest::Client::builder().no_proxy().build().unwrap() };
    let record = "/v1/spaces/demo/records/todos/a";
    assert_eq!(desk.send("", "PUT", record, &json!({})).await.0, 201);
    assert_eq!(desk.send("", "DELETE", record, &Value::Null).await.0, 200);
    assert_eq!(desk.send("", "PUT", "/v1/spaces/demo/retention", &json!({"retention": "0s"})).await.0, 200);
    let begun = Instant::now();
    let line = loop {
        let lines = audit(&desk.program.said());
        if let Some(line) = lines.into_iter().find(|line| line["event"] == "space.compact") {
            break line;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing was purged");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let told = json!({"event": "space.compact", "outcome": "done", "space": "demo", "who": "compactor", "purged": 1, "horizon": 2});
    assert_eq!(line, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_has_a_token_or_a_record_at_any_level() {
    let mut desk = Desk::new("trace").await;
    let root = desk.issue("", json!([{"space": "*", "access": "admin"}])).await;
    let root = root["token"].as_str().unwrap().to_owned();
    let change = json!({"collection": "todos", "id": MARKS[1], "data": {"a": MARKS[0]}});
    let push = json!({"changes": [change]});
    for (token, method, path, body, status) in [
        (root.as_str(), "POST", "/v1/spaces/demo/push", push.clone(), 200),
        (&root, "POST", "/v1/spaces/demo/push", json!({"changes": [change, change]}), 400),
        (&root, "PUT", "/v1/spaces/demo/records/todos/the-id-of-a-record", json!({"a": "the-data-of-a-record-2"}), 200),
        (&root, "GET", "/v1/spaces/demo/changes", Value::Null, 200),
        (&root, "GET", "/v1/spaces/demo/records/todos/the-id-of-a-record", Value::Null, 200),
        (&root, "POST", "/v1/spaces/demo/fetch", json!({"runs": [0, 2]}), 200),
        ("sl_the-token-of-somebody-who-mistyped-it-somehow", "GET", "/v1/spaces", Value::Null, 401),
        (&root, "DELETE", &format!("/v1/tokens/{root}"), Value::Null, 400),
        (&root, "DELETE", "/v1/spaces/demo", Value::Null, 204),
    ] {
        assert_eq!(desk.send(token, method, path, &body).await.0, status, "{method} {path}");
    }
    desk.program.stop().await;
    let log = desk.program.said();
    assert!(!log.is_empty());
    for secret in [root.as_str(), "the-token-of-somebody", MARKS[0], MARKS[1]] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}
