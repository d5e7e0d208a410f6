//! What lasts ends with the credential that opened it, within 30 s (PROTOCOL.md §10).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::locked;
use crate::support::EventStream;

/// The promise, and what a slow machine may add.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_held_requests_end_when_their_token_is_revoked() {
    let (server, root) = locked().await;
    let token = server.issue_for(&root, &json!([{"space": "demo", "access": "read"}]), "forever").await;
    let other = server.issue(&root, &json!([{"space": "demo", "access": "read"}])).await;
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let cursor = server.get_as(&root, "/v1/spaces/demo").await.json()["cursor"].as_str().unwrap().to_owned();
    let path = format!("/v1/spaces/demo/changes?since={cursor}");
    let mut events = server.events(&path, &headers).await;
    let mut page = server.events("/dashboard/events?space=demo", &headers).await;
    page.next().await.unwrap();
    let other_bearer = format!("Bearer {other}");
    let mut goes_on = server.events(&path, &[("authorization", &other_bearer)]).await;
    let held = tokio::spawn(server.request("GET", &format!("{path}&wait=60"), &headers, Vec::new()).send());
    let revoke = format!("/v1/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(server.send_as(&root, "DELETE", &revoke, &Value::Null).await.status, 204);
    let begun = Instant::now();
    let ends = async |stream: &mut EventStream| while stream.next_within(LIMIT).await.is_some() {};
    let streams = join_all([&mut events, &mut page].map(ends));
    let (_, held) = tokio::join!(streams, held);
    let took = begun.elapsed();
    assert!(took < LIMIT, "they ended after {took:?}");
    assert_eq!(held.unwrap().unwrap().status(), 401);
    let push = json!({"changes": [{"collection": "todos", "id": "new", "data": {}}]});
    server.send_as(&root, "POST", "/v1/spaces/demo/push", &push).await.expect(200);
    assert_eq!(goes_on.page().await["changes"][0]["id"], "new", "that of another token goes on");
}
