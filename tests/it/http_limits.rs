//! What a client may take (PROTOCOL.md §8): beyond a limit it is refused with the right problem, and others are not.

#![expect(clippy::float_cmp, reason = "counts, which a float holds exactly")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use strandline::http::{Allowance, Limits, Throttles};
use strandline::server::Config;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Answer, Server};

/// A server on which clients of every address, loopback too, may take this much.
async fn start(allowance: Allowance) -> Server {
    start_with(Throttles { address: allowance, loopback: allowance, ..Throttles::default() }).await
}

/// The tests stand behind a trusted proxy, and so come from any address they like.
async fn start_with(throttles: Throttles) -> Server {
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    Server::start_with(Config { throttles, trusted_proxies, ..Config::default() }).await
}

fn some(limit: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(limit)
}

async fn get_from(server: &Server, address: &str, path: &str) -> Answer {
    server.get_with(path, &[("x-forwarded-for", address)]).await
}

#[track_caller]
fn limited(answer: &Answer, words: &str) -> u64 {
    answer.problem_about(429, "rate_limited", words);
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..100).contains(&seconds), "{seconds}");
    seconds
}

async fn refusals(server: &Server, limit: &str) -> f64 {
    server.numbers().await.get(&format!("strandline_refusals_total{{limit=\"{limit}\"}}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_requests_a_second() {
    let server = start(Allowance { requests: some(1), ..Allowance::default() }).await;
    // Ten seconds' worth at once.
    for _ in 0..10 {
        get_from(&server, "192.0.2.1", "/healthz").await.expect(200);
    }
    let answer = get_from(&server, "192.0.2.1", "/healthz").await;
    assert!(limited(&answer, "requests from this address") <= 2);
    // What is refused may not be had by another way, and what has no route counts as well.
    limited(&server.get_with("/nothing", &[("forwarded", "for=192.0.2.1")]).await, "requests from this address");
    get_from(&server, "192.0.2.2", "/healthz").await.expect(200);
    // IPv6 clients are their network.
    for last in 0..10 {
        get_from(&server, &format!("2001:db8::{last}"), "/healthz").await.expect(200);
    }
    limited(&get_from(&server, "2001:db8::ffff", "/healthz").await, "requests from this address");
    get_from(&server, "2001:db8:0:1::1", "/healthz").await.expect(200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    get_from(&server, "192.0.2.1", "/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_trusted_proxy_cannot_come_from_elsewhere() {
    let allowance = Allowance { requests: some(1), ..Allowance::default() };
    let throttles = Throttles { address: allowance, loopback: allowance, ..Throttles::default() };
    let server = Server::start_with(Config { throttles, ..Config::default() }).await;
    for last in 0..10 {
        get_from(&server, &format!("192.0.2.{last}"), "/healthz").await.expect(200);
    }
    limited(&get_from(&server, "192.0.2.10", "/healthz").await, "requests from this address");
    limited(&server.get_with("/healthz", &[("forwarded", "for=192.0.2.11")]).await, "requests from this address");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_bytes_a_second_in_both_directions() {
    let server = start(Allowance { bytes: some(10 << 10), ..Allowance::default() }).await;
    let record = "/v1/spaces/demo/records/todos/a";
    let body = json!({"text": "x".repeat(150_000)}).to_string();
    let put = async |address: &str| {
        let headers = [("x-forwarded-for", address), ("content-type", "application/json")];
        server.send("PUT", record, &headers, body.clone()).await
    };
    put("192.0.2.1").await.expect(201);
    // It was let in with what it had, and pays for what it took beyond that.
    assert!(limited(&get_from(&server, "192.0.2.1", record).await, "sent to and from this address") > 5);
    get_from(&server, "192.0.2.2", record).await.expect(200);
    limited(&get_from(&server, "192.0.2.2", "/healthz").await, "sent to and from this address");
    get_from(&server, "192.0.2.3", "/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_beyond_its_bytes_goes_on_more_slowly() {
    let server = start(Allowance { bytes: some(100 << 10), ..Allowance::default() }).await;
    let text = "x".repeat(400_000);
    for id in 0..4 {
        let from = format!("203.0.113.{id}");
        let headers = [("x-forwarded-for", from.as_str()), ("content-type", "application/json")];
        let path = format!("/v1/spaces/demo/records/todos/{id}");
        server.send("PUT", &path, &headers, json!({"text": text}).to_string()).await.expect(201);
    }
    let begun = Instant::now();
    let headers = [("x-forwarded-for", "192.0.2.1"), ("accept", "application/x-ndjson")];
    let lines = server.get_with("/v1/spaces/demo/changes", &headers).await.lines();
    let records = lines.iter().filter(|line| line["collection"].is_string()).count();
    assert_eq!((records, &lines.last().unwrap()["count"]), (4, &json!(4)));
    // 1,600 kB, of which 1,000 KiB were there.
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(3) && took < Duration::from_secs(9), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_streams_at_a_time() {
    let server = start(Allowance { streams: some(2), ..Allowance::default() }).await;
    server.write("a", &json!({})).await;
    let from = |address| [("x-forwarded-for", address)];
    let feed = "/v1/spaces/demo/changes?since=1";
    let first = server.events(feed, &from("192.0.2.1")).await;
    let path = "/v1/spaces/demo/changes?since=1&wait=60";
    let held = server.request("GET", path, &from("192.0.2.1"), Vec::new()).send();
    let held = tokio::spawn(held);
    server.numbers_when("both are open", |seen| seen.get("strandline_streams") == 2.0).await;

    let [events, lines] = ["text/event-stream", "application/x-ndjson"].map(|form| ("accept", form));
    let address = ("x-forwarded-for", "192.0.2.1");
    limited(&server.get_with(feed, &[address, events]).await, "streams");
    limited(&server.get_with("/v1/spaces/demo/changes", &[address, lines]).await, "streams");
    limited(&server.get_with(path, &[address]).await, "streams");
    limited(&server.get_with("/dashboard/events", &[address]).await, "streams");
    let headers = [address, lines, ("content-type", "application/json")];
    limited(&server.send("POST", "/v1/spaces/demo/fetch", &headers, r#"{"runs":[0,1]}"#).await, "streams");
    assert_eq!(refusals(&server, "streams").await, 5.0);
    // What is answered at once is none.
    server.get_with("/v1/spaces/demo/changes?since=1", &[address]).await.expect(200);
    server.events(feed, &from("192.0.2.2")).await;

    drop(first);
    server.write("b", &json!({})).await;
    Answer::of(held.await.unwrap().unwrap()).await.unwrap().expect(200);
    server.numbers_when("all of them are closed", |seen| seen.get("strandline_streams") == 0.0).await;
    server.get_with("/v1/spaces/demo/changes", &[address, lines]).await.lines();
}

/// A connection from an address of this machine.
async fn connect(server: &Server, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.connect(server.address).await.unwrap()
}

/// Asks over a connection that is open. What the server says to it, and whether it closes.
async fn ask(socket: TcpStream, request: &str) -> (String, std::net::TcpStream) {
    let mut socket = socket.into_std().unwrap();
    let request = request.to_owned();
    let exchange = move || {
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = vec![0; 4096];
        let count = socket.read(&mut answer).unwrap();
        (String::from_utf8_lossy(&answer[..count]).into_owned(), socket)
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

#[track_caller]
fn refused(answer: &str, status: &str, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    for words in ["retry-after: ", "connection: close", "application/problem+json", code] {
        assert!(answer.contains(words), "{words} in {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections() {
    let allowance = Allowance { connections: some(2), ..Allowance::default() };
    let throttles = Throttles { address: allowance, loopback: allowance, ..Throttles::default() };
    let server = Server::start_with(Config { throttles, ..Config::default() }).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let (answer, socket) = ask(connect(&server, "127.0.0.2").await, HEALTHZ).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        open.push(socket);
    }
    let (answer, mut socket) = ask(connect(&server, "127.0.0.2").await, HEALTHZ).await;
    refused(&answer, "429", "rate_limited");
    let rest = tokio::task::spawn_blocking(move || socket.read(&mut [0])).await.unwrap();
    assert!(matches!(rest, Ok(0)), "{rest:?}");
    let (answer, _) = ask(connect(&server, "127.0.0.3").await, HEALTHZ).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    drop(open);
    let seen = server.numbers_when("they are closed", |seen| seen.get("strandline_connections") < 1.5).await;
    assert_eq!(seen.get("strandline_refusals_total{limit=\"address_connections\"}"), 1.0);
    let (answer, _) = ask(connect(&server, "127.0.0.2").await, HEALTHZ).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connections_of_a_trusted_proxy_are_those_of_many() {
    let server = start(Allowance { connections: some(1), ..Allowance::default() }).await;
    let open: Vec<TcpStream> = futures_util::future::join_all((0..5).map(|_| connect(&server, "127.0.0.1"))).await;
    for socket in open {
        assert!(ask(socket, HEALTHZ).await.0.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_connections_in_all() {
    let throttles = Throttles { connections: some(1), ..Throttles::default() };
    let server = Server::start_with(Config { throttles, ..Config::default() }).await;
    let (answer, first) = ask(connect(&server, "127.0.0.2").await, HEALTHZ).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (answer, _) = ask(connect(&server, "127.0.0.3").await, HEALTHZ).await;
    refused(&answer, "503", "unavailable");
    drop(first);
    let begun = Instant::now();
    while !ask(connect(&server, "127.0.0.3").await, HEALTHZ).await.0.starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < Duration::from_secs(10), "there is no room again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_and_a_head_are_so_long() {
    let server = Server::start().await;
    let long = "x".repeat(20_000);
    server.get(&format!("/v1/spaces/demo/changes?since={long}")).await.problem_about(414, "too_large", "16384 bytes");
    let twice = [("x-one", long.as_str()), ("x-other", long.as_str())];
    server.get_with("/healthz", &twice).await.problem_about(431, "too_large", "32768 bytes");
    server.get_with("/healthz", &twice[..1]).await.expect(200);
    assert_eq!((refusals(&server, "url").await, refusals(&server, "head").await), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_to_come_in_time() {
    let throttles =
        Throttles { body_time: Some(Duration::from_secs(1)), body_rate: some(1_000).unwrap(), ..Throttles::default() };
    let server = Server::start_with(Config { throttles, ..Config::default() }).await;
    let head = |length: usize| {
        format!("PUT /v1/spaces/demo/records/todos/a HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n")
    };
    let address = server.address;
    let send = async |length: usize, each: usize, pause: u64| {
        let request = head(length);
        let exchange = move || {
            let mut socket = std::net::TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket.write_all(request.as_bytes()).unwrap();
            let body = format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
            for part in body.as_bytes().chunks(each) {
                if socket.write_all(part).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(pause));
            }
            let mut answer = vec![0; 4096];
            let count = socket.read(&mut answer).unwrap();
            String::from_utf8_lossy(&answer[..count]).into_owned()
        };
        tokio::task::spawn_blocking(exchange).await.unwrap()
    };
    let (trickling, steady) = tokio::join!(send(1_000, 10, 50), send(6_000, 200, 50));
    assert!(trickling.starts_with("HTTP/1.1 408 ") && trickling.contains("invalid_request"), "{trickling}");
    assert!(steady.starts_with("HTTP/1.1 201 "), "{steady}");
    assert_eq!(refusals(&server, "body_time").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_on_their_way_take_so_much_memory() {
    // Room for sixteen bodies of the largest size.
    let limits = Limits { push_bytes: 100 << 10, ..Limits::default() };
    let server = Server::start_with(Config { limits, ..Config::default() }).await;
    let head = format!(
        "POST /v1/spaces/demo/push HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        100 << 10
    );
    let mut open = Vec::new();
    // Each is there but for its last byte, and takes room for all but 64 KiB, in whole KiB.
    for _ in 0..16 * 100 / 35 {
        let mut socket = connect(&server, "127.0.0.1").await;
        socket.write_all(&[head.as_bytes(), &b" ".repeat((100 << 10) - 1)].concat()).await.unwrap();
        open.push(socket);
    }
    let begun = Instant::now();
    loop {
        let body = format!("{}{}", " ".repeat(99 << 10), r#"{"changes":[]}"#);
        let answer = server.send("POST", "/v1/spaces/demo/push", &[("content-type", "application/json")], body).await;
        if answer.status == 503 {
            answer.problem_about(503, "unavailable", "no room for this one");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", answer.text());
    }
    assert!(refusals(&server, "bodies").await >= 1.0);
    server.write("small", &json!({})).await;
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_what_is_ready_is_dropped_and_who_has_nothing_to_take_is_not() {
    let throttles = Throttles { stall_time: Some(Duration::from_secs(1)), ..Throttles::default() };
    let server = Server::start_with(Config { throttles, ..Config::default() }).await;
    let text = "x".repeat(900_000);
    for id in 0..12 {
        server.write(&id.to_string(), &json!({"text": text})).await;
    }
    let mut idle = server.events("/v1/spaces/demo/changes?since=12", &[]).await;
    assert_eq!(idle.page().await["head"], 12);
    let headers = [("accept", "application/x-ndjson")];
    let unread = server.request("GET", "/v1/spaces/demo/changes", &headers, Vec::new()).send().await.unwrap();
    server
        .numbers_when("the reader is dropped", |seen| {
            seen.get("strandline_refusals_total{limit=\"stall\"}") > 0.5 && seen.get("strandline_streams") < 1.5
        })
        .await;
    let parts: Vec<_> = unread.bytes_stream().collect().await;
    assert!(parts.last().unwrap().is_err(), "it was cut");
    server.write("last", &json!({})).await;
    assert_eq!(idle.page().await["head"], 13);
}

/// A server with an admin's token, on which each token may take this much; tokens made after it, two, read everything.
async fn locked_with(token: Allowance, address: Allowance) -> (Server, [String; 2]) {
    let server = start_with(Throttles { token, address, loopback: Allowance::default(), ..Throttles::default() }).await;
    let admin = server.issue("", &json!([{"space": "*", "access": "admin"}])).await;
    server.send_as(&admin, "PUT", "/v1/spaces/demo/records/todos/a", &json!({})).await.expect(201);
    let grants = json!([{"space": "*", "access": "read"}]);
    let tokens = [server.issue(&admin, &grants).await, server.issue(&admin, &grants).await];
    (server, tokens)
}

async fn get_as(server: &Server, token: &str, address: &str, path: &str, accept: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", address), ("accept", accept)];
    server.get_with(path, &headers).await
}

const ANY: &str = "*/*";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_so_many_requests_a_second_wherever_it_comes_from() {
    let (server, [one, other]) =
        locked_with(Allowance { requests: some(2), ..Allowance::default() }, Allowance::default()).await;
    for last in 0..20 {
        get_as(&server, &one, &format!("192.0.2.{last}"), "/v1/spaces/demo", ANY).await.expect(200);
    }
    limited(&get_as(&server, &one, "192.0.2.99", "/v1/spaces/demo", ANY).await, "requests with this token");
    get_as(&server, &other, "192.0.2.99", "/v1/spaces/demo", ANY).await.expect(200);
    // What needs no token is not counted by one.
    get_as(&server, &one, "192.0.2.99", "/healthz", ANY).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_so_many_bytes_a_second() {
    let (server, [one, other]) =
        locked_with(Allowance { bytes: some(10 << 10), ..Allowance::default() }, Allowance::default()).await;
    let taken = get_as(&server, &one, "192.0.2.1", "/v1/spaces/demo/changes", ANY).await;
    taken.expect(200);
    let bearer = format!("Bearer {one}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = format!("{}{}", " ".repeat(200_000), r#"{"runs":[0,1]}"#);
    server.send("POST", "/v1/spaces/demo/fetch", &headers, body).await.expect(200);
    limited(&get_as(&server, &one, "192.0.2.2", "/v1/spaces/demo", ANY).await, "sent and received with this token");
    get_as(&server, &other, "192.0.2.2", "/v1/spaces/demo", ANY).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_so_many_streams_and_its_address_does_not_matter() {
    let one_stream = Allowance { streams: some(1), ..Allowance::default() };
    let (server, [one, other]) = locked_with(one_stream, one_stream).await;
    let feed = "/v1/spaces/demo/changes?since=1";
    let bearers = [&one, &other].map(|token| format!("Bearer {token}"));
    // Both from one address.
    let open = bearers.each_ref().map(|bearer| [("authorization", bearer.as_str()), ("x-forwarded-for", "192.0.2.1")]);
    let _open = [server.events(feed, &open[0]).await, server.events(feed, &open[1]).await];
    limited(&get_as(&server, &one, "192.0.2.2", feed, "text/event-stream").await, "streams");
    get_as(&server, &one, "192.0.2.2", feed, ANY).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_tokens_has_few_guesses() {
    let (server, [one, _]) =
        locked_with(Allowance::default(), Allowance { requests: some(30), ..Allowance::default() }).await;
    let guess = async |number: usize| {
        let guess = format!("sl_{}{number}", "x".repeat(42));
        get_as(&server, &guess, "192.0.2.1", "/v1/spaces/demo", ANY).await
    };
    // Each counts as ten requests beside itself, of which three hundred may be made at once, and thirty more in a second.
    let mut guesses = 0;
    let last = loop {
        let answer = guess(guesses).await;
        if answer.status != 401 {
            break answer;
        }
        guesses += 1;
    };
    limited(&last, "requests from this address");
    assert!((20..100).contains(&guesses), "{guesses} guesses");
    limited(&get_as(&server, &one, "192.0.2.1", "/v1/spaces/demo", ANY).await, "requests from this address");
    get_as(&server, &one, "192.0.2.2", "/v1/spaces/demo", ANY).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_for_tls_alone_where_the_client_came_by_tls() {
    let server = start_with(Throttles::default()).await;
    server.issue("", &json!([{"space": "*", "access": "admin"}])).await;
    for (scheme, secure) in [("https", true), ("http", false)] {
        let form = server.get_with("/", &[("x-forwarded-proto", scheme)]).await;
        assert_eq!(form.header("set-cookie").contains("; Secure"), secure, "{scheme}: {}", form.header("set-cookie"));
    }
}
