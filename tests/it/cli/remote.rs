//! Commands with `--url`: what they send and what they make of the answers, against a server that follows a script
//! written from PROTOCOL.md alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Desk, counts};

/// A request as it came.
#[derive(Debug)]
pub(super) struct Asked {
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Asked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A server that gives prepared answers, one a request.
pub(super) struct Script {
    pub url: String,
    asked: mpsc::Receiver<Asked>,
    thread: Option<JoinHandle<()>>,
}

impl Script {
    /// Answers are a status, header lines, and a body.
    pub fn new(answers: Vec<(u16, &'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, asked) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            for (status, headers, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                told.send(read(&mut stream)).unwrap();
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        Self { url, asked, thread: Some(thread) }
    }

    pub fn asked(&self) -> Asked {
        self.asked.recv_timeout(Duration::from_secs(10)).expect("one more request")
    }

    /// The script was played to its end.
    pub fn over(mut self) {
        self.thread.take().unwrap().join().unwrap();
        assert!(self.asked.try_recv().is_err(), "a request that was not looked at");
    }
}

fn read(stream: &mut TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line).unwrap();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if header.trim().is_empty() {
            break;
        }
        let header = header.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Asked { line: line.trim().to_owned(), head, body: String::from_utf8(body).unwrap() }
}

pub(super) fn ok(body: impl std::fmt::Display) -> (u16, &'static str, String) {
    (200, "Content-Type: application/json\r\n", body.to_string())
}

pub(super) fn problem(status: u16, code: &str, detail: &str) -> (u16, &'static str, String) {
    let body =
        json!({ "type": format!("urn:strandline:problem:{code}"), "code": code, "status": status, "detail": detail });
    (status, "Content-Type: application/problem+json\r\n", body.to_string())
}

pub(super) fn space(head: u64) -> Value {
    json!({
        "space": "s", "epoch": "e1", "head": head, "horizon": 0, "cursor": format!("e1.{head}"),
        "records": head, "tombstones": 0, "checksum": "0000000000000000", "retention": "30d",
        "created_at": "2026-11-22T20:30:00.000000Z", "modified_at": "2026-11-22T20:30:00.000000Z"
    })
}

fn result(id: &str, status: &str) -> Value {
    json!({ "collection": "c", "id": id, "status": status, "rev": 1, "modified_at": "2026-11-22T20:30:00.000000Z" })
}

fn pushed(results: &[Value], head: u64) -> (u16, &'static str, String) {
    ok(
        json!({ "results": results, "previous_head": 9, "head": head, "cursor": format!("e1.{head}"), "duplicate": false }),
    )
}

#[test]
fn a_mirror_deletes_what_is_as_it_was_and_keeps_what_changed_meanwhile() {
    let desk = Desk::new();
    let script = Script::new(vec![
        ok(space(9)),
        pushed(&[result("a", "unchanged"), result("b", "applied")], 10),
        ok(json!({ "records": [{ "id": "a" }, { "id": "gone" }], "after": "gone" })),
        ok(json!({ "records": [{ "id": "new/é" }], "after": null })),
        pushed(
            &[
                result("gone", "applied"),
                json!({ "collection": "c", "id": "new/é", "status": "conflict",
                    "record": { "collection": "c", "id": "new/é", "rev": 11, "deleted": false, "data": {} } }),
            ],
            12,
        ),
    ]);
    let summary = desk.import(
        "d.ndjson",
        "{\"id\":\"a\"}\n{\"id\":\"b\",\"n\":1.50}",
        &format!("--mirror --url {}/", script.url),
    );
    assert_eq!(counts(&summary), [1, 1, 1, 1, 0]);
    assert_eq!(summary["kept_records"], json!([{ "id": "new/é", "rev": 11 }]));
    assert_eq!(summary["head"], 12);

    assert_eq!(script.asked().line, "GET /v1/spaces/s HTTP/1.1");
    let push = script.asked();
    assert_eq!(push.line, "POST /v1/spaces/s/push HTTP/1.1");
    assert!(push.head.contains("content-type: application/json"), "{}", push.head);
    assert_eq!(
        push.body,
        "{\"changes\":[{\"collection\":\"c\",\"id\":\"a\",\"base_rev\":\"*\",\"data\":{\"id\":\"a\"}},\
         {\"collection\":\"c\",\"id\":\"b\",\"base_rev\":\"*\",\"data\":{\"id\":\"b\",\"n\":1.50}}]}"
    );
    assert!(script.asked().line.starts_with("GET /v1/spaces/s/records/c?limit="));
    assert!(script.asked().line.contains("&after=gone "));
    let want = json!({ "changes": [
        { "collection": "c", "id": "gone", "base_rev": 9, "deleted": true },
        { "collection": "c", "id": "new/é", "base_rev": 9, "deleted": true },
    ], "cursor": "e1.9" });
    assert_eq!(script.asked().json(), want);
    script.over();
}

#[test]
fn a_push_that_is_too_large_is_halved_until_one_record_is_to_blame() {
    let desk = Desk::new();
    let too_large = || problem(413, "too_large", "a push has at most 3 bytes.");
    let script = Script::new(vec![
        problem(404, "not_found", "no such space"),
        too_large(),
        pushed(&[result("a", "applied")], 1),
        too_large(),
        too_large(),
        pushed(&[result("c", "applied")], 2),
    ]);
    desk.write("d.ndjson", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}");
    let done = desk.run(&format!("import --space s --collection c d.ndjson --json --url {}", script.url));
    assert_eq!(done.code, 1);
    assert_eq!(counts(&serde_json::from_str(&done.out).unwrap()), [2, 0, 0, 0, 1]);
    assert!(done.err.contains("line 2: \"b\" was rejected: a push has at most 3 bytes\n"), "{}", done.err);
    let ids = || -> Vec<String> {
        let asked = script.asked();
        asked.json()["changes"].as_array().unwrap().iter().map(|change| change["id"].as_str().unwrap().into()).collect()
    };
    let _ = script.asked();
    assert_eq!([ids(), ids(), ids(), ids(), ids()].map(|ids| ids.concat()), ["abc", "a", "bc", "b", "c"]);
    script.over();
}

#[test]
fn an_export_pages_and_compares_itself_with_the_checksum() {
    let change = |id: &str, rev: u64, data: &str| {
        format!(
            "{{\"collection\":\"c\",\"id\":\"{id}\",\"rev\":{rev},\"modified_at\":\"2026-11-22T20:30:00.000000Z\",\"deleted\":false,\"data\":{data}}}"
        )
    };
    let page = |changes: &str, cursor: &str, more: bool, rest: &str| {
        ok(format!(
            "{{\"changes\":[{changes}],\"cursor\":\"{cursor}\",\"has_more\":{more},\"head\":2,\"horizon\":0,\"valid_until\":null{rest}}}"
        ))
    };
    let one = change("a", 1, "{\"n\":1.50}");
    for (checksum, code) in [("910a2dec89025cc1", 0), ("0000000000000000", 1)] {
        let script = Script::new(vec![
            page(&one, "e1.1.2", true, ""),
            page("", "e1.2", false, &format!(",\"count\":1,\"checksum\":\"{checksum}\"")),
        ]);
        let desk = Desk::new();
        let done = desk.run(&format!("export --space s --url {} --token secret", script.url));
        assert_eq!(done.code, code, "{done:?}");
        assert_eq!(done.out, if code == 0 { format!("{one}\n") } else { String::new() });
        let first = script.asked();
        assert!(first.line.starts_with("GET /v1/spaces/s/changes?limit=") && !first.line.contains("since"));
        assert!(first.head.contains("authorization: bearer secret"));
        assert!(script.asked().line.contains("&since=e1.1.2 "));
        script.over();
    }
}

#[test]
fn a_problem_becomes_a_sentence() {
    let resync =
        |reason: &str| (410, "", json!({ "code": "resync_required", "reason": reason, "detail": "…" }).to_string());
    for (answer, command, sentence) in [
        (problem(404, "not_found", "x"), "spaces show s", "there is no space named s"),
        (problem(401, "unauthorized", "no token"), "spaces list", "set STRANDLINE_TOKEN"),
        (problem(403, "forbidden", "read only."), "compact --space s", "does not reach that far: read only"),
        (problem(403, "quota_exceeded", "it is full"), "compact --space s", "it is full; `strandline spaces quota`"),
        (problem(507, "storage_full", "x"), "spaces create s2", "disk is full"),
        (problem(500, "internal", "see 0198"), "retention show --space s", "answered 500: see 0198"),
        (resync("purged"), "export --space s --since 1", "have been purged"),
        (resync("epoch"), "export --space s --since e0.1", "put back to an earlier state"),
        (ok("<html>"), "spaces show s", "is it Strandline?"),
        ((404, "", "<html>nginx".into()), "spaces show s", "is it Strandline?"),
    ] {
        let script = Script::new(vec![answer]);
        let told = Desk::new().fails(1, &format!("{command} --url {}", script.url));
        assert!(told.starts_with("error: ") && told.contains(sentence), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        let _ = script.asked();
        script.over();
    }
    assert!(Desk::new().fails(1, "spaces list --url http://127.0.0.1:1").contains("cannot be reached"));
}

#[test]
fn a_busy_server_is_asked_again() {
    let busy = (503, "Retry-After: 0\r\n", json!({ "code": "unavailable" }).to_string());
    let script = Script::new(vec![busy.clone(), busy, ok(space(3))]);
    assert_eq!(Desk::new().json(&format!("spaces show s --url {}", script.url))["head"], 3);
    for _ in 0..3 {
        let _ = script.asked();
    }
    script.over();
}
