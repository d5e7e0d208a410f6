//! PROTOCOL.md §9 over HTTP: compression both ways, and limits on what it expands to.

use std::io::Read;

use serde_json::{Value, json};
use strandline::http::Limits;
use strandline::server::Config;

use crate::support::{Server, gzip, zstd};

fn push_of(count: usize) -> String {
    let change = |n: usize| json!({"collection": "todos", "id": n.to_string(), "data": {"text": "some text"}});
    json!({"changes": (0..count).map(change).collect::<Vec<_>>()}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_be_compressed() {
    let server = Server::start().await;
    // Small ones are read at once, large ones elsewhere.
    for count in [1, 9000] {
        let body = push_of(count);
        for (coding, bytes) in [
            ("gzip", gzip(body.as_bytes())),
            ("GZIP", gzip(body.as_bytes())),
            ("zstd", zstd(body.as_bytes())),
            ("identity", body.clone().into_bytes()),
        ] {
            let headers = [("content-encoding", coding), ("content-type", "application/json")];
            let answer = server.send("POST", "/v1/spaces/demo/push", &headers, bytes).await;
            assert_eq!((answer.status, answer.json()["results"].as_array().unwrap().len()), (200, count), "{coding}");
        }
    }
    for coding in ["br", "deflate", "gzip, zstd", "gzip, gzip", ""] {
        let answer = server.send("POST", "/v1/spaces/demo/push", &[("content-encoding", coding)], "{}").await;
        answer.problem_about(415, "unsupported_media_type", "gzip or zstd");
    }
    for (coding, bytes) in [
        ("gzip", b"not compressed".to_vec()),
        ("zstd", b"not compressed".to_vec()),
        ("gzip", gzip(push_of(1).as_bytes())[..30].to_vec()),
        ("zstd", zstd(push_of(1).as_bytes())[..30].to_vec()),
    ] {
        let answer = server.send("POST", "/v1/spaces/demo/push", &[("content-encoding", coding)], bytes).await;
        answer.problem_about(400, "invalid_request", "expand");
    }
    let not_text = server.send("POST", "/v1/spaces/demo/push", &[], vec![b'"', 0xff, b'"']).await;
    not_text.problem_about(400, "invalid_request", "UTF-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_does_not_go_off() {
    let server = Server::start().await;
    let zeros = vec![b' '; 128 << 20];
    for (coding, bomb) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
        assert!(bomb.len() < 1 << 20, "{coding}: {} bytes", bomb.len());
        let answer = server.send("POST", "/v1/spaces/demo/push", &[("content-encoding", coding)], bomb).await;
        answer.problem_about(413, "too_large", "16777216");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_beyond_a_limit_is_refused_with_the_limit() {
    let limits = Limits { push_changes: 3, push_bytes: 1000, record_bytes: 100 };
    let server = Server::start_with(Config { limits, ..Config::default() }).await;
    let path = "/v1/spaces/demo/push";
    assert_eq!(server.send("POST", path, &[], push_of(3)).await.status, 200);
    server.send("POST", path, &[], push_of(4)).await.problem_about(413, "too_large", "limit is 3");
    let padded = |size: usize| format!("{}{}", push_of(1), " ".repeat(size - push_of(1).len()));
    assert_eq!(server.send("POST", path, &[], padded(1000)).await.status, 200);
    server.send("POST", path, &[], padded(1001)).await.problem_about(413, "too_large", "1000");
    let zipped = gzip(padded(1001).as_bytes());
    server.send("POST", path, &[("content-encoding", "gzip")], zipped).await.problem_about(413, "too_large", "1000");
    assert_eq!(
        server.send("POST", path, &[("content-encoding", "gzip")], gzip(padded(1000).as_bytes())).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_compressed_for_those_who_accept_it() {
    let server = Server::start().await;
    server.fill(1000).await;
    let paths = ["/v1/spaces/demo/changes", "/v1/spaces/demo/records/todos", "/openapi.json"];
    for (accept, coding) in [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, br;q=0.5", "gzip"),
        ("deflate", ""),
        ("identity", ""),
        ("identity;q=0, compress", ""),
        ("*;q=0", ""),
    ] {
        for path in paths {
            let plain = server.get(path).await;
            let answer = server.get_with(path, &[("accept-encoding", accept)]).await;
            assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{accept} {path}");
            let varies = answer.headers.get_all("vary").iter().any(|value| value == "accept-encoding");
            assert!(varies, "{accept} {path}");
            let text = match coding {
                "gzip" => {
                    let mut text = Vec::new();
                    flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut text).unwrap();
                    text
                }
                "zstd" => ::zstd::decode_all(&*answer.body).unwrap(),
                "br" => {
                    assert!(answer.body.len() < plain.body.len());
                    continue;
                }
                _ => answer.body,
            };
            assert_eq!(text, plain.body, "{accept} {path}");
        }
    }
    let lines = server
        .get_with("/v1/spaces/demo/changes", &[("accept", "application/x-ndjson"), ("accept-encoding", "zstd")])
        .await;
    assert_eq!(lines.header("content-encoding"), "zstd");
    let text = String::from_utf8(::zstd::decode_all(&*lines.body).unwrap()).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["count"], 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_small_or_live_is_sent_as_it_is() {
    let server = Server::start().await;
    server.write("a", &json!({"text": "x".repeat(2000)})).await;
    let cursor = server.cursor().await;
    let all = ("accept-encoding", "gzip, br, zstd");
    for path in [format!("/v1/spaces/demo/changes?since={cursor}"), "/v1/spaces/demo".into(), "/healthz".into()] {
        assert_eq!(server.get_with(&path, &[all]).await.header("content-encoding"), "", "{path}");
    }
    let mut events = server.events("/v1/spaces/demo/changes", &[all]).await;
    assert_eq!(events.page().await["count"], 1);
    let tag = format!("\"{cursor}\"");
    let answer = server.get_with("/v1/spaces/demo/changes", &[all, ("if-none-match", &tag)]).await;
    assert_eq!((answer.status, answer.header("content-encoding")), (304, ""));
}
