//! PROTOCOL.md §8 and §9 over HTTP: every refusal is a problem, also the framework's own.

use serde_json::json;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_there_is_told_which_are() {
    let server = Server::start().await;
    for (path, allowed) in [
        ("/", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/metrics", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/v1/spaces", "GET, HEAD"),
        ("/v1/spaces/demo", "GET, HEAD, PUT, DELETE"),
        ("/v1/spaces/demo/changes", "GET, HEAD"),
        ("/v1/spaces/demo/push", "POST"),
        ("/v1/spaces/demo/records/todos", "GET, HEAD, POST"),
        ("/v1/spaces/demo/records/todos/a", "GET, HEAD, PUT, PATCH, DELETE"),
        ("/v1/spaces/demo/manifest", "GET, HEAD"),
        ("/v1/spaces/demo/fetch", "POST"),
        ("/v1/spaces/demo/retention", "GET, HEAD, PUT"),
        ("/v1/spaces/demo/compact", "POST"),
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            let answer = server.send(method, path, &[], "").await;
            if allowed.split(", ").any(|allowed| allowed == method) {
                assert_ne!(answer.status, 405, "{method} {path}");
            } else {
                answer.problem(405, "method_not_allowed");
                assert_eq!(answer.header("allow"), allowed, "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_leads_nowhere_is_not_found() {
    let server = Server::start().await;
    for path in ["/v1", "/v1/", "/v2/spaces", "/v1/spaces/", "/v1/spaces/demo/", "/v1/spaces/demo/nothing", "/x?y=1"] {
        server.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_none_is_refused_with_the_rule() {
    let server = Server::start().await;
    for path in ["", "/changes", "/records/todos", "/records/todos/a", "/manifest", "/retention"] {
        for name in ["Demo", "-demo", "d.mo", "d%2Fmo", "d%C3%A9mo", &"x".repeat(64)] {
            let answer = server.get(&format!("/v1/spaces/{name}{path}")).await;
            answer.problem_about(400, "invalid_request", "1 to 63 of a-z");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_unknown_is_refused_everywhere() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/v1/spaces"),
        ("GET", "/v1/spaces/demo"),
        ("PUT", "/v1/spaces/demo"),
        ("DELETE", "/v1/spaces/demo"),
        ("GET", "/v1/spaces/demo/changes"),
        ("POST", "/v1/spaces/demo/push"),
        ("GET", "/v1/spaces/demo/records/todos"),
        ("POST", "/v1/spaces/demo/records/todos"),
        ("GET", "/v1/spaces/demo/records/todos/a"),
        ("PUT", "/v1/spaces/demo/records/todos/a"),
        ("PATCH", "/v1/spaces/demo/records/todos/a"),
        ("DELETE", "/v1/spaces/demo/records/todos/a"),
        ("GET", "/v1/spaces/demo/manifest"),
        ("POST", "/v1/spaces/demo/fetch"),
        ("GET", "/v1/spaces/demo/retention"),
        ("PUT", "/v1/spaces/demo/retention"),
        ("POST", "/v1/spaces/demo/compact"),
    ] {
        let answer = server.send(method, &format!("{path}?sicne=1"), &[], "").await;
        answer.problem_about(400, "invalid_request", "sicne");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_a_form_that_nobody_wants_is_not_given() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    for (method, path, accept, status) in [
        ("GET", "/v1/spaces/demo", "text/html", 406),
        ("GET", "/v1/spaces/demo", "application/json;q=0", 406),
        ("GET", "/v1/spaces/demo", "text/html, application/*;q=0.1", 200),
        ("GET", "/v1/spaces/demo", "*/*", 200),
        ("GET", "/v1/spaces", "application/x-ndjson", 406),
        ("GET", "/v1/spaces/demo/changes", "text/html", 406),
        ("GET", "/v1/spaces/demo/records/todos/a", "image/png", 406),
        ("GET", "/v1/spaces/demo/manifest", "application/x-ndjson", 406),
        ("PUT", "/v1/spaces/demo/records/todos/a", "text/html", 406),
        ("POST", "/v1/spaces/demo/push", "text/html", 406),
        ("POST", "/v1/spaces/demo/fetch", "text/event-stream", 406),
        ("POST", "/v1/spaces/demo/compact", "text/html", 406),
    ] {
        let answer = server.send(method, path, &[("accept", accept)], "").await;
        assert_eq!(answer.status, status, "{method} {path} {accept}");
        if status == 406 {
            answer.problem(406, "not_acceptable");
        }
    }
    assert_eq!(server.get("/v1/spaces/demo").await.json()["head"], 1, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_type_is_refused_with_the_type_to_send() {
    let server = Server::start().await;
    for (method, path, media_type, refused) in [
        ("POST", "push", "application/x-www-form-urlencoded", true),
        ("POST", "push", "text/plain", true),
        ("POST", "push", "application/json; charset=utf-8", false),
        ("POST", "push", "APPLICATION/JSON", false),
        ("POST", "push", "application/merge-patch+json", true),
        ("PATCH", "records/todos/a", "application/merge-patch+json", false),
        ("PUT", "records/todos/a", "application/merge-patch+json", true),
        ("POST", "fetch", "text/json", true),
        ("POST", "compact", "application/x-www-form-urlencoded", true),
    ] {
        let path = format!("/v1/spaces/demo/{path}");
        let answer = server.send(method, &path, &[("content-type", media_type)], "{}").await;
        if refused {
            answer.problem_about(415, "unsupported_media_type", "application/json");
        } else {
            assert_ne!(answer.status, 415, "{method} {path} {media_type}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_names_itself_badly_is_told_so_on_every_route() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let long = "x".repeat(129);
    for path in ["", "/changes", "/records/todos", "/records/todos/a", "/manifest", "/retention"] {
        for name in ["", "a b", long.as_str()] {
            let answer = server.get_with(&format!("/v1/spaces/demo{path}"), &[("strandline-client", name)]).await;
            answer.problem_about(400, "invalid_request", "Strandline-Client");
        }
        let answer = server.get_with(&format!("/v1/spaces/demo{path}"), &[("strandline-client", "phone-7")]).await;
        assert_eq!(answer.status, 200);
    }
    server.get_with("/v1/spaces", &[("strandline-client", "a b")]).await.problem(400, "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_at_all_is_refused_and_the_server_lives_on() {
    let server = Server::start().await;
    for bytes in [
        &b"nonsense\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /v1/spaces/demo/push HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ] {
        let answer = server.raw(bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
}
