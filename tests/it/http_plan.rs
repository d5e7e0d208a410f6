//! PROTOCOL.md §7 over HTTP: what a purge would do, compared with what it then does.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Server;

const DAY: Duration = Duration::from_secs(86_400);

/// A space of ten days: each day records are written and some are deleted, and a client is here for the last time.
async fn ten_days(server: &Server) {
    for day in 0..10_u64 {
        for n in 0..12 {
            let collection = if n % 3 == 0 { "lists" } else { "todos" };
            // Ids that are longer as JSON, and in bytes, than they look.
            let id = format!("d{day}\"n\\{n}é");
            server.write_in(collection, &id, &json!({"day": day, "text": "x".repeat(10 * n)})).await;
        }
        for n in 0..day {
            let collection = if n % 3 == 0 { "lists" } else { "todos" };
            let change =
                json!({"collection": collection, "id": format!("d{day}\"n\\{n}é"), "base_rev": "*", "deleted": true});
            server.post("/v1/spaces/demo/push", &json!({"changes": [change]})).await.json();
        }
        let since = server.get("/v1/spaces/demo").await.json()["head"].clone();
        let name = format!("client-{day}");
        let choice = if day % 2 == 0 { "" } else { "&collections=lists" };
        let path = format!("/v1/spaces/demo/changes?since={since}{choice}");
        server.get_with(&path, &[("strandline-client", &name)]).await.json();
        server.clock.advance(DAY);
    }
}

async fn plan(server: &Server, windows: &str) -> Vec<Value> {
    let plan = server.get(&format!("/v1/spaces/demo/retention/plan?windows={windows}")).await.json();
    plan["plan"].as_array().unwrap().clone()
}

