//! What a token that is narrowed to some collections, or to some spaces, sees and does.

use serde_json::{Value, json};

use super::locked;
use crate::support::Server;

/// A token narrowed to `lists` of `demo`, and the one who made it.
async fn narrowed(access: &str) -> (Server, String, String) {
    let (server, root) = locked().await;
    let token = server.issue(&root, &json!([{"space": "demo", "access": access, "collections": ["lists"]}])).await;
    (server, token, root)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_over_all_collections_covers_those_of_the_token() {
    let (server, token, root) = narrowed("read").await;
    let page = server.get_as(&token, "/v1/spaces/demo/changes").await.expect(200);
    let asked = server.get_as(&root, "/v1/spaces/demo/changes?collections=lists").await.expect(200);
    assert_eq!(page, asked, "the same as one that asks for these");
    assert_eq!((page["count"].as_u64(), page["changes"][0]["id"].as_str()), (Some(1), Some("b")));
    let cursor = page["cursor"].as_str().unwrap();
    assert!(cursor.contains('~'), "its cursor has their scope: {cursor}");
    server.get_as(&token, &format!("/v1/spaces/demo/changes?since={cursor}")).await.expect(200);
    // What is told of the space is told of them, so that its cursor leads on.
    let space = server.get_as(&token, "/v1/spaces/demo").await;
    assert_eq!(space.json()["cursor"], cursor);
    assert_eq!((&space.json()["records"], &space.json()["checksum"]), (&json!(1), &page["checksum"]));
    assert_ne!(space.header("etag"), server.get_as(&root, "/v1/spaces/demo").await.header("etag"));
    let listed = server.get_as(&token, "/v1/spaces").await.expect(200);
    assert_eq!(listed["spaces"], json!([space.json()]));
    let manifest = server.get_as(&token, "/v1/spaces/demo/manifest").await.expect(200);
    assert_eq!(manifest, server.get_as(&root, "/v1/spaces/demo/manifest?collections=lists").await.expect(200));
    let all = server.send_as(&token, "POST", "/v1/spaces/demo/fetch", &json!({"runs": [0, 2]})).await;
    assert_eq!(all.expect(200)["changes"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_collection_is_forbidden_by_its_name() {
    let (server, token, _) = narrowed("write").await;
    let push = |changes: Value| json!({ "changes": changes });
    for (method, path, body) in [
        ("GET", "changes?collections=todos", Value::Null),
        ("GET", "changes?collections=lists,todos", Value::Null),
        ("GET", "manifest?collections=todos", Value::Null),
        ("POST", "fetch", json!({"runs": [0, 2], "collections": ["todos"]})),
        ("POST", "push", push(json!([{"collection": "todos", "id": "a", "data": {}}]))),
        (
            "POST",
            "push",
            push(
                json!([{"collection": "lists", "id": "c", "data": {}}, {"collection": "todos", "id": "a", "deleted": true}]),
            ),
        ),
        ("POST", "push", json!({"changes": [], "collections": ["todos"]})),
        ("GET", "records/todos/a", Value::Null),
        ("GET", "records/todos", Value::Null),
        ("PUT", "records/todos/a", json!({})),
        ("POST", "records/todos", json!({})),
        ("DELETE", "records/todos/a", Value::Null),
    ] {
        let answer = server.send_as(&token, method, &format!("/v1/spaces/demo/{path}"), &body).await;
        answer.problem_about(403, "forbidden", "the collection todos");
    }
    let lines = [("accept", "application/x-ndjson"), ("authorization", &format!("Bearer {token}"))];
    let answer = server.get_with("/v1/spaces/demo/changes?collections=todos", &lines).await;
    answer.problem(403, "forbidden");
    let page = server.get_with("/v1/spaces/demo/changes", &lines).await;
    assert_eq!(page.lines()[0]["collection"], "lists");
    assert_eq!(server.get_as(&token, "/v1/spaces/demo").await.json()["head"], 2, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_narrowed_need_not_know_it() {
    let (server, token, _) = narrowed("write").await;
    let page = server.get_as(&token, "/v1/spaces/demo/changes").await.expect(200);
    let push = json!({"changes": [{"collection": "lists", "id": "c", "data": {}}], "cursor": page["cursor"]});
    let pushed = server.send_as(&token, "POST", "/v1/spaces/demo/push", &push).await.expect(200);
    assert_eq!(pushed["results"][0]["status"], "applied");
    let next = format!("/v1/spaces/demo/changes?since={}", pushed["cursor"].as_str().unwrap());
    assert_eq!(server.get_as(&token, &next).await.expect(200)["changes"], json!([]));
    // Its events too are those of its collection.
    let cursor = page["cursor"].as_str().unwrap();
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let mut events = server.events(&format!("/v1/spaces/demo/changes?since={cursor}"), &headers).await;
    assert_eq!(events.page().await["changes"][0]["id"], "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_all_and_writes_some_pulls_all() {
    let (server, root) = locked().await;
    let grants =
        json!([{"space": "demo", "access": "read"}, {"space": "demo", "access": "write", "collections": ["lists"]}]);
    let token = server.issue(&root, &grants).await;
    let page = server.get_as(&token, "/v1/spaces/demo/changes").await.expect(200);
    assert_eq!(page["count"], 2);
    let push = |collection: &str| json!({"changes": [{"collection": collection, "id": "c", "data": {}}], "cursor": page["cursor"]});
    server.send_as(&token, "POST", "/v1/spaces/demo/push", &push("todos")).await.problem(403, "forbidden");
    server.send_as(&token, "POST", "/v1/spaces/demo/push", &push("lists")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_out_of_reach_is_as_if_it_were_not_there() {
    let (server, root) = locked().await;
    let token = server.issue(&root, &json!([{"space": "team-*", "access": "admin"}])).await;
    for path in ["", "/changes", "/manifest", "/retention", "/clients", "/records/todos/a"] {
        let there = server.get_as(&token, &format!("/v1/spaces/demo{path}")).await;
        let nowhere = server.get_as(&token, &format!("/v1/spaces/nowhere{path}")).await;
        there.problem(404, "not_found");
        assert_eq!(there.text().replace("demo", "nowhere"), nowhere.text(), "{path}");
    }
    let push = json!({"changes": [{"collection": "todos", "id": "x", "data": {}}]});
    server.send_as(&token, "POST", "/v1/spaces/other/push", &push).await.problem(404, "not_found");
    server.get_as(&root, "/v1/spaces/other").await.problem(404, "not_found");
    // Within its reach a push makes the space, as anywhere.
    server.send_as(&token, "POST", "/v1/spaces/team-1/push", &push).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_the_spaces_within_reach_in_pages() {
    let (server, root) = locked().await;
    for name in ["a", "team-1", "team-2", "team-3", "teams", "z"] {
        server.send_as(&root, "PUT", &format!("/v1/spaces/{name}"), &json!({})).await.expect(201);
    }
    let names = async |token: &str, limit: usize| {
        let (mut names, mut query) = (Vec::new(), format!("?limit={limit}"));
        loop {
            let page = server.get_as(token, &format!("/v1/spaces{query}")).await.expect(200);
            let spaces = page["spaces"].as_array().unwrap();
            assert!(spaces.len() <= limit);
            names.extend(spaces.iter().map(|space| space["space"].as_str().unwrap().to_owned()));
            match page["after"].as_str() {
                Some(after) => query = format!("?limit={limit}&after={after}"),
                None => return names,
            }
        }
    };
    for (grants, expected) in [
        (json!([{"space": "*", "access": "read"}]), vec!["a", "demo", "team-1", "team-2", "team-3", "teams", "z"]),
        (json!([{"space": "team-*", "access": "read"}]), vec!["team-1", "team-2", "team-3"]),
        (
            json!([{"space": "z", "access": "read"}, {"space": "team-*", "access": "read"}, {"space": "demo", "access": "write"},
                   {"space": "team-2", "access": "admin"}, {"space": "gone", "access": "read"}]),
            vec!["demo", "team-1", "team-2", "team-3", "z"],
        ),
        (json!([{"space": "gone", "access": "read"}]), vec![]),
    ] {
        let token = server.issue(&root, &grants).await;
        for limit in [1, 2, 1000] {
            assert_eq!(names(&token, limit).await, expected, "{grants} by {limit}");
        }
    }
}
