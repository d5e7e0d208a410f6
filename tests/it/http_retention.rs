//! PROTOCOL.md §7 over HTTP: the rule for tombstones, and purging by hand.

use std::time::Duration;

use serde_json::json;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn the_rule_of_a_space_is_read_and_changed() {
    let server = Server::start().await;
    let path = "/v1/spaces/demo/retention";
    server.get(path).await.problem(404, "not_found");
    server.put(path, &json!({"retention": "7d"})).await.problem(404, "not_found");
    server.get("/v1/spaces/demo").await.problem(404, "not_found");
    server.put("/v1/spaces/demo", &json!({})).await;
    let rule = json!({"retention": "30d", "hold_for_clients": false, "max_retention": "180d"});
    assert_eq!(server.get(path).await.json(), rule);
    let changed = json!({"retention": "7d", "hold_for_clients": false, "max_retention": "52w"});
    // What is absent stays as it is.
    for body in [&changed, &json!({"retention": "7d"}), &json!({"hold_for_clients": false}), &json!({})] {
        assert_eq!(server.put(path, body).await.json(), changed);
    }
    assert_eq!(server.get("/v1/spaces/demo").await.json()["retention"], "7d");
    for (body, says) in [
        (json!({"retention": null}), "null"),
        (json!({"retention": "soon"}), "duration"),
        (json!({"retention": "7d", "max_retention": "1y"}), "duration"),
        (json!({"max_tombstones": -1}), "-1"),
        (json!({"max_tombstones": u64::MAX}), "at most"),
        (json!({"retention": "7d", "hold": false}), "hold"),
    ] {
        server.put(path, &body).await.problem_about(400, "invalid_request", says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_removes_old_tombstones_and_raises_the_horizon_no_further_than_it_must() {
    let server = Server::start().await;
    let path = "/v1/spaces/demo/compact";
    server.post(path, &json!({})).await.problem(404, "not_found");
    for id in ["a", "bb", "c"] {
        server.write(id, &json!({})).await;
    }
    server.delete("a").await;
    server.clock.advance(Duration::from_secs(3600));
    server.delete("bb").await;
    server.write("c", &json!({"n": 1})).await;
    let would = server.post(path, &json!({"older_than": "30m", "dry_run": true})).await.json();
    let does = json!({"purged": 1, "bytes": 1, "horizon_before": 0, "horizon": 4, "clients_behind": 0});
    assert_eq!(would, does);
    assert_eq!(server.get("/v1/spaces/demo").await.json()["tombstones"], 2, "a dry run changes nothing");
    assert_eq!(server.post(path, &json!({"older_than": "30m", "force": true})).await.json(), does);
    // Without a word, by the space's own rule: nothing is that old.
    let nothing = json!({"purged": 0, "bytes": 0, "horizon_before": 4, "horizon": 4, "clients_behind": 0});
    assert_eq!(server.send("POST", path, &[], "").await.json(), nothing);
    assert_eq!(server.post(path, &json!({"older_than": "forever"})).await.json(), nothing);
    server.clock.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(server.send("POST", path, &[], "").await.json()["purged"], 1);
    let space = server.get("/v1/spaces/demo").await.json();
    assert_eq!((&space["horizon"], &space["head"], &space["tombstones"]), (&json!(5), &json!(6), &json!(0)));
    for (body, says) in [(json!({"older_than": "7"}), "duration"), (json!({"dry": true}), "dry"), (json!([]), "body")] {
        server.post(path, &body).await.problem_about(400, "invalid_request", says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compactor_purges_in_the_background_by_each_spaces_rule() {
    let config = strandline::server::Config { compact_interval: Duration::from_millis(50), ..Default::default() };
    let server = Server::start_with(config).await;
    server.write("a", &json!({})).await;
    server.delete("a").await;
    server.clock.advance(Duration::from_secs(31 * 86_400));
    for _ in 0..100 {
        if server.get("/v1/spaces/demo").await.json()["horizon"] == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing was purged within five seconds");
}
