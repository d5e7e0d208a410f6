//! PROTOCOL.md §8 for what never becomes a request: the framework's own refusals over raw connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strandline::http::Throttles;
use strandline::server::Config;

use crate::support::Server;

/// One answer as it came over the wire.
struct Wire {
    head: String,
    body: Vec<u8>,
}

impl Wire {
    /// Reads one answer that has a length.
    fn read(socket: &mut TcpStream) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {head:?}"));
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        socket.read_exact(&mut body).unwrap();
        Self { head, body }
    }

    #[track_caller]
    fn refusal(&self, status_line: &str, code: &str, words: &str) {
        let (first, fields) = self.head.split_once("\r\n").unwrap();
        assert_eq!(first, format!("HTTP/1.1 {status_line}"));
        for field in ["content-type: application/problem+json", "cache-control: no-store", "connection: close"] {
            assert_eq!(fields.lines().filter(|line| *line == field).count(), 1, "{field} in {fields}");
        }
        for name in ["content-length: ", "date: "] {
            assert_eq!(fields.lines().filter(|line| line.starts_with(name)).count(), 1, "{name} in {fields}");
        }
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["type"], format!("urn:strandline:problem:{code}"));
        assert_eq!(problem["code"], code);
        assert_eq!(problem["status"].to_string(), status_line[..3]);
        assert!(problem["title"].is_string() && problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}

fn connect(server: &Server) -> TcpStream {
    let socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Whether the server closes the connection now, in order.
fn ends(socket: &mut TcpStream) -> bool {
    matches!(socket.read(&mut [0]), Ok(0))
}

fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: x\r\n{fields}\r\n").into_bytes()
}

