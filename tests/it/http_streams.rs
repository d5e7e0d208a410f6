//! PROTOCOL.md §3 over HTTP: the NDJSON stream and the live feed of events.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;

const NDJSON: (&str, &str) = ("accept", "application/x-ndjson");

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_lines_has_everything_checkpoints_and_a_last_line() {
    let server = Server::start().await;
    server.fill(2500).await;
    let answer = server.get_with("/v1/spaces/demo/changes", &[NDJSON]).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines = answer.lines();
    let (changes, checkpoints): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.get("collection").is_some());
    let revs: Vec<u64> = changes.iter().map(|change| change["rev"].as_u64().unwrap()).collect();
    assert_eq!(revs, (1..=2500).collect::<Vec<_>>());
    let last = lines.last().unwrap();
    let space = server.get("/v1/spaces/demo").await.json();
    assert_eq!(
        *last,
        json!({"cursor": space["cursor"], "has_more": false, "head": 2500, "horizon": 0, "count": 2500,
            "checksum": space["checksum"]})
    );
    // A broken stream resumes at any checkpoint.
    assert!(checkpoints.len() > 1);
    for checkpoint in checkpoints {
        let cursor = checkpoint["cursor"].as_str().unwrap();
        let done: usize =
            lines.iter().take_while(|line| *line != checkpoint).filter(|l| l.get("rev").is_some()).count();
        let rest = server.get_with(&format!("/v1/spaces/demo/changes?since={cursor}"), &[NDJSON]).await.lines();
        assert_eq!(rest.iter().filter(|line| line.get("rev").is_some()).count(), 2500 - done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_lines_has_no_limit_and_no_wait_but_proper_statuses() {
    let server = Server::start().await;
    server.get_with("/v1/spaces/demo/changes", &[NDJSON]).await.problem(404, "not_found");
    server.write("a", &json!({})).await;
    for (query, says) in [("limit=10", "limit"), ("wait=1", "wait")] {
        let answer = server.get_with(&format!("/v1/spaces/demo/changes?{query}"), &[NDJSON]).await;
        answer.problem_about(400, "invalid_request", says);
    }
    server.get_with("/v1/spaces/demo/changes?since=9", &[NDJSON]).await.problem(410, "resync_required");
    let now = server.get_with("/v1/spaces/demo/changes?since=now", &[NDJSON]).await.lines();
    assert_eq!((now.len(), &now[0]["has_more"]), (1, &json!(false)));
    let scoped = server.get_with("/v1/spaces/demo/changes?collections=lists", &[NDJSON]).await.lines();
    assert_eq!((scoped.len(), &scoped[0]["count"]), (1, &json!(0)));
}

/// Reads only the head of an answer and then holds the socket, so that the server cannot send on.
fn open_slowly(server: &Server, path: &str, accept: &str) -> TcpStream {
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut head = [0; 64];
    socket.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    socket
}

fn read_rest(mut socket: TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    let whole = socket.read_to_end(&mut bytes).is_ok() && bytes.ends_with(b"0\r\n\r\n");
    (String::from_utf8_lossy(&bytes).into_owned(), whole)
}

/// Writes `count` records of 50 kB, other ones in every round.
async fn fill_large(server: &Server, count: usize, round: usize) {
    for batch in 0..count / 20 {
        let text = "x".repeat(50_000);
        let changes: Vec<Value> = (0..20)
            .map(|n| json!({"collection": "todos", "id": format!("{batch}-{n}"), "base_rev": "*", "data": {"t": text, "round": round}}))
            .collect();
        assert_eq!(server.post("/v1/spaces/demo/push", &json!({"changes": changes})).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_a_purge_overtakes_is_cut_short() {
    let server = Server::start().await;
    fill_large(&server, 600, 0).await;
    let socket = open_slowly(&server, "/v1/spaces/demo/changes?since=0", "application/x-ndjson");
    server.delete("29-19").await;
    server.purge().await;
    let (text, whole) = tokio::task::spawn_blocking(move || read_rest(socket)).await.unwrap();
    assert!(!whole && !text.contains("has_more"), "the stream must end without its last line");
    let checkpoint = text.lines().rfind(|line| line.starts_with("{\"cursor\"")).unwrap();
    let checkpoint: Value = serde_json::from_str(checkpoint).unwrap();
    let path = format!("/v1/spaces/demo/changes?since={}", checkpoint["cursor"].as_str().unwrap());
    assert_eq!(server.get(&path).await.problem(410, "resync_required")["reason"], "purged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_at_the_head_that_it_began_with() {
    let server = Server::start().await;
    fill_large(&server, 600, 0).await;
    let socket = open_slowly(&server, "/v1/spaces/demo/changes", "application/x-ndjson");
    // The first one moves ahead of the reader, and beyond the end of its stream.
    server.write("29-19", &json!({"moved": true})).await;
    let (text, whole) = tokio::task::spawn_blocking(move || read_rest(socket)).await.unwrap();
    assert!(whole);
    let last = text.lines().rfind(|line| line.starts_with("{\"cursor\"")).unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!((&last["has_more"], &last["head"], last.get("count")), (&json!(true), &json!(601), None));
    let rest = server.get(&format!("/v1/spaces/demo/changes?since={}", last["cursor"].as_str().unwrap())).await.json();
    assert_eq!((rest["changes"].as_array().unwrap().len(), &rest["count"]), (1, &json!(600)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_sends_what_there_is_and_then_what_comes() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let mut events = server.events("/v1/spaces/demo/changes", &[]).await;
    let first = events.page().await;
    assert_eq!((first["changes"].as_array().unwrap().len(), &first["has_more"]), (1, &json!(false)));
    let written = Instant::now();
    server.write("b", &json!({"n": 2})).await;
    let second = events.page().await;
    assert!(written.elapsed() < Duration::from_secs(1));
    assert_eq!((&second["changes"][0]["id"], &second["head"]), (&json!("b"), &json!(2)));
    assert!(events.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_without_a_whole_cursor_gets_one_at_once() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = server.cursor().await;
    for since in ["now", "1", "2026-11-22T20:00:01Z", &format!("{cursor}.p"), &format!("{cursor}.1")] {
        let mut events = server.events(&format!("/v1/spaces/demo/changes?since={since}"), &[]).await;
        let page = events.page().await;
        assert_eq!((&page["cursor"], page["changes"].as_array().unwrap().len()), (&json!(cursor), 0), "{since}");
    }
    let mut events = server.events(&format!("/v1/spaces/demo/changes?since={cursor}"), &[]).await;
    assert!(events.is_quiet().await, "one that has everything waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_comes_in_pages_of_the_limit_and_in_the_collections_asked_for() {
    let server = Server::start().await;
    server.fill(5).await;
    let mut events = server.events("/v1/spaces/demo/changes?limit=2&wait=5", &[]).await;
    let sizes = [events.page().await, events.page().await, events.page().await];
    assert_eq!(sizes.each_ref().map(|page| page["changes"].as_array().unwrap().len()), [2, 2, 1]);
    assert_eq!(sizes.map(|page| page["has_more"].clone()), [true, true, false]);
    let mut scoped = server.events("/v1/spaces/demo/changes?collections=notes", &[]).await;
    assert_eq!(scoped.page().await["count"], 0);
    server.write("foreign", &json!({})).await;
    assert!(scoped.is_quiet().await);
    server.write_in("notes", "n", &json!({})).await;
    assert_eq!(scoped.page().await["changes"][0]["id"], "n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_reconnects_goes_on_at_its_last_event() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let seen = server.cursor().await;
    server.write("b", &json!({})).await;
    let path = "/v1/spaces/demo/changes?since=now";
    let mut events = server.events(path, &[("last-event-id", &seen)]).await;
    assert_eq!(events.page().await["changes"][0]["id"], "b");
    let mut events = server.events(path, &[("last-event-id", "")]).await;
    assert_eq!(events.page().await["changes"], json!([]));
    // It stands in the place of `since`, whatever that was.
    let mut events = server.events("/v1/spaces/demo/changes?since=junk", &[("last-event-id", &seen)]).await;
    assert_eq!(events.page().await["changes"][0]["id"], "b");
    for bad in ["2", "x", "now"] {
        let headers = [("accept", "text/event-stream"), ("last-event-id", bad)];
        server.get_with(path, &headers).await.problem_about(400, "invalid_cursor", "Last-Event-ID");
    }
    server.get_with("/v1/spaces/none/changes", &[("accept", "text/event-stream")]).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_must_resync_is_told_so_and_closed() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let mut from_the_start = server.events("/v1/spaces/demo/changes?since=9", &[]).await;
    let (event, id, problem) = from_the_start.next().await.unwrap();
    assert_eq!((event.as_str(), id.as_str(), &problem["reason"]), ("resync", "", &json!("ahead")));
    assert_eq!((&problem["code"], &problem["status"]), (&json!("resync_required"), &json!(410)));
    assert!(from_the_start.next().await.is_none(), "then the server closes");
    // Deleted and made anew behind its back: its cursor is of another history.
    let mut events = server.events("/v1/spaces/demo/changes", &[]).await;
    events.page().await;
    let space = strandline::domain::SpaceName::new("demo").unwrap();
    server.store.open_epoch(space.clone()).await.unwrap();
    server.store.delete_space(space).await.unwrap();
    assert!(events.next().await.is_none(), "a space that is gone ends its streams");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_gets_fewer_larger_events_and_costs_the_server_nothing() {
    let server = Server::start().await;
    fill_large(&server, 200, 0).await;
    let socket = open_slowly(&server, "/v1/spaces/demo/changes", "text/event-stream");
    // Nobody reads while every record is written over and over: 100 MB go by.
    for round in 1..=10 {
        fill_large(&server, 200, round).await;
    }
    let head = server.get("/v1/spaces/demo").await.json()["head"].clone();
    assert_eq!(head, 2200);
    let read = tokio::task::spawn_blocking(move || {
        let (mut socket, mut bytes, mut chunk) = (socket, Vec::new(), vec![0; 1 << 16]);
        let mark = format!("\"has_more\":false,\"head\":{head},");
        while !String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(500)..]).contains(&mark) {
            let read = socket.read(&mut chunk).unwrap();
            assert_ne!(read, 0, "the stream ended early");
            bytes.extend_from_slice(&chunk[..read]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let received = read.await.unwrap().matches("\"collection\"").count();
    // What was on its way when the reader stopped, and then each record once, however often it was written.
    assert!((200..800).contains(&received), "{received} changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_stream_leaves_the_connection_free() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let head = format!("HEAD /v1/spaces/demo/changes HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\n\r\n");
        let next = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answers = server.raw(format!("{head}{next}").as_bytes()).await;
        assert!(answers.contains(accept) && answers.ends_with("{\"status\":\"ok\"}"), "{answers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_has_comments_whether_it_is_silent_or_not() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = server.cursor().await;
    let path = format!("/v1/spaces/demo/changes?since={cursor}");
    let open =
        async || server.request("GET", &path, &[("accept", "text/event-stream")], Vec::new()).send().await.unwrap();
    let mut silent = open().await;
    let chunk = tokio::time::timeout(Duration::from_secs(15), silent.chunk()).await.unwrap().unwrap().unwrap();
    assert!(chunk.starts_with(b":"), "{chunk:?}");
    let mut busy = open().await;
    let comment = async {
        for n in 0.. {
            server.write("a", &json!({"n": n})).await;
            let chunk = busy.chunk().await.unwrap().unwrap();
            if chunk.starts_with(b":") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), comment).await.expect("events alone do not stand for comments");
}