/// The bytes of what a client at `rev` is sent to repair itself: the manifest and the records that it does not have.
async fn repair_bytes(server: &Server, rev: u64, collections: Option<&str>) -> u64 {
    let choice = collections.map(|names| format!("?collections={names}")).unwrap_or_default();
    let manifest = server.get(&format!("/v1/spaces/demo/manifest{choice}")).await;
    let mut body = json!({"runs": [rev, 1_000_000]});
    if let Some(names) = collections {
        body["collections"] = json!([names]);
    }
    let headers = [("content-type", "application/json"), ("accept", "application/x-ndjson")];
    let fetched = server.send("POST", "/v1/spaces/demo/fetch", &headers, body.to_string()).await;
    let lines = fetched.text().lines().count();
    let fetched = if lines == 1 { 0 } else { fetched.text().len() };
    (manifest.text().len() + fetched) as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_what_the_purge_then_does() {
    for window in ["9d", "7d", "4d", "1d", "0s"] {
        let server = Server::start().await;
        ten_days(&server).await;
        let before = server.get("/v1/spaces/demo").await.json();
        let planned = plan(&server, &format!("forever,{window},365d")).await;
        let nothing = json!({"window": "forever", "tombstones": 0, "bytes": 0, "horizon": 0, "clients_behind": 0,
            "clients": [], "resync_bytes": 0, "download_bytes": 0});
        assert_eq!(planned[0], nothing);
        assert_eq!(planned[2]["tombstones"], 0);
        let planned = &planned[1];
        assert_eq!(server.get("/v1/spaces/demo").await.json(), before, "a plan changes nothing");

        let purged = server.post("/v1/spaces/demo/compact", &json!({"older_than": window})).await.json();
        assert_eq!(
            json!([planned["tombstones"], planned["bytes"], planned["horizon"], planned["clients_behind"]]),
            json!([purged["purged"], purged["bytes"], purged["horizon"], purged["clients_behind"]]),
            "{window}"
        );
        assert!(planned["tombstones"].as_u64().unwrap() > 0, "{window}");

        // Those named are told to resync, and the others are not; and that is what it costs them.
        let named: BTreeSet<&str> =
            planned["clients"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        assert_eq!(named.len() as u64, planned["clients_behind"].as_u64().unwrap());
        let known = server.get("/v1/spaces/demo/clients").await.json();
        let mut bytes = 0;
        for client in known["clients"].as_array().unwrap() {
            let (rev, collections) = (client["rev"].as_u64().unwrap(), client.get("collections").map(|_| "lists"));
            let choice = collections.map(|names| format!("&collections={names}")).unwrap_or_default();
            let status = server.get(&format!("/v1/spaces/demo/changes?since={rev}{choice}")).await.status;
            let is_named = named.contains(client["client"].as_str().unwrap());
            assert_eq!(status == 410, is_named, "{window}: {client}");
            if is_named {
                bytes += repair_bytes(&server, rev, collections).await;
            }
        }
        assert_eq!(planned["resync_bytes"].as_u64().unwrap(), bytes, "{window}");
        assert!(planned["download_bytes"].as_u64().unwrap() > bytes || bytes == 0, "{window}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_honours_the_hold_and_the_bound() {
    let server = Server::start().await;
    ten_days(&server).await;
    let free = plan(&server, "0s").await;
    server.put("/v1/spaces/demo/retention", &json!({"hold_for_clients": true})).await.json();
    let held = plan(&server, "0s").await;
    assert!(held[0]["tombstones"].as_u64() < free[0]["tombstones"].as_u64());
    assert_eq!(held[0]["clients_behind"], 0);
    let purged = server.post("/v1/spaces/demo/compact", &json!({"older_than": "0s", "dry_run": true})).await.json();
    assert_eq!((&purged["purged"], &purged["horizon"]), (&held[0]["tombstones"], &held[0]["horizon"]));
    server.put("/v1/spaces/demo/retention", &json!({"max_tombstones": 5})).await.json();
    let bound = plan(&server, "forever").await;
    let all = server.get("/v1/spaces/demo").await.json()["tombstones"].as_u64().unwrap();
    assert_eq!(bound[0]["tombstones"].as_u64().unwrap(), all - 5);
    let purged = server.post("/v1/spaces/demo/compact", &json!({"older_than": "forever"})).await.json();
    assert_eq!(
        json!([purged["purged"], purged["bytes"], purged["horizon"], purged["clients_behind"]]),
        json!([bound[0]["tombstones"], bound[0]["bytes"], bound[0]["horizon"], bound[0]["clients_behind"]]),
    );
    assert_eq!(server.get("/v1/spaces/demo").await.json()["tombstones"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_none_is_refused() {
    let server = Server::start().await;
    server.get("/v1/spaces/demo/retention/plan").await.problem(404, "not_found");
    server.write("a", &json!({})).await;
    let plan = server.get("/v1/spaces/demo/retention/plan").await.json();
    assert_eq!(plan["plan"][1]["window"], "7d");
    let many = ["1d"; 101].join(",");
    for (query, says) in [
        ("windows=".to_owned(), "duration"),
        ("windows=7".to_owned(), "duration"),
        ("windows=7d,,1d".to_owned(), "duration"),
        (format!("windows={many}"), "at most 100"),
        ("window=7d".to_owned(), "window"),
    ] {
        let answer = server.get(&format!("/v1/spaces/demo/retention/plan?{query}")).await;
        answer.problem_about(400, "invalid_request", says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_tell_sizes_ages_and_how_it_went() {
    let config = strandline::server::Config { sample_interval: Duration::from_millis(30), ..Default::default() };
    let server = Server::start_with(config).await;
    server.get("/v1/spaces/demo/stats").await.problem(404, "not_found");
    server.write("a", &json!({"n": 1})).await;
    server.write("bb", &json!({})).await;
    server.delete("a").await;
    server.clock.advance(2 * DAY);
    server.delete("bb").await;
    let history = loop {
        let stats = server.get("/v1/spaces/demo/stats").await.json();
        let history = stats["history"].as_array().unwrap().clone();
        if history.len() > 1 {
            break history;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let heads: Vec<u64> = history.iter().map(|sample| sample["head"].as_u64().unwrap()).collect();
    assert!(heads.is_sorted() && heads.last() == Some(&4), "{heads:?}");
    let stats = server.get("/v1/spaces/demo/stats").await.json();
    assert_eq!(
        json!([stats["head"], stats["records"], stats["tombstones"], stats["tombstone_bytes"], stats["record_bytes"]]),
        json!([4, 0, 2, 3, 0])
    );
    assert_eq!(stats["collections"][0]["collection"], "todos");
    assert_eq!(stats["oldest_tombstone"], "2026-11-22T20:00:00.000000Z");
    let ages: Vec<(&str, u64)> = stats["tombstone_ages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|age| (age["older_than"].as_str().unwrap(), age["tombstones"].as_u64().unwrap()))
        .collect();
    assert_eq!((ages[0], ages[1], ages[6]), (("0s", 2), ("1h", 1), ("2d", 1)));
    assert_eq!(ages.last(), Some(&("365d", 0)));
}