/// The status line, the code, and words of the detail.
type Expected = (&'static str, &'static str, &'static str);

const MALFORMED: Expected = ("400 Bad Request", "invalid_request", "cannot be read as a request");
const LONG: Expected = ("431 Request Header Fields Too Large", "too_large", "32768 bytes and 96 headers");

/// What the framework refuses, by name.
fn refused() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n").into_bytes();
    vec![
        ("no request line", b"nonsense\r\n\r\n".to_vec(), MALFORMED),
        ("another protocol", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), MALFORMED),
        ("another version", b"GET / HTTP/3.0\r\nhost: x\r\n\r\n".to_vec(), MALFORMED),
        ("HTTP/2 without a word", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), MALFORMED),
        ("a space in the path", get("/v1/spaces/a b", ""), MALFORMED),
        ("raw UTF-8 in the path", get("/v1/spaces/d\u{e9}mo", ""), MALFORMED),
        ("a control byte in the path", get("/v1/spaces/a\u{1}b", ""), MALFORMED),
        ("a target that is no URL", get("http://[x", ""), MALFORMED),
        ("a target over 64 KiB", get(&format!("/{}", "x".repeat(66_000)), ""), MALFORMED),
        ("a field without a colon", get("/", "nonsense\r\n"), MALFORMED),
        ("a field name with a space", get("/", "a b: c\r\n"), MALFORMED),
        ("no host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), MALFORMED),
        ("two hosts", get("/", "host: y\r\n"), MALFORMED),
        ("two ways to frame a body", post("content-length: 1\r\ntransfer-encoding: chunked\r\n"), MALFORMED),
        ("an unknown coding of the transfer", post("transfer-encoding: gzip\r\n"), MALFORMED),
        ("two lengths", post("content-length: 1\r\ncontent-length: 2\r\n"), MALFORMED),
        ("a negative length", post("content-length: -1\r\n"), MALFORMED),
        ("a length that is no number", post("content-length: x\r\n"), MALFORMED),
        ("HTTP/1.0 without a length", b"POST / HTTP/1.0\r\n\r\n".to_vec(), MALFORMED),
        ("too many headers", get("/", &"a: b\r\n".repeat(100)), LONG),
        // Larger than all that the framework reads at once; the client goes on to send while it is refused.
        ("a long head", get("/", &format!("a: {}\r\n", "x".repeat(1_000_000))), LONG),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_with_a_problem() {
    let server = Server::start().await;
    tokio::task::block_in_place(|| {
        for (name, request, (status_line, code, words)) in refused() {
            let mut socket = connect(&server);
            socket.write_all(&request).unwrap();
            Wire::read(&mut socket).refusal(status_line, code, words);
            assert!(ends(&mut socket), "{name}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_a_refusal_is_as_it_would_have_been() {
    let server = Server::start().await;
    let before: [(&[u8], &str, &str); 5] = [
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200 OK", ""),
        (b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 404 Not Found", "not_found"),
        (b"GET /v1/spaces/d.o HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 400 Bad Request", "1 to 63"),
        (b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 200 OK", "openapi"),
        // The dispatcher answers in the version of the last request, and keeps its state.
        (b"GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "HTTP/1.0 200 OK", ""),
    ];
    tokio::task::block_in_place(|| {
        for (request, status, words) in before {
            for (name, refused, (status_line, code, detail)) in refused() {
                // In one write, and in two.
                for pause in [false, true] {
                    let mut socket = connect(&server);
                    let first = if pause { request.to_vec() } else { [request, &refused].concat() };
                    socket.write_all(&first).unwrap();
                    let answer = Wire::read(&mut socket);
                    assert!(answer.head.starts_with(status), "{}", answer.head);
                    let body = String::from_utf8(answer.body).unwrap();
                    assert!(code == "too_large" || words.is_empty() || body.contains(words), "{body}");
                    if pause {
                        socket.write_all(&refused).unwrap();
                    }
                    Wire::read(&mut socket).refusal(status_line, code, detail);
                    assert!(ends(&mut socket), "{name}");
                }
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_is_refused_in_time() {
    let throttles = Throttles { head_time: Some(Duration::from_secs(1)), ..Throttles::default() };
    let server = Server::start_with(Config { throttles, ..Config::default() }).await;
    tokio::task::block_in_place(|| {
        let start = Instant::now();
        let mut sockets: Vec<TcpStream> = (0..4).map(|_| connect(&server)).collect();
        sockets[1].write_all(b"GET / HTTP/1.1\r\nhost:").unwrap();
        // Neither does an answer before it give it more time, nor bytes that trickle.
        for socket in &mut sockets[2..] {
            socket.write_all(&get("/healthz", "")).unwrap();
            assert!(Wire::read(socket).head.starts_with("HTTP/1.1 200"));
            socket.write_all(b"GET /").unwrap();
        }
        while start.elapsed() < Duration::from_millis(1_500) && sockets[3].write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
        for mut socket in sockets {
            Wire::read(&mut socket).refusal("408 Request Timeout", "invalid_request", "within 1 seconds");
            assert!(ends(&mut socket));
        }
        assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_between_two_requests_is_not_hurried() {
    let throttles = Throttles { head_time: Some(Duration::from_millis(200)), ..Throttles::default() };
    let server = Server::start_with(Config { throttles, ..Config::default() }).await;
    server.write("a", &json!({})).await;
    tokio::task::block_in_place(|| {
        let mut socket = connect(&server);
        for _ in 0..3 {
            socket.write_all(&get("/healthz", "")).unwrap();
            assert!(Wire::read(&mut socket).head.starts_with("HTTP/1.1 200"));
            std::thread::sleep(Duration::from_millis(500));
        }
        // Nor is one whose request is held.
        socket.write_all(&get("/v1/spaces/demo/changes?since=1&wait=1", "")).unwrap();
        assert!(Wire::read(&mut socket).head.starts_with("HTTP/1.1 200"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_none_is_refused() {
    let server = Server::start().await;
    let request = b"POST /v1/spaces/demo/push HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        transfer-encoding: chunked\r\n\r\nnonsense\r\n";
    tokio::task::block_in_place(|| {
        let mut socket = connect(&server);
        socket.write_all(request).unwrap();
        let answer = Wire::read(&mut socket);
        assert!(answer.head.starts_with("HTTP/1.1 400 "), "{}", answer.head);
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["code"], "invalid_request");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_refusal_in_an_answer_stays() {
    let server = Server::start().await;
    let bare = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
    for size in [1, 10, 1000, 10_000] {
        let data = json!({"text": bare.repeat(size)});
        server.write("a", &data).await;
        let answer = server.get("/v1/spaces/demo/records/todos/a").await;
        let answer = answer.expect(200);
        assert!(answer == data || answer["data"] == data, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_comes_through_whole() {
    let server = Server::start().await;
    server.fill(20_000).await;
    let answer = server.get_with("/v1/spaces/demo/changes?limit=10000", &[]).await;
    let page = answer.expect(200);
    let ids: Vec<&str> =
        page["changes"].as_array().unwrap().iter().map(|change| change["id"].as_str().unwrap()).collect();
    let expected: Vec<String> = (1..=ids.len()).map(|id| format!("r{id:05}")).collect();
    assert!(ids.len() > 500, "{}", ids.len());
    assert_eq!(ids, expected);
    let again = server.get_with("/v1/spaces/demo/changes?limit=10000", &[]).await;
    assert_eq!(again.body, answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_refused_do_not_hold_up_the_end() {
    let mut server = Server::start().await;
    let mut socket = connect(&server);
    let mut idle = connect(&server);
    tokio::task::block_in_place(|| {
        idle.write_all(&get("/healthz", "")).unwrap();
        Wire::read(&mut idle);
        socket.write_all(b"nonsense\r\n\r\n").unwrap();
        Wire::read(&mut socket).refusal(MALFORMED.0, MALFORMED.1, MALFORMED.2);
    });
    let start = Instant::now();
    server.stop().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(tokio::task::block_in_place(|| ends(&mut idle)));
}
