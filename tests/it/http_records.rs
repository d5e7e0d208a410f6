//! PROTOCOL.md §5 over HTTP: records for plain REST.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Server;

const A: &str = "/v1/spaces/demo/records/todos/a";

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_written_read_changed_and_deleted() {
    let server = Server::start().await;
    server.get(A).await.problem(404, "not_found");
    let made = server.put(A, &json!({"title": "milk", "done": false})).await;
    assert_eq!((made.status, made.header("location"), made.header("etag")), (201, A, "\"1\""));
    assert_eq!(made.header("last-modified"), "Sun, 22 Nov 2026 20:00:00 GMT");
    let expected = json!({"collection": "todos", "id": "a", "rev": 1, "modified_at": "2026-11-22T20:00:00.000000Z",
        "deleted": false, "data": {"title": "milk", "done": false}});
    assert_eq!(made.json(), expected);
    let read = server.get(A).await;
    assert_eq!((read.json(), read.header("etag")), (expected, "\"1\""));
    assert_eq!(read.header("last-modified"), "Sun, 22 Nov 2026 20:00:00 GMT");
    let head = server.send("HEAD", A, &[], "").await;
    assert_eq!(
        (head.status, head.header("etag"), head.header("content-length")),
        (200, "\"1\"", read.header("content-length"))
    );
    // Equal data takes no revision.
    let same = server.put(A, &json!({"done": false, "title": "milk"})).await;
    assert_eq!((same.status, same.header("etag"), same.header("location")), (200, "\"1\"", ""));
    for media_type in ["application/merge-patch+json", "application/json"] {
        let patch = json!({"done": media_type, "title": null}).to_string();
        let patched = server.send("PATCH", A, &[("content-type", media_type)], patch).await;
        assert_eq!((patched.status, &patched.json()["data"]), (200, &json!({"done": media_type})));
    }
    assert_eq!(server.put(A, &json!({})).await.header("etag"), "\"4\"");
    let deleted = server.send("DELETE", A, &[], "").await;
    assert_eq!((deleted.status, deleted.header("etag")), (200, "\"5\""));
    assert_eq!((&deleted.json()["deleted"], deleted.json().get("data")), (&json!(true), None));
    for method in ["GET", "DELETE"] {
        let problem = server.send(method, A, &[], "").await.problem(404, "not_found");
        assert_eq!((&problem["rev"], &problem["modified_at"]), (&json!(5), &json!("2026-11-22T20:00:00.000000Z")));
    }
    assert_eq!(server.send("PATCH", A, &[], "{}").await.problem(404, "not_found")["rev"], 5);
    assert_eq!(server.put(A, &json!({})).await.status, 201, "it did not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_any_text_percent_encoded() {
    let server = Server::start().await;
    for (encoded, id) in [
        ("src%2Fmain.rs", "src/main.rs"),
        ("%E6%97%A5%E6%9C%AC", "日本"),
        ("a%20b", "a b"),
        ("100%25", "100%"),
        ("%252F", "%2F"),
        ("a+b", "a+b"),
        ("%3F%23%26", "?#&"),
        ("...", "..."),
        ("%F0%9F%8E%89", "🎉"),
    ] {
        let path = format!("/v1/spaces/demo/records/todos/{encoded}");
        let made = server.put(&path, &json!({"id": id})).await;
        assert_eq!((made.status, made.json()["id"].as_str()), (201, Some(id)), "{encoded}");
        // Where it says that it is, it is.
        let found = server.get(made.header("location")).await;
        assert_eq!((found.status, found.json()["id"].as_str()), (200, Some(id)), "{}", made.header("location"));
    }
    for bad in [".", "..", "%2e", "%2E%2e", "a%", "a%2", "a%zz", "%ff", "a%0Ab", "%7f"] {
        let answer = server.raw_request("GET", &format!("/v1/spaces/demo/records/todos/{bad}")).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_request"), "{bad}: {answer}");
    }
    for nowhere in ["todos/a/b", "todos//a", "todos/", ""] {
        let answer = server.raw_request("GET", &format!("/v1/spaces/demo/records/{nowhere}")).await;
        assert!(
            answer.starts_with("HTTP/1.1 404") && answer.contains("application/problem+json"),
            "{nowhere}: {answer}"
        );
    }
    let long = "x".repeat(257);
    server.get(&format!("/v1/spaces/demo/records/todos/{long}")).await.problem(400, "invalid_request");
    server.get("/v1/spaces/demo/records/Todos/a").await.problem_about(400, "invalid_request", "collection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_holds_the_record_gets_a_304() {
    let server = Server::start().await;
    server.put(A, &json!({})).await;
    let (date, earlier) = ("Sun, 22 Nov 2026 20:00:00 GMT", "Sun, 22 Nov 2026 19:59:59 GMT");
    for (headers, status) in [
        (&[("if-none-match", "\"1\"")][..], 304),
        (&[("if-none-match", "W/\"1\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"0\", \"1\"")], 304),
        (&[("if-none-match", "\"2\"")], 200),
        (&[("if-modified-since", date)], 304),
        (&[("if-modified-since", "Sunday, 22-Nov-26 20:00:00 GMT")], 304),
        (&[("if-modified-since", earlier)], 200),
        (&[("if-modified-since", "2026-11-22T20:00:00Z")], 200),
        // The tag counts, not the date.
        (&[("if-none-match", "\"2\""), ("if-modified-since", date)], 200),
    ] {
        let answer = server.get_with(A, headers).await;
        assert_eq!((answer.status, answer.header("etag")), (status, "\"1\""), "{headers:?}");
        assert_eq!(answer.header("last-modified"), date);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_write_happens_only_if_the_record_is_as_it_should_be() {
    let server = Server::start().await;
    server.put(A, &json!({"n": 0})).await;
    let (date, earlier) = ("Sun, 22 Nov 2026 20:00:00 GMT", "Sun, 22 Nov 2026 19:59:59 GMT");
    for (method, headers) in [
        ("PUT", &[("if-match", "\"2\"")][..]),
        ("PUT", &[("if-match", "W/\"1\"")]),
        ("PUT", &[("if-match", "1")]),
        ("PUT", &[("if-none-match", "*")]),
        ("PUT", &[("if-none-match", "\"1\"")]),
        ("PATCH", &[("if-match", "\"2\"")]),
        ("DELETE", &[("if-match", "\"x\"")]),
        ("PUT", &[("if-unmodified-since", earlier)]),
        ("PUT", &[("if-match", "\"1\""), ("if-none-match", "*")]),
    ] {
        let body = if method == "DELETE" { "" } else { r#"{"n":1}"# };
        let answer = server.send(method, A, headers, body).await;
        let problem = answer.problem(412, "precondition_failed");
        assert_eq!(
            (&problem["record"]["rev"], &problem["record"]["data"]),
            (&json!(1), &json!({"n": 0})),
            "{headers:?}"
        );
    }
    let nothing = server.send("PUT", "/v1/spaces/demo/records/todos/b", &[("if-match", "*")], "{}").await;
    let record = json!({"collection": "todos", "id": "b", "rev": null, "deleted": true});
    assert_eq!(nothing.problem(412, "precondition_failed")["record"], record);
    for (rev, headers) in [
        (2, &[("if-match", "\"7\", \"1\"")][..]),
        (3, &[("if-match", "*")]),
        (4, &[("if-none-match", "\"1\"")]),
        (5, &[("if-unmodified-since", date)]),
        (6, &[("if-match", "\"5\""), ("if-unmodified-since", earlier)]),
    ] {
        let answer = server.send("PUT", A, headers, format!(r#"{{"n":{rev}}}"#)).await;
        assert_eq!((answer.status, answer.json()["rev"].as_u64()), (200, Some(rev)), "{headers:?}: {}", answer.text());
    }
    let made = server.send("PUT", "/v1/spaces/demo/records/todos/c", &[("if-none-match", "*")], "{}").await;
    assert_eq!(made.status, 201);
    let bad_date = server.send("PUT", A, &[("if-unmodified-since", "yesterday")], "{}").await;
    bad_date.problem_about(400, "invalid_request", "If-Unmodified-Since");
    // A second later the whole seconds of the date still say what is meant.
    server.clock.advance(Duration::from_millis(1500));
    server.put(A, &json!({"n": 8})).await;
    let late = server.send("PUT", A, &[("if-unmodified-since", date)], r#"{"n":9}"#).await;
    late.problem(412, "precondition_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_made_by_post_gets_an_id_from_the_server() {
    let server = Server::start().await;
    let path = "/v1/spaces/demo/records/todos";
    let made = server.post(path, &json!({"title": "milk"})).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!((made.status, made.header("location")), (201, format!("{path}/{id}").as_str()));
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "a UUIDv7: {id}");
    assert_eq!(server.get(made.header("location")).await.json(), made.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_in_order_of_id_by_bytes() {
    let server = Server::start().await;
    server.get("/v1/spaces/demo/records/todos").await.problem(404, "not_found");
    for id in ["b", "a", "Z", "é", "a/b", "gone"] {
        server.write(id, &json!({})).await;
    }
    server.delete("gone").await;
    server.write_in("lists", "x", &json!({})).await;
    let mut ids: Vec<String> = Vec::new();
    let mut path = "/v1/spaces/demo/records/todos?limit=2".to_owned();
    loop {
        let page = server.get(&path).await.json();
        ids.extend(page["records"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()));
        let Some(after) = page["after"].as_str() else { break };
        path =
            format!("/v1/spaces/demo/records/todos?limit=2&after={}", after.replace('/', "%2F").replace('é', "%C3%A9"));
    }
    assert_eq!(ids, ["Z", "a", "a/b", "b", "é"]);
    let empty = server.get("/v1/spaces/demo/records/never").await.json();
    assert_eq!(empty, json!({"records": [], "after": Value::Null}));
    for (query, says) in [("limit=0", "limit"), ("after=", "after"), ("before=a", "before")] {
        let answer = server.get(&format!("/v1/spaces/demo/records/todos?{query}")).await;
        answer.problem_about(400, "invalid_request", says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_none_is_refused() {
    let server = Server::start().await;
    let large = format!(r#"{{"t":"{}"}}"#, "x".repeat(1 << 20));
    let deep = format!("{}{}", r#"{"a":"#.repeat(128) + "{", "}".repeat(129));
    for (body, status, code) in [
        ("", 400, "invalid_request"),
        ("[]", 400, "invalid_request"),
        ("null", 400, "invalid_request"),
        ("{} {}", 400, "invalid_request"),
        (r#"{"a":1,"a":2}"#, 400, "invalid_request"),
        (&large, 413, "too_large"),
        (&deep, 413, "too_large"),
    ] {
        for (method, path) in [("PUT", A), ("PATCH", A), ("POST", "/v1/spaces/demo/records/todos")] {
            let answer = server.send(method, path, &[("content-type", "application/json")], body).await;
            answer.problem(status, code);
        }
    }
    server.get("/v1/spaces/demo").await.problem(404, "not_found");
}
