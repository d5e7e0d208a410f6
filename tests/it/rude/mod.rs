//! Slow and rude clients against the program itself: its memory stays bounded, and who behaves well beside them hardly
//! notices.
//!
//! `STRANDLINE_BINARY` names another build of the program, to be measured: benches/README.md has its figures. What is
//! asserted here holds for an unoptimised one on a machine that is busy with other things.

mod siege;

use crate::support::{gzip, zstd};
use siege::{Rude, Siege};

/// Each does the same at once.
const CROWD: usize = 500;
const MIB: u64 = 1 << 20;

fn head(method: &str, path: &str, fields: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{fields}\r\n").into_bytes()
}

fn request(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let fields = format!("content-type: application/json\r\ncontent-length: {}\r\n{fields}", body.len());
    [head("POST", path, &fields), body.to_vec()].concat()
}

const PUSH: &str = "/v1/spaces/demo/push";
const CHANGES: &str = "/v1/spaces/demo/changes";

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_trickle() {
    let siege = Siege::start(&["--head-timeout", "2s"]).await;
    let crowd = (0..CROWD).map(|_| Rude::trickle(&head("GET", CHANGES, &"x-long: header\r\n".repeat(20)), 10));
    siege.beside(crowd, Some("head_time"), 100 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_trickle() {
    let siege = Siege::start(&["--body-timeout", "2s"]).await;
    let crowd = (0..CROWD).map(|_| Rude::trickle(&request(PUSH, "", &vec![b' '; 100_000]), 150));
    siege.beside(crowd, Some("body_time"), 100 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_nothing() {
    for form in ["text/event-stream", "application/x-ndjson"] {
        let siege = Siege::start(&["--stall-timeout", "3s"]).await;
        let crowd = (0..CROWD).map(|_| Rude::ReadNothing(head("GET", CHANGES, &format!("accept: {form}\r\n"))));
        siege.beside(crowd, Some("stall"), 600 * MIB).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs() {
    let siege = Siege::start(&[]).await;
    let zeros = vec![0; 256 << 20];
    let bombs = [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))];
    drop(zeros);
    let crowd = (0..40).map(|number| {
        let (coding, bomb) = &bombs[number % 2];
        Rude::Ask(request(PUSH, &format!("content-encoding: {coding}\r\n"), bomb), "413")
    });
    // Each is expanded to the limit of a body, 16 MiB, and no more than a few are at a time.
    siege.beside(crowd, None, 1_000 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn depths_of_json() {
    let siege = Siege::start(&[]).await;
    let deep = |prefix: &str, open: &str, close: &str, suffix: &str| {
        [prefix, &open.repeat(100_000), &close.repeat(100_000), suffix].concat().into_bytes()
    };
    let data = r#"{"changes":[{"collection":"c","id":"a","data":"#;
    let crowd = (0..100).map(|number| match number % 4 {
        0 => Rude::Ask(request(PUSH, "", &deep("", "[", "]", "")), "400"),
        1 => Rude::Ask(request(PUSH, "", &deep(data, "{\"a\":", "}", "}]}")), "400"),
        // Too deep for a record alone, which is rejected alone.
        2 => Rude::Ask(request(PUSH, "", &deep(&format!("{data}{{\"a\":"), "[", "]", "}}]}")), "200"),
        _ => Rude::Ask(request("/v1/spaces/demo/fetch", "", &deep("{\"runs\":", "[", "]", "}")), "400"),
    });
    siege.beside(crowd, None, 200 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_headers() {
    let siege = Siege::start(&[]).await;
    let crowd = (0..CROWD).map(|_| Rude::Ask(head("GET", CHANGES, &"a: b\r\n".repeat(10_000)), "431"));
    siege.beside(crowd, Some("head"), 150 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_cut_in_the_middle() {
    let siege = Siege::start(&[]).await;
    let whole = request(PUSH, "", br#"{"changes":[{"collection":"c","id":"cut","data":{}}]}"#);
    let crowd = (0..CROWD).map(|number| Rude::Cut(whole[..=number % (whole.len() - 1)].to_vec()));
    siege.beside(crowd, None, 100 * MIB).await;
    assert_eq!(siege.ask("GET", "/v1/spaces/demo/records/c/cut").await, "404", "half a push is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_over_tls_that_are_cut_in_the_middle() {
    let siege = Siege::start_encrypted().await;
    let whole = request(PUSH, "", br#"{"changes":[{"collection":"c","id":"cut","data":{}}]}"#);
    // A handshake of an unoptimised build takes its time.
    let crowd = (0..100).map(|number| Rude::Cut(whole[..=number % (whole.len() - 1)].to_vec()));
    siege.beside(crowd, None, 150 * MIB).await;
}
