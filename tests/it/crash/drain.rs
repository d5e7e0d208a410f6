//! SIGTERM: what is under way is finished, streams and long polls end, and the exit code is 0.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Form, Home, Program, Replica};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_stop_finishes_what_is_under_way() {
    let mut program = Program::start(Home::new()).await;
    let mut link = program.link("demo");
    let first = json!({"changes": [{"collection": "todos", "id": "a", "data": {}}]});
    let cursor = link.post("/push", &first).await.unwrap().expect(200)["cursor"].as_str().unwrap().to_owned();

    // A live feed, a long poll, and a push of which the server has a half.
    let mut live = Replica::new(program.link("demo"), None);
    let mut feed = live.subscribe().await.unwrap();
    assert!(live.follow(&mut feed).await.unwrap());
    let mut poller = program.link("demo");
    let poll = tokio::spawn(async move { poller.get(&format!("/changes?since={cursor}&wait=60")).await });
    let push = json!({"changes": [{"collection": "todos", "id": "b", "data": {"n": 2}}]}).to_string();
    let (half, rest) = push.split_at(push.len() / 2);
    let mut socket = TcpStream::connect(program.address()).await.unwrap();
    let head = format!("POST /v1/spaces/demo/push HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", push.len());
    socket.write_all(format!("{head}expect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
    let mut told = [0; 25];
    socket.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(half.as_bytes()).await.unwrap();

    let begun = Instant::now();
    program.terminate();
    assert!(!live.follow(&mut feed).await.unwrap(), "the feed ends");
    let page = poll.await.unwrap().unwrap().expect(200);
    assert_eq!((&page["changes"], &page["has_more"]), (&json!([]), &json!(false)));
    // The feed has ended, so the signal was heard; and the push goes on.
    socket.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"applied\""), "{answer}");
    let status = program.exit().await;
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

    program.start_again().await;
    live.pull(Form::Pages(10)).await.unwrap();
    assert_eq!(live.records[&("todos".to_owned(), "b".to_owned())].data, json!({"n": 2}));
}
