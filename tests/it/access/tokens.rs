//! Tokens from their making to their end, over HTTP and by the command line.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strandline::domain::access::TOKEN_START;

use super::{fill, locked};
use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_told_once_and_kept_as_a_hash() {
    let (server, root) = locked().await;
    let body = json!({"name": "nightly", "grants": [{"space": "team-*", "access": "write", "collections": ["a"]}], "expires": "90d"});
    let made = server.send_as(&root, "POST", "/v1/tokens", &body).await;
    let issued = made.expect(201);
    assert_eq!(made.header("cache-control"), "no-store");
    let (id, token) = (issued["id"].as_str().unwrap(), issued["token"].as_str().unwrap());
    assert_eq!(made.header("location"), format!("/v1/tokens/{id}"));
    let secret = token.strip_prefix(TOKEN_START).unwrap();
    assert!(secret.len() == 43 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    assert_eq!((&issued["name"], &issued["grants"]), (&body["name"], &body["grants"]));
    assert_eq!(issued["expires_at"], "2027-02-20T20:00:00.000000Z");
    let list = server.get_as(&root, "/v1/tokens").await;
    assert!(!list.text().contains(secret) && !list.text().contains("hash"), "{}", list.text());
    let listed = list.json()["tokens"].as_array().unwrap().iter().find(|token| token["id"] == id).unwrap().clone();
    assert_eq!(listed["revoked_at"], Value::Null);
    assert_eq!(listed.as_object().unwrap().len(), issued.as_object().unwrap().len() - 1);
    assert!(
        !server.raw_database().windows(43).any(|bytes| bytes == secret.as_bytes()),
        "the database does not have it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_token_is_refused_with_what_is_wrong() {
    let (server, root) = locked().await;
    let grant = json!([{"space": "a", "access": "read"}]);
    for (body, says) in [
        (json!({"grants": grant}), "missing field `name`"),
        (json!({"name": "", "grants": grant}), "1 to 128 characters"),
        (json!({"name": "x"}), "missing field `grants`"),
        (json!({"name": "x", "grants": []}), "1 to 100 grants"),
        (json!({"name": "x", "grants": [{"space": "a*b", "access": "read"}]}), "space must be"),
        (json!({"name": "x", "grants": [{"space": "a", "access": "own"}]}), "unknown variant `own`"),
        (json!({"name": "x", "grants": [{"space": "a", "access": "read", "collections": []}]}), "at least one"),
        (json!({"name": "x", "grants": grant, "expires": "soon"}), "a duration is"),
        (json!({"name": "x", "grants": grant, "expire": "1d"}), "unknown field `expire`"),
        (json!([]), "expected an object"),
    ] {
        server.send_as(&root, "POST", "/v1/tokens", &body).await.problem_about(400, "invalid_request", says);
    }
    assert_eq!(server.get_as(&root, "/v1/tokens").await.json()["tokens"].as_array().unwrap().len(), 1);
    for (path, status, code) in
        [("/v1/tokens/xyz", 400, "invalid_request"), ("/v1/tokens/019ac0ffee00b33f", 404, "not_found")]
    {
        server.send_as(&root, "DELETE", path, &Value::Null).await.problem(status, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_administers_some_spaces_hands_out_and_sees_what_lies_within_them() {
    let (server, root) = locked().await;
    let manager = server.issue(&root, &json!([{"space": "team-*", "access": "admin"}])).await;
    server.issue(&manager, &json!([{"space": "team-7", "access": "write"}])).await;
    let refused =
        json!({"name": "x", "grants": [{"space": "team-7", "access": "read"}, {"space": "demo", "access": "read"}]});
    server.send_as(&manager, "POST", "/v1/tokens", &refused).await.problem(403, "forbidden");
    let seen = |answer: Value| answer["tokens"].as_array().unwrap().len();
    assert_eq!(seen(server.get_as(&manager, "/v1/tokens").await.expect(200)), 2, "its own and the one it made");
    let all = server.get_as(&root, "/v1/tokens").await.expect(200);
    assert_eq!(seen(all.clone()), 3);
    let first = all["tokens"][0]["id"].as_str().unwrap();
    let path = format!("/v1/tokens/{first}");
    server.send_as(&manager, "DELETE", &path, &Value::Null).await.problem(404, "not_found");
    // In pages, as all lists.
    let page = server.get_as(&root, "/v1/tokens?limit=2").await.expect(200);
    let next = format!("/v1/tokens?limit=2&after={}", page["after"].as_str().unwrap());
    assert_eq!((seen(page), seen(server.get_as(&root, &next).await.expect(200))), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_worth_nothing_at_once_and_an_expired_one_in_time() {
    let (server, root) = locked().await;
    let everything = json!([{"space": "*", "access": "admin"}]);
    let short = server.issue_for(&root, &everything, "1h").await;
    let long = server.issue_for(&root, &everything, "forever").await;
    let use_of = async |token: &Value| server.get_as(token["token"].as_str().unwrap(), "/v1/spaces").await.status;
    assert_eq!((use_of(&short).await, use_of(&long).await), (200, 200));
    server.clock.advance(Duration::from_secs(3599));
    assert_eq!(use_of(&short).await, 200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(use_of(&short).await, 401, "though it is remembered as good");
    let path = format!("/v1/tokens/{}", long["id"].as_str().unwrap());
    assert_eq!(server.send_as(&root, "DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(use_of(&long).await, 401, "though it is remembered as good");
    assert_eq!(server.send_as(&root, "DELETE", &path, &Value::Null).await.status, 204, "again does no harm");
    let listed = server.get_as(&root, "/v1/tokens").await.json();
    assert_eq!(listed["tokens"][2]["revoked_at"], "2026-11-22T21:00:00.000000Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_token_locks_a_server_that_runs_wherever_it_is_made() {
    let server = Server::start().await;
    fill(&server).await;
    assert_eq!(server.get("/v1/spaces/demo").await.status, 200);
    // Past the server, as `strandline token create` does beside it.
    let new = strandline::access::NewToken {
        name: "first".parse().unwrap(),
        grants: strandline::domain::Grants::new(vec!["demo:read".parse().unwrap()]).unwrap(),
        lifetime: None,
    };
    let (_, token) = strandline::access::issue(&*server.store, &*server.clock, new).await.unwrap();
    let begun = Instant::now();
    while server.get("/v1/spaces/demo").await.status != 401 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is still open");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.get_as(&token, "/v1/spaces/demo").await.status, 200);
    server.send_as(&token, "DELETE", "/v1/spaces/demo", &Value::Null).await.problem(403, "forbidden");
}
