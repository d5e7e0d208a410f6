//! PROTOCOL.md §7 over HTTP: what the server knows of clients, and what it keeps for them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Server;

/// Pulls under a name; the answer.
async fn pull(server: &Server, client: &str, query: &str) -> Value {
    let path = format!("/v1/spaces/demo/changes{query}");
    server.get_with(&path, &[("strandline-client", client), ("user-agent", "app/1.0")]).await.json()
}

async fn clients(server: &Server) -> Vec<Value> {
    server.get("/v1/spaces/demo/clients").await.json()["clients"].as_array().unwrap().clone()
}

/// Where a client is known to be: its cursor, its revision, and how far behind that is.
async fn place(server: &Server, client: &str) -> Value {
    let known = clients(server).await;
    let known = known.iter().find(|known| known["client"] == client).unwrap_or_else(|| panic!("{client}: {known:?}"));
    json!([known["cursor"], known["rev"], known["behind"]])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_known_by_the_place_that_it_last_sent() {
    let server = Server::start().await;
    server.get("/v1/spaces/demo/clients").await.problem(404, "not_found");
    for n in 1..=5 {
        server.write(&format!("r{n}"), &json!({"n": n})).await;
    }
    assert_eq!(server.get("/v1/spaces/demo/clients").await.json(), json!({"clients": [], "after": null}));

    // An initial sync: the head at its start, also when writes come in between.
    let first = pull(&server, "phone", "?limit=2").await;
    assert_eq!(place(&server, "phone").await, json!([null, 5, 0]));
    server.write("r6", &json!({})).await;
    let cursor = first["cursor"].as_str().unwrap();
    let second = pull(&server, "phone", &format!("?since={cursor}&limit=2")).await;
    assert_eq!(place(&server, "phone").await, json!([cursor, 5, 1]));
    let third = pull(&server, "phone", &format!("?since={}", second["cursor"].as_str().unwrap())).await;
    let whole = third["cursor"].as_str().unwrap();
    pull(&server, "phone", &format!("?since={whole}")).await;
    assert_eq!(place(&server, "phone").await, json!([whole, 6, 0]));

    // Any form of `since`.
    pull(&server, "script", "?since=2").await;
    assert_eq!(place(&server, "script").await, json!([null, 2, 4]));
    pull(&server, "script", "?since=now").await;
    assert_eq!(place(&server, "script").await, json!([null, 6, 0]));
    server.clock.advance(Duration::from_secs(60));
    server.write("r7", &json!({})).await;
    pull(&server, "script", "?since=2026-11-22T20:00:30Z").await;
    assert_eq!(place(&server, "script").await, json!([null, 6, 1]));

    // A push says it too, by its cursor.
    let push = json!({"changes": [{"collection": "todos", "id": "mine", "data": {}}], "cursor": whole, "seq": 1});
    let headers = [("strandline-client", "tablet"), ("content-type", "application/json")];
    server.send("POST", "/v1/spaces/demo/push", &headers, push.to_string()).await.json();
    assert_eq!(place(&server, "tablet").await, json!([whole, 6, 2]));

    let known = clients(&server).await;
    let names: Vec<&Value> = known.iter().map(|known| &known["client"]).collect();
    assert_eq!(names, ["phone", "script", "tablet"]);
    assert_eq!(known[0]["agent"], "app/1.0");
    assert_eq!(known[0]["last_seen"], "2026-11-22T20:00:00.000000Z");
    assert!(known[0].get("collections").is_none());

    // The choice of collections is known, and a time passes on though the place stays.
    server.clock.advance(Duration::from_secs(5));
    pull(&server, "phone", &format!("?since={whole}&wait=0")).await;
    pull(&server, "script", "?since=now&collections=todos,lists").await;
    let known = clients(&server).await;
    assert_eq!(known[0]["last_seen"], "2026-11-22T20:01:05.000000Z");
    assert_eq!(known[1]["collections"], json!(["lists", "todos"]));

    let page = server.get("/v1/spaces/demo/clients?limit=2").await.json();
    assert_eq!((page["clients"].as_array().unwrap().len(), &page["after"]), (2, &json!("script")));
    let rest = server.get("/v1/spaces/demo/clients?after=script").await.json();
    assert_eq!((&rest["clients"][0]["client"], &rest["after"]), (&json!("tablet"), &Value::Null));
    server.get("/v1/spaces/demo/clients?after=%20").await.problem_about(400, "invalid_request", "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_or_listens_is_seen_at_once_and_moves_on_with_what_it_is_sent() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = server.get("/v1/spaces/demo").await.json()["cursor"].as_str().unwrap().to_owned();
    let path = format!("/v1/spaces/demo/changes?since={cursor}&wait=30");
    let waiting = server.request("GET", &path, &[("strandline-client", "poll")], Vec::new()).send();
    let waiting = tokio::spawn(waiting);
    let path = format!("/v1/spaces/demo/changes?since={cursor}");
    let headers = [("strandline-client", "live"), ("accept", "text/event-stream")];
    let mut listening = server.request("GET", &path, &headers, Vec::new()).send().await.unwrap();
    until("both are known", async || clients(&server).await.len() == 2).await;
    server.write("b", &json!({})).await;
    waiting.await.unwrap().unwrap();
    assert!(listening.chunk().await.unwrap().is_some());
    until("the listener is known to have it", async || place(&server, "live").await[1] == 2).await;
    assert_eq!(place(&server, "poll").await[1], 1);
    let stats = server.get("/v1/spaces/demo/stats").await.json();
    let lag = |from: u64, to: u64| json!({"behind_from": from, "behind_to": to, "clients": 1});
    assert_eq!(stats["clients"], json!([lag(0, 0), lag(1, 9)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_outlasts_the_server_and_ends_with_its_expiry() {
    let config = strandline::server::Config {
        compact_interval: Duration::from_millis(50),
        client_expiry: "30d".parse().unwrap(),
        ..Default::default()
    };
    let server = Server::start_with(config).await;
    server.write("a", &json!({})).await;
    pull(&server, "phone", "").await;
    pull(&server, "tablet", "").await;
    assert_eq!(clients(&server).await.len(), 2);
    server.clock.advance(Duration::from_secs(20 * 86_400));
    pull(&server, "tablet", "").await;
    assert_eq!(clients(&server).await.len(), 2);
    server.clock.advance(Duration::from_secs(20 * 86_400));
    until("the phone is forgotten", async || {
        clients(&server).await.iter().map(|known| known["client"].clone()).collect::<Vec<_>>() == ["tablet"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_be_forgotten() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    pull(&server, "a/b%c", "").await;
    server.send("DELETE", "/v1/spaces/demo/clients/nobody", &[], "").await.problem(404, "not_found");
    server.send("DELETE", "/v1/spaces/other/clients/nobody", &[], "").await.problem(404, "not_found");
    let gone = server.send("DELETE", "/v1/spaces/demo/clients/a%2Fb%25c", &[], "").await;
    assert_eq!(gone.status, 204);
    assert_eq!(clients(&server).await, Vec::<Value>::new());
    pull(&server, "a/b%c", "").await;
    assert_eq!(clients(&server).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_a_name_are_counted_by_how_far_behind_they_are() {
    let server = Server::start().await;
    for n in 0..30 {
        server.write(&format!("r{n}"), &json!({})).await;
    }
    for since in ["30", "30", "27", "12", "1"] {
        server.get(&format!("/v1/spaces/demo/changes?since={since}")).await.json();
    }
    let stats = server.get("/v1/spaces/demo/stats").await.json();
    let counts: Vec<Value> = stats["anonymous"]
        .as_array()
        .unwrap()
        .iter()
        .map(|count| json!([count["behind_from"], count["behind_to"], count["pulls"]]))
        .collect();
    assert_eq!(counts, [json!([0, 0, 2]), json!([1, 9, 1]), json!([10, 99, 2])]);
    assert_eq!(stats["clients"], json!([]));
    assert_eq!(clients(&server).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn tombstones_are_held_for_clients_up_to_the_age_at_which_a_hold_ends() {
    let server = Server::start().await;
    let rule = json!({"retention": "1d", "hold_for_clients": true, "max_retention": "30d"});
    server.put("/v1/spaces/demo", &json!({})).await;
    let read = server.put("/v1/spaces/demo/retention", &rule).await.json();
    assert_eq!(read, rule);
    for id in ["a", "b", "c"] {
        server.write(id, &json!({})).await;
    }
    pull(&server, "phone", "?since=3").await; // The head is 3.
    server.delete("a").await; // 4
    pull(&server, "tablet", "?since=4").await;
    server.delete("b").await; // 5
    server.clock.advance(Duration::from_secs(2 * 86_400));

    let compact = async |order: Value| server.post("/v1/spaces/demo/compact", &order).await.json();
    let nothing = json!({"purged": 0, "bytes": 0, "horizon_before": 0, "horizon": 0, "clients_behind": 0});
    assert_eq!(compact(json!({})).await, nothing);
    let state = server.get("/v1/spaces/demo/retention/state").await.json();
    assert_eq!((&state["rule"], &state["purgeable"]), (&json!("hold_for_clients"), &json!(0)));
    let pins: Vec<&Value> = state["pinned_by"].as_array().unwrap().iter().map(|pin| &pin["client"]).collect();
    assert_eq!(pins, ["phone", "tablet"]);

    // The phone has been here: what only it needed goes.
    pull(&server, "phone", "?since=5").await;
    let first = json!({"purged": 1, "bytes": 1, "horizon_before": 0, "horizon": 4, "clients_behind": 0});
    assert_eq!(compact(json!({"dry_run": true})).await, first);
    assert_eq!(compact(json!({})).await, first);
    // By force also what the tablet needs.
    let forced = json!({"purged": 1, "bytes": 1, "horizon_before": 4, "horizon": 5, "clients_behind": 1});
    assert_eq!(compact(json!({"force": true, "dry_run": true})).await, forced);

    // A hold ends.
    server.clock.advance(Duration::from_secs(29 * 86_400));
    let state = server.get("/v1/spaces/demo/retention/state").await.json();
    assert_eq!((&state["rule"], &state["purgeable"]), (&json!("max_retention"), &json!(1)));
    assert_eq!(compact(json!({})).await, forced);
    server
        .get_with("/v1/spaces/demo/changes?since=4", &[("strandline-client", "tablet")])
        .await
        .problem(410, "resync_required");

    // One that is behind already holds nothing back.
    server.delete("c").await; // 6
    server.clock.advance(Duration::from_secs(2 * 86_400));
    pull(&server, "phone", "?since=6").await;
    let last = json!({"purged": 1, "bytes": 1, "horizon_before": 5, "horizon": 6, "clients_behind": 1});
    assert_eq!(compact(json!({})).await, last);
    assert_eq!(server.get("/v1/spaces/demo/retention/state").await.json()["rule"], "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_about_the_collections_that_a_client_asks_for() {
    let server = Server::start().await;
    for (collection, id) in [("todos", "a"), ("lists", "l")] {
        server.write_in(collection, id, &json!({})).await;
    }
    let rule = json!({"retention": "0s", "hold_for_clients": true});
    server.put("/v1/spaces/demo/retention", &rule).await.json();
    pull(&server, "phone", "?since=2&collections=lists").await;
    server.delete("a").await; // 3, a todo
    let change = json!({"collection": "lists", "id": "l", "base_rev": "*", "deleted": true});
    server.post("/v1/spaces/demo/push", &json!({"changes": [change]})).await.json(); // 4
    let purged = server.post("/v1/spaces/demo/compact", &json!({})).await.json();
    assert_eq!((&purged["purged"], &purged["horizon"], &purged["clients_behind"]), (&json!(1), &json!(3), &json!(0)));
    pull(&server, "phone", "?since=4&collections=lists").await;
    let purged = server.post("/v1/spaces/demo/compact", &json!({})).await.json();
    assert_eq!((&purged["purged"], &purged["horizon"]), (&json!(1), &json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_on_tombstones_lets_the_oldest_go_whatever_their_age() {
    let config = strandline::server::Config { compact_interval: Duration::from_millis(50), ..Default::default() };
    let server = Server::start_with(config).await;
    for n in 0..6 {
        server.write_in(if n % 2 == 0 { "todos" } else { "lists" }, &format!("r{n}"), &json!({})).await;
    }
    pull(&server, "phone", "?since=6").await;
    for n in 0..6 {
        let collection = if n % 2 == 0 { "todos" } else { "lists" };
        let change = json!({"collection": collection, "id": format!("r{n}"), "base_rev": "*", "deleted": true});
        server.post("/v1/spaces/demo/push", &json!({"changes": [change]})).await.json(); // 7 to 12
    }
    let rule = json!({"retention": "forever", "hold_for_clients": true, "max_tombstones": 2});
    assert_eq!(server.put("/v1/spaces/demo/retention", &rule).await.json()["max_tombstones"], 2);
    until("all but two are gone", async || server.get("/v1/spaces/demo").await.json()["tombstones"] == 2).await;
    assert_eq!(server.get("/v1/spaces/demo").await.json()["horizon"], 10);
    let unset = server.put("/v1/spaces/demo/retention", &json!({"max_tombstones": null})).await.json();
    assert!(unset.get("max_tombstones").is_none(), "{unset}");
    assert_eq!(server.get("/v1/spaces/demo/retention/state").await.json()["rule"], "forever");
}

/// Waits until something is so.
async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if is().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it does not come about that {what}");
}
