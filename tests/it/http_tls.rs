//! TLS, and HTTP/2 with it: all that holds over HTTP/1.1 holds over it too.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use strandline::http::Throttles;
use strandline::server::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Certificate, Home, Server};

async fn start(throttles: Throttles) -> (Server, Certificate) {
    let certificate = Certificate::new();
    let config = Config { tls: Some(certificate.load()), throttles, ..Config::default() };
    (Server::start_with(config).await, certificate)
}

/// The whole answer to a request of HTTP/1.1 that asks for the connection to be closed.
async fn by_http1(certificate: &Certificate, address: SocketAddr, request: &[u8]) -> String {
    let mut socket = certificate.connect(address, "http/1.1").await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_over_http_1_1_holds_over_http_2() {
    let (server, certificate) = start(Throttles::default()).await;
    let client = certificate.http2(server.address).await;
    let record = "/v1/spaces/demo/records/todos/a";

    let made = client.send("PUT", record, &[JSON], r#"{"title":"milk"}"#).await;
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""));
    assert!(!made.header("date").is_empty() && made.header("connection").is_empty());
    assert_eq!(client.get(record, &[]).await.json()["data"], json!({"title": "milk"}));
    assert_eq!(client.get(record, &[("if-none-match", "\"1\"")]).await.status, 304);
    let head = client.send("HEAD", record, &[], "").await;
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, "\"1\""));
    client.get("/nothing", &[]).await.problem(404, "not_found");
    client.send("POST", record, &[], "").await.problem(405, "method_not_allowed");
    client.get("/v1/spaces/demo/changes?since=7", &[]).await.problem(410, "resync_required");
    client.send("PUT", record, &[JSON], vec![b'x'; 17 << 20]).await.problem(413, "too_large");

    // A large body, in pieces; and its answer, compressed.
    let change = |n: usize| json!({"collection": "todos", "id": format!("r{n}"), "data": {"text": "x".repeat(1000)}});
    let body = json!({"changes": (0..1000).map(change).collect::<Vec<_>>()}).to_string();
    assert_eq!(client.send("POST", "/v1/spaces/demo/push", &[JSON], body).await.json()["head"], 1001);
    let page = client.get("/v1/spaces/demo/changes", &[("accept-encoding", "gzip")]).await;
    assert_eq!((page.status, page.header("content-encoding")), (200, "gzip"));
    assert!(page.body.len() < 100_000, "{}", page.body.len());
    let lines = client.get("/v1/spaces/demo/changes", &[("accept", "application/x-ndjson")]).await;
    let lines = String::from_utf8(lines.body).unwrap();
    assert_eq!(lines.lines().filter(|line| line.contains("\"collection\"")).count(), 1001);
    assert!(lines.lines().last().unwrap().contains("\"has_more\":false"));

    // HTTP/1.1 on the same port.
    let plain = format!("GET {record} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let answer = by_http1(&certificate, server.address, plain.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("milk"), "{answer}");
    let answer = by_http1(&certificate, server.address, b"nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("invalid_request"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_and_a_long_poll_share_a_connection_and_end_in_order() {
    let (mut server, certificate) = start(Throttles::default()).await;
    let client = certificate.http2(server.address).await;
    client.send("PUT", "/v1/spaces/demo/records/todos/a", &[JSON], "{}").await;
    let events = client.open("GET", "/v1/spaces/demo/changes?since=1", &[("accept", "text/event-stream")]).await;
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut events = events.into_body();
    let first = events.data().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: changes\n"), "{first:?}");
    let (poll, _) = client.begin("GET", "/v1/spaces/demo/changes?since=1&wait=60", &[], true).await;

    client.send("PUT", "/v1/spaces/demo/records/todos/b", &[JSON], "{}").await;
    let event = events.data().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&event).contains("\"head\":2"), "{event:?}");
    assert_eq!(poll.await.unwrap().status(), 200);

    let (poll, _) = client.begin("GET", "/v1/spaces/demo/changes?since=2&wait=60", &[], true).await;
    let idle = certificate.http2(server.address).await;
    assert_eq!(idle.get("/healthz", &[]).await.status, 200);
    // All of them have arrived, in the order of the connection.
    assert_eq!(client.get("/healthz", &[]).await.status, 200);
    let begun = Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let mut page = poll.await.unwrap().into_body();
    let page: Value = serde_json::from_slice(&page.data().await.unwrap().unwrap()).unwrap();
    assert_eq!(page["changes"], json!([]));
    while let Some(rest) = events.data().await {
        assert!(rest.expect("the stream is ended, and not cut").is_empty());
    }
    assert!(client.closed().await && idle.closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_long_is_refused_with_a_problem() {
    let (server, certificate) = start(Throttles::default()).await;
    let client = certificate.http2(server.address).await;
    client.get("/healthz", &[("x-long", &"x".repeat(40_000))]).await.problem(431, "too_large");
    client.get(&format!("/{}", "x".repeat(20_000)), &[]).await.problem(414, "too_large");
    assert_eq!(client.get("/healthz", &[]).await.status, 200, "the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_client_takes_nothing_is_dropped_and_the_connection_goes_on() {
    let throttles = Throttles { stall_time: Some(Duration::from_secs(1)), ..Throttles::default() };
    let (server, certificate) = start(throttles).await;
    let client = certificate.http2(server.address).await;
    client.send("PUT", "/v1/spaces/demo/records/todos/a", &[JSON], "{}").await;
    let text = json!({"text": "x".repeat(300_000)}).to_string();
    client.send("PUT", "/v1/spaces/demo/records/todos/b", &[JSON], text).await;
    let silent = client.open("GET", "/v1/spaces/demo/changes?since=2", &[("accept", "text/event-stream")]).await;
    let mut unread = client.open("GET", "/v1/spaces/demo/changes", &[]).await.into_body();
    let end = async {
        // What is taken is not given back, so that no more may come.
        while let Some(part) = unread.data().await {
            if let Err(error) = part {
                return error.reason();
            }
        }
        None
    };
    let reason = tokio::time::timeout(Duration::from_secs(10), end).await.expect("it is dropped");
    assert_eq!(reason, Some(h2::Reason::CANCEL));
    assert_eq!(client.get("/healthz", &[]).await.status, 200);
    assert!(silent.into_body().data().await.unwrap().is_ok(), "who has nothing to take is not dropped");
    let text = client.get("/metrics", &[]).await;
    let text = String::from_utf8(text.body).unwrap();
    assert!(text.contains("strandline_refusals_total{limit=\"stall\"} 1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let throttles = Throttles { handshake_time: Some(Duration::from_millis(300)), ..Throttles::default() };
    let (server, certificate) = start(throttles).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let client = certificate.http2(server.address).await;
    assert_eq!(client.get("/healthz", &[]).await.status, 200, "others are let in meanwhile");
    let read = tokio::time::timeout(Duration::from_secs(10), silent.read(&mut [0])).await.expect("it is closed");
    assert!(!matches!(read, Ok(1)), "{read:?}");
    // Who speaks in the clear is closed as well.
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

fn serve(home: &Home, certificate: &Certificate) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strandline"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--database", &home.argument()]);
    command.arg("--tls-cert").arg(certificate.path()).arg("--tls-key").arg(certificate.key_path());
    command.env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_has_the_certificate_read_again_and_a_bad_one_changes_nothing() {
    let (home, certificate) = (Home::new(), Certificate::new());
    let mut server = serve(&home, &certificate).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address: SocketAddr = line.trim().strip_prefix("listening on https://").unwrap().parse().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut said = |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it never said {words}");
        }
    };
    let pid = Pid::from_raw(server.id().try_into().unwrap()).unwrap();
    let before = certificate.http2(address).await;

    certificate.renew();
    kill_process(pid, Signal::HUP).unwrap();
    said("the certificate was read again");
    // This client trusts the new one alone.
    let after = certificate.http2(address).await;
    assert_eq!(after.get("/healthz", &[]).await.status, 200);
    assert_eq!(before.get("/healthz", &[]).await.status, 200, "connections stay as they were made");

    let good = std::fs::read(certificate.key_path()).unwrap();
    for bad in [Certificate::new().key_path(), "/dev/null".into()] {
        std::fs::write(certificate.key_path(), std::fs::read(bad).unwrap_or_default()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
        said("ERROR");
        assert_eq!(certificate.http2(address).await.get("/healthz", &[]).await.status, 200);
    }
    std::fs::write(certificate.key_path(), good).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
}

#[test]
fn files_that_cannot_be_used_are_told_in_a_sentence() {
    let (directory, nonsense) = (tempfile::tempdir().unwrap(), "nonsense");
    let home = Home::file_in(directory.path());
    let keyless = |write: &dyn Fn(&Certificate)| {
        let certificate = Certificate::new();
        write(&certificate);
        let output = serve(&home, &certificate).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    for (write, words) in [
        (&(|c: &Certificate| std::fs::remove_file(c.path()).unwrap()) as &dyn Fn(&Certificate), "No such file"),
        (&|c| std::fs::write(c.path(), nonsense).unwrap(), "no PEM block"),
        (&|c| std::fs::copy(c.key_path(), c.path()).map(drop).unwrap(), "no PEM block"),
        (&|c| std::fs::write(c.key_path(), nonsense).unwrap(), "no PEM block"),
        (&|c| std::fs::copy(Certificate::new().key_path(), c.key_path()).map(drop).unwrap(), "for TLS"),
    ] {
        let text = keyless(write);
        assert!(text.contains("for TLS") && text.contains(words) && text.lines().count() == 1, "{text}");
    }
    assert!(!directory.path().join("s.db").exists(), "it refused before it opened anything");
}
