//! Clients that go away in the midst of a push: it happens as a whole or not at all, and the server does not mind.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Form, Home, Program, Replica, lots};

/// Changes in each push.
const CHANGES: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_client_goes_away_happens_as_a_whole_or_not_at_all() {
    let mut rng = lots("lost");
    let mut program = Program::start(Home::new()).await;
    let mut link = program.link("demo");
    link.put("", &json!({})).await.unwrap().expect(201);

    // Cut off anywhere: in the head, in the body, or with everything sent and the answer on its way.
    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    for round in 0..60 {
        let changes: Vec<_> = (0..CHANGES)
            .map(
                |number| json!({"collection": format!("push-{round}"), "id": number.to_string(), "data": {"n": round}}),
            )
            .collect();
        let body = json!({"changes": changes}).to_string();
        let request =
            format!("POST /v1/spaces/demo/push HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        let request = request + &body;
        let sent = if rng.bool() { request.len() } else { rng.usize(1..request.len()) };
        let mut socket = TcpStream::connect(program.address()).await.unwrap();
        socket.write_all(&request.as_bytes()[..sent]).await.unwrap();
        if sent == request.len() && rng.bool() {
            // It has an answer before it goes: this one is certain.
            let mut answer = [0; 12];
            socket.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            whole.push(round);
        } else if sent < request.len() {
            cut.push(round);
        }
        // A reset in place of an orderly end, as from a phone that lost its network.
        if rng.bool() {
            socket.set_zero_linger().unwrap();
        }
        drop(socket);
    }

    // Stopping in order waits for whatever was begun.
    program.stop().await;
    program.start_again().await;
    let mut replica = Replica::new(program.link("demo"), None);
    replica.pull(Form::Pages(1000)).await.unwrap();
    let mut applied = 0;
    for round in 0..60 {
        let found = replica.records.keys().filter(|key| key.0 == format!("push-{round}")).count();
        assert!(found == 0 || found == CHANGES, "push {round} happened in part: {found}");
        assert!(found == CHANGES || !whole.contains(&round), "push {round} was acknowledged");
        assert!(found == 0 || !cut.contains(&round), "push {round} was never sent in full");
        applied += found;
    }
    assert_eq!(replica.whole_at, Some(applied as u64));
    assert!(!whole.is_empty() && !cut.is_empty());
    let said = program.said();
    assert!(!said.contains(" ERROR "), "{said}");
}
