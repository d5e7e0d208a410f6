//! PROTOCOL.md §2 over HTTP: spaces and their list.

use serde_json::json;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_space_says_what_revision_a_client_should_have() {
    let server = Server::start().await;
    server.get("/v1/spaces/demo").await.problem(404, "not_found");
    let created = server.put("/v1/spaces/demo", &json!({"retention": "7d"})).await;
    assert_eq!((created.status, created.header("location")), (201, "/v1/spaces/demo"));
    server.write("a", &json!({})).await;
    server.write("b", &json!({})).await;
    server.delete("b").await;
    let answer = server.get("/v1/spaces/demo").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-cache"));
    assert_eq!(answer.header("content-type"), "application/json");
    let space = answer.json();
    let epoch = space["epoch"].as_str().unwrap();
    assert_eq!(
        space,
        json!({"space": "demo", "epoch": epoch, "head": 3, "horizon": 0, "cursor": format!("{epoch}.3"), "records": 1,
            "tombstones": 1, "checksum": "910a2dec89025cc1", "retention": "7d",
            "created_at": "2026-11-22T20:00:00.000000Z", "modified_at": "2026-11-22T20:00:00.000000Z"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_of_a_space_changes_with_anything_in_the_answer() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let mut tags = Vec::new();
    for step in 0..5 {
        match step {
            0 => {}
            1 => drop(server.write("b", &json!({})).await),
            2 => drop(server.delete("b").await),
            3 => drop(server.purge().await),
            _ => drop(server.put("/v1/spaces/demo", &json!({"retention": "1d"})).await),
        }
        let answer = server.get("/v1/spaces/demo").await;
        let tag = answer.header("etag").to_owned();
        assert!(!tags.contains(&tag), "step {step} left the tag as it was");
        let again = server.get_with("/v1/spaces/demo", &[("if-none-match", &tag)]).await;
        assert_eq!((again.status, again.header("etag"), again.body.len()), (304, tag.as_str(), 0));
        let head = server.send("HEAD", "/v1/spaces/demo", &[], "").await;
        for name in ["etag", "content-type", "content-length", "cache-control"] {
            assert_eq!(head.header(name), answer.header(name), "{name}");
        }
        assert_eq!(head.status, 200);
        tags.push(tag);
    }
    for matching in ["*", &format!("\"x\", W/{}", tags[4])] {
        assert_eq!(server.get_with("/v1/spaces/demo", &[("if-none-match", matching)]).await.status, 304, "{matching}");
    }
    assert_eq!(server.get_with("/v1/spaces/demo", &[("if-none-match", &tags[0])]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_is_configured_again_by_another_put() {
    let server = Server::start().await;
    assert_eq!(server.send("PUT", "/v1/spaces/demo", &[], "").await.json()["retention"], "30d");
    for (body, retention) in [("{}", "30d"), (r#"{"retention":"forever"}"#, "forever"), ("", "forever")] {
        let answer = server.send("PUT", "/v1/spaces/demo", &[("content-type", "application/json")], body).await;
        assert_eq!((answer.status, &answer.json()["retention"]), (200, &json!(retention)), "{body}");
    }
    for (body, says) in [
        (r#"{"retention":"30"}"#, "duration"),
        (r#"{"retention":30}"#, "string"),
        (r#"{"retntion":"30d"}"#, "retntion"),
        ("[]", "body"),
        ("{", "body"),
    ] {
        let answer = server.send("PUT", "/v1/spaces/demo", &[("content-type", "application/json")], body).await;
        answer.problem_about(400, "invalid_request", says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_made_anew_has_another_epoch() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = server.cursor().await;
    let deleted = server.send("DELETE", "/v1/spaces/demo", &[], "").await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    server.send("DELETE", "/v1/spaces/demo", &[], "").await.problem(404, "not_found");
    server.get("/v1/spaces/demo/changes").await.problem(404, "not_found");
    server.write("a", &json!({})).await;
    let problem = server.get(&format!("/v1/spaces/demo/changes?since={cursor}")).await.problem(410, "resync_required");
    assert_eq!((&problem["reason"], &problem["shared_rev"]), (&json!("epoch"), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_spaces_comes_in_pages_by_name() {
    let server = Server::start().await;
    assert_eq!(server.get("/v1/spaces").await.json(), json!({"spaces": [], "after": null}));
    for name in ["c", "a", "b"] {
        server.put(&format!("/v1/spaces/{name}"), &json!({})).await;
    }
    let names = |answer: serde_json::Value| {
        answer["spaces"].as_array().unwrap().iter().map(|s| s["space"].clone()).collect::<Vec<_>>()
    };
    let first = server.get("/v1/spaces?limit=2").await.json();
    assert_eq!(first["after"], "b");
    assert_eq!(names(first), ["a", "b"]);
    let last = server.get("/v1/spaces?limit=2&after=b").await.json();
    assert_eq!(last["after"], json!(null));
    assert_eq!(names(last), ["c"]);
    assert_eq!(server.get("/v1/spaces?limit=3").await.json()["after"], json!(null));
    server.get("/v1/spaces?after=B").await.problem_about(400, "invalid_request", "after");
}
