//! PROTOCOL.md §9 over HTTP: health, the API's description, browsers of other origins, shutdown.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strandline::server::Config;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_whether_the_process_lives_and_the_store_answers() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz").await.json(), json!({"status": "ok"}));
    assert_eq!(server.get("/readyz").await.json(), json!({"status": "ready"}));
    server.store.close().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let unavailable = server.get("/readyz").await;
    unavailable.problem(503, "unavailable");
    assert_eq!(unavailable.header("retry-after"), "1");
    server.post("/v1/spaces/demo/push", &json!({"changes": []})).await.problem(503, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_every_route_and_is_what_is_served() {
    let server = Server::start().await;
    let answer = server.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{space}", "demo").replace("{collection}", "todos").replace("{id}", "a");
        let path = path.replace("{client}", "a").replace("{token_id}", "019ac0ffee00b33f");
        for method in item.as_object().unwrap().keys() {
            let answer = server.send(&method.to_uppercase(), &path, &[], "").await;
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(
                answer.status != 404 || ["space", "record", "token"].iter().any(|what| answer.text().contains(what)),
                "{path}"
            );
        }
    }
    insta::assert_json_snapshot!("openapi", document);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_describes_its_parameters_and_errors() {
    let document = serde_json::to_value(strandline::http::openapi_document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for name in path.split(['{', '}']).skip(1).step_by(2) {
                assert!(parameters.iter().any(|p| p["in"] == "path" && p["name"] == name), "{method} {path}: {name}");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("400") && responses.contains_key("500"), "{method} {path}");
            for (status, response) in responses {
                // The page's login is a page.
                if status.starts_with(['4', '5']) && (path.as_str(), status.as_str()) != ("/", "401") {
                    assert!(response["content"].get("application/problem+json").is_some(), "{method} {path} {status}");
                }
            }
            assert!(operation["summary"].is_string(), "{method} {path} says nothing of itself");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_of_another_origin_may_come_in_only_if_configured() {
    let origin = ("origin", "https://app.example.org");
    let closed = Server::start().await;
    let answer = closed.get_with("/healthz", &[origin]).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));

    let config = Config { cors_origins: vec!["https://app.example.org".into()], ..Config::default() };
    let open = Server::start_with(config).await;
    let answer = open.get_with("/v1/spaces/none", &[origin]).await;
    answer.problem(404, "not_found");
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.org");
    let exposed = answer.header("access-control-expose-headers").to_lowercase();
    for name in ["etag", "link", "location", "last-modified", "retry-after"] {
        assert!(exposed.contains(name), "{name} is not in {exposed}");
    }
    let preflight = |origin: &'static str, method: &'static str, headers: &'static str| {
        let sent = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
        ];
        let server = &open;
        async move { server.send("OPTIONS", "/v1/spaces/demo/records/todos/a", &sent, "").await }
    };
    let all = "authorization, content-type, if-match, if-none-match, last-event-id, strandline-client";
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        let answer = preflight("https://app.example.org", method, all).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.org");
        assert!(answer.header("access-control-allow-methods").contains(method));
    }
    preflight("https://evil.example", "GET", "content-type").await.problem(400, "invalid_request");
    preflight("https://app.example.org", "PUT", "x-other").await.problem(400, "invalid_request");
    let foreign = open.get_with("/healthz", &[("origin", "https://evil.example")]).await;
    assert_eq!(foreign.header("access-control-allow-origin"), "");

    let any = Server::start_with(Config { cors_origins: vec!["*".into()], ..Config::default() }).await;
    assert_eq!(any.get_with("/healthz", &[origin]).await.header("access-control-allow-origin"), "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_what_waits_and_finishes_what_is_under_way() {
    let mut server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = server.cursor().await;
    let mut events = server.events(&format!("/v1/spaces/demo/changes?since={cursor}"), &[]).await;
    let path = format!("/v1/spaces/demo/changes?since={cursor}&wait=60");
    let poll = tokio::spawn(server.request("GET", &path, &[], Vec::new()).send());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "the shutdown took {:?}", begun.elapsed());
    let answer = poll.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(page["cursor"], *cursor);
    assert!(events.next().await.is_none());
}

#[test]
fn the_description_is_whole() {
    let document = serde_json::to_value(strandline::http::openapi_document()).unwrap();
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut count = 0;
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
        count += 1;
    }
    assert!(count > 50, "only {count} references");
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|path| path.as_object().unwrap().values());
    let mut names: Vec<_> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "an operation's name stands twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_0_gets_no_chunks() {
    let server = Server::start().await;
    server.fill(100).await;
    for headers in ["Accept: application/x-ndjson\r\n", "Accept-Encoding: gzip\r\n", ""] {
        let request = format!("GET /v1/spaces/demo/changes HTTP/1.0\r\n{headers}\r\n");
        let answer = server.raw(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.0 200") && !head.contains("chunked"), "{head}");
        assert!(body.starts_with('{') && body.ends_with(['}', '\n']), "{body}");
    }
}
