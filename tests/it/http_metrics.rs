//! `/metrics` (PROTOCOL.md §9, docs/operations.md): each number moves when what it counts happens.

#![expect(clippy::float_cmp, clippy::cast_precision_loss, reason = "counts, which a float holds exactly")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use strandline::server::Config;
use strandline::store::StoreOptions;

use crate::support::{Numbers, Server, over_postgres};

const NDJSON: (&str, &str) = ("accept", "application/x-ndjson");
const PUSH: &str = "/v1/spaces/demo/push";
const DAY: Duration = Duration::from_secs(86_400);

/// One whose numbers of the database are never old.
async fn watched() -> Server {
    Server::start_with(Config { survey_age: Duration::ZERO, ..Config::default() }).await
}

/// One that compacts all the time.
async fn compacting() -> Server {
    let compact_interval = Duration::from_millis(20);
    Server::start_with(Config { survey_age: Duration::ZERO, compact_interval, ..Config::default() }).await
}

fn change(id: &str, base: &Value, data: &Value) -> Value {
    json!({"collection": "todos", "id": id, "base_rev": base, "data": data})
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route_and_status_and_timed_by_route() {
    let server = Server::start().await;
    let before = server.numbers().await;
    assert_eq!(before.get(&format!("strandline_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    server.write("a", &json!({})).await;
    server.get("/v1/spaces/demo/records/todos/a").await;
    server.get("/v1/spaces/demo/records/todos/b").await;
    server.send("BREW", "/v1/spaces/demo/records/todos/b", &[], "").await;
    server.get("/nowhere").await;
    let of = |method: &str, route: &str, status: u16| {
        format!("strandline_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}")
    };
    let record = "/v1/spaces/{space}/records/{collection}/{id}";
    let after = server.numbers().await;
    for (method, route, status) in [
        ("POST", "/v1/spaces/{space}/push", 200),
        ("GET", record, 200),
        ("GET", record, 404),
        ("other", record, 405),
        ("GET", "unknown", 404),
        ("GET", "/metrics", 200),
    ] {
        after.assert_up(&before, &[(&of(method, route, status), 1.0)]);
    }
    after.assert_up(&before, &[(&format!("strandline_http_request_seconds_count{{route=\"{record}\"}}"), 3.0)]);
    assert!(after.get(&format!("strandline_http_request_seconds_sum{{route=\"{record}\"}}")) > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_has_the_form_that_was_asked_for() {
    let server = Server::start().await;
    assert_eq!(server.get("/metrics").await.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let open = server.get_with("/metrics", &[("accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1")]).await;
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_are_counted_by_what_they_came_to_and_changes_by_what_they_were_sent_in() {
    let server = Server::start().await;
    server.fill(3).await;
    let (cursor, changes) = (server.cursor().await, "/v1/spaces/demo/changes");
    let before = server.numbers().await;
    let page = server.get(changes).await.body.len();
    let delta = server.get(&format!("{changes}?since=1")).await.body.len();
    server.get(&format!("{changes}?since={cursor}")).await;
    server.get_with(changes, &[("if-none-match", &format!("\"{cursor}\""))]).await;
    server.get(&format!("{changes}?since=9")).await.problem(410, "resync_required");
    let lines = server.get_with(changes, &[NDJSON]).await.body.len();
    let mut events = server.events(changes, &[]).await;
    events.page().await;
    let after = server.numbers().await;
    for (kind, times) in [
        ("initial", 1.0),
        ("delta", 1.0),
        ("up_to_date", 1.0),
        ("not_modified", 1.0),
        ("resync", 1.0),
        ("lines", 1.0),
        ("events", 1.0),
    ] {
        after.assert_up(&before, &[(&format!("strandline_pulls_total{{kind=\"{kind}\"}}"), times)]);
    }
    after.assert_up(
        &before,
        &[
            ("strandline_resyncs_total{reason=\"ahead\"}", 1.0),
            ("strandline_changes_sent_total{via=\"page\"}", 5.0),
            ("strandline_changes_sent_total{via=\"lines\"}", 3.0),
            ("strandline_changes_sent_total{via=\"events\"}", 3.0),
            ("strandline_sent_bytes_total{via=\"page\"}", (page + delta) as f64),
            ("strandline_sent_bytes_total{via=\"lines\"}", lines as f64),
            ("strandline_subscribers", 1.0),
        ],
    );
    assert!(after.get("strandline_sent_bytes_total{via=\"events\"}") > 100.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_and_their_changes_are_counted_by_outcome() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let before = server.numbers().await;
    let new = |id: &str| change(id, &Value::Null, &json!({}));
    let named = [("content-type", "application/json"), ("strandline-client", "phone")];
    let numbered = json!({"changes": [new("b")], "seq": 1}).to_string();
    // One that is applied, and came twice.
    server.send("POST", PUSH, &named, numbered.clone()).await;
    server.send("POST", PUSH, &named, numbered).await;
    server.post(PUSH, &json!({"changes": [change("a", &json!(0), &json!({"late": true})), new("c")]})).await;
    let atomic = json!({"changes": [change("a", &json!(0), &json!({"late": true})), new("d")], "atomic": true});
    server.post(PUSH, &atomic).await.problem(409, "push_refused");
    let of_another = json!({"changes": [], "cursor": "elsewhere.1"});
    server.post(PUSH, &of_another).await.problem(410, "resync_required");
    server.post("/v1/spaces/none/push", &json!({"changes": [], "cursor": "e.1"})).await.problem(404, "not_found");
    let large = json!({"changes": [{"collection": "todos", "id": "l", "data": {"l": "l".repeat(1 << 20)}}]});
    server.post(PUSH, &large).await;
    let after = server.numbers().await;
    for (outcome, times) in [("done", 3.0), ("duplicate", 1.0), ("refused", 1.0), ("resync", 1.0), ("no_space", 1.0)] {
        after.assert_up(&before, &[(&format!("strandline_pushes_total{{outcome=\"{outcome}\"}}"), times)]);
    }
    for (outcome, times) in
        [("applied", 2.0), ("unchanged", 1.0), ("conflict", 2.0), ("not_applied", 1.0), ("rejected", 1.0)]
    {
        after.assert_up(&before, &[(&format!("strandline_pushed_changes_total{{outcome=\"{outcome}\"}}"), times)]);
    }
    after.assert_up(&before, &[("strandline_resyncs_total{reason=\"epoch\"}", 1.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn repairs_are_counted_with_what_they_cost() {
    let server = Server::start().await;
    server.fill(4).await;
    let before = server.numbers().await;
    let manifest = server.get("/v1/spaces/demo/manifest").await.body.len();
    let fetch = "/v1/spaces/demo/fetch";
    let page = server.post(fetch, &json!({"runs": [1, 2]})).await.body.len();
    let lines = server
        .send("POST", fetch, &[("content-type", "application/json"), NDJSON], r#"{"runs":[0,4]}"#)
        .await
        .lines()
        .len();
    assert_eq!(lines, 5);
    let after = server.numbers().await;
    after.assert_up(
        &before,
        &[
            ("strandline_repairs_total{kind=\"manifest\"}", 1.0),
            ("strandline_repairs_total{kind=\"fetch\"}", 2.0),
            ("strandline_sent_bytes_total{via=\"manifest\"}", manifest as f64),
            ("strandline_changes_sent_total{via=\"fetch\"}", 6.0),
        ],
    );
    assert!(after.get("strandline_sent_bytes_total{via=\"fetch\"}") > page as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_is_told_with_the_age_of_its_oldest_tombstone_and_its_window() {
    let server = watched().await;
    server.fill(3).await;
    server.write_in("lists", "a", &json!({})).await;
    server.delete("r00002").await;
    server.clock.advance(2 * DAY);
    server.delete("r00001").await;
    server.clock.advance(DAY);
    server.put("/v1/spaces/kept", &json!({"retention": "forever"})).await;
    let numbers = server.numbers_when("both are seen", |seen| seen.get("strandline_spaces") == 2.0).await;
    for (name, value) in [
        ("head{space=\"demo\"}", 6.0),
        ("horizon{space=\"demo\"}", 0.0),
        ("records{space=\"demo\"}", 2.0),
        ("tombstones{space=\"demo\"}", 2.0),
        ("oldest_tombstone_age_seconds{space=\"demo\"}", 3.0 * 86_400.0),
        ("retention_seconds{space=\"demo\"}", 30.0 * 86_400.0),
        ("oldest_tombstone_age_seconds{space=\"kept\"}", 0.0),
    ] {
        assert_eq!(numbers.get(&format!("strandline_space_{name}")), value, "{name}");
    }
    assert!(!numbers.has("strandline_space_retention_seconds{space=\"kept\"}"), "for ever is no number of seconds");
    for (name, value) in [("records", 2.0), ("tombstones", 2.0), ("tombstone_bytes", 12.0)] {
        assert_eq!(numbers.get(&format!("strandline_{name}")), value, "{name}");
    }
    assert!(numbers.get("strandline_record_bytes") > 0.0);
    assert!(numbers.get("strandline_database_size_bytes") > 10_000.0);
    assert_eq!(numbers.get("strandline_wal_size_bytes") > 0.0, !over_postgres());
    assert_eq!(numbers.has("strandline_database_free_bytes"), !over_postgres());
    let path = "/v1/spaces/demo/compact";
    assert_eq!(server.post(path, &json!({"older_than": "2d"})).await.json()["purged"], 1);
    let is = |key: &str| format!("strandline_space_{key}{{space=\"demo\"}}");
    let left = server.numbers_when("the horizon rose", |seen| seen.get(&is("horizon")) == 5.0).await;
    assert_eq!(left.get(&is("oldest_tombstone_age_seconds")), 86_400.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_spaces_those_with_the_most_tombstones_are_told_apart() {
    let server = watched().await;
    for number in 0..101 {
        server.put(&format!("/v1/spaces/a{number:03}"), &json!({})).await;
    }
    // The last by name.
    server.write("a", &json!({})).await;
    server.delete("a").await;
    let numbers = server.numbers_when("all are seen", |seen| seen.get("strandline_tombstones") == 1.0).await;
    assert_eq!((numbers.get("strandline_spaces"), numbers.count("strandline_space_head")), (102.0, 100));
    assert!(numbers.has("strandline_space_head{space=\"demo\"}"));
    assert!(!numbers.has("strandline_space_head{space=\"a100\"}"));
    // A space that is gone is told no more.
    server.send("DELETE", "/v1/spaces/demo", &[], "").await;
    let fewer = server.numbers_when("it is gone", |seen| seen.get("strandline_spaces") == 101.0).await;
    assert_eq!(fewer.get("strandline_tombstones"), 0.0);
    assert!(!fewer.has("strandline_space_head{space=\"demo\"}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_seen_to_wait_and_to_share_transactions() {
    let server = Arc::new(Server::start().await);
    let before = server.numbers().await;
    assert_eq!(before.get("strandline_write_queue_limit"), 4096.0);
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (server, over) = (Arc::clone(&server), Arc::clone(&over));
            tokio::spawn(async move {
                // Each time anew: what changes nothing needs no commit.
                let mut times = 0..;
                while let (false, Some(time)) = (over.load(Ordering::Relaxed), times.next()) {
                    let change = |id: usize| change(&format!("{writer}-{id}"), &json!("*"), &json!({"time": time}));
                    let changes: Vec<Value> = (0..200).map(change).collect();
                    assert_eq!(server.post(PUSH, &json!({"changes": changes})).await.status, 200);
                }
            })
        })
        .collect();
    server.numbers_when("writes wait", |seen| seen.get("strandline_write_queue_length") > 0.0).await;
    let bucket = |seen: &Numbers, le: &str| seen.get(&format!("strandline_write_group_size_bucket{{le=\"{le}\"}}"));
    server.numbers_when("writes share", |seen| bucket(seen, "+Inf") > bucket(seen, "1.0")).await;
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let after = server.numbers().await;
    assert_eq!(after.get("strandline_write_queue_length"), 0.0);
    let groups = after.get("strandline_write_group_size_count");
    let writes = after.get("strandline_pushes_total{outcome=\"done\"}");
    assert_eq!(after.get("strandline_write_group_size_sum") - before.get("strandline_write_group_size_sum"), writes);
    for name in ["write_group", "commit"] {
        assert_eq!(after.get(&format!("strandline_{name}_seconds_count")), groups, "{name}");
        assert!(after.get(&format!("strandline_{name}_seconds_sum")) > 0.0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_find_no_room_in_the_queue_are_counted() {
    let narrow = StoreOptions { queue: 1, ..StoreOptions::default() };
    let server = Arc::new(Server::start_on(Config::default(), narrow).await);
    let mut refused = 0.0;
    while refused == 0.0 {
        let pushes = (0..16).map(|writer| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let change = |id: usize| change(&format!("{writer}-{id}"), &json!("*"), &json!({}));
                server.post(PUSH, &json!({"changes": (0..100).map(change).collect::<Vec<_>>()})).await.status
            })
        });
        for push in futures_util::future::join_all(pushes).await {
            refused += f64::from(u8::from(push.unwrap() == 503));
        }
    }
    let after = server.numbers().await;
    assert_eq!(after.get("strandline_writes_refused_total"), refused);
    assert_eq!(after.get("strandline_pushes_total{outcome=\"busy\"}"), refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_seen_to_work_and_to_wait_for_a_connection() {
    let server = Arc::new(Server::start().await);
    server.fill(2_000).await;
    let (of, over) = (|key: &str| format!("strandline_pool_{key}{{pool=\"read\"}}"), Arc::new(AtomicBool::new(false)));
    assert_eq!(server.numbers().await.get(&of("connections_limit")), 4.0);
    let readers: Vec<_> = (0..24)
        .map(|_| {
            let (server, over) = (Arc::clone(&server), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(server.get("/v1/spaces/demo/changes?limit=2000").await.status, 200);
                }
            })
        })
        .collect();
    server.numbers_when("reads are at work", |seen| seen.get(&of("connections_in_use")) > 0.0).await;
    server.numbers_when("reads wait", |seen| seen.get(&of("waiting")) > 0.0).await;
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    server
        .numbers_when("all is quiet", |seen| {
            seen.get(&of("connections_in_use")) == 0.0
                && seen.get(&of("waiting")) == 0.0
                && seen.get(&of("connections_idle")) > 0.0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compactor_tells_what_it_did_and_what_is_left() {
    let server = compacting().await;
    server.fill(6_000).await;
    let ids = (1..=6_000)
        .map(|id| json!({"collection": "todos", "id": format!("r{id:05}"), "base_rev": "*", "deleted": true}));
    server.post(PUSH, &json!({"changes": ids.collect::<Vec<_>>()})).await;
    let name = |rest: &str| format!("strandline_compactor_{rest}");
    let round = name("last_round_timestamp_seconds");
    let idle = server.numbers_when("a round is over", |seen| seen.has(&round)).await;
    assert_eq!((idle.get(&name("leader")), idle.get(&name("tombstones_purged_total"))), (1.0, 0.0));
    server.clock.advance(31 * DAY);
    let under_way = server.numbers_when("much is left", |seen| seen.get(&name("tombstones_left")) > 0.0).await;
    assert!(under_way.get(&name("tombstones_purged_total")) < 6_000.0);
    let all = |seen: &Numbers| seen.get(&name("tombstones_purged_total")) == 6_000.0;
    server.numbers_when("all is purged", all).await;
    let done = server.numbers_when("the round is over", |seen| seen.get(&round) > idle.get(&round) + 86_400.0).await;
    assert_eq!((done.get(&name("purged_bytes_total")), done.get(&name("tombstones_left"))), (36_000.0, 0.0));
    assert!(done.get(&name("step_seconds_count")) >= 5.0 && done.get(&name("step_seconds_sum")) > 0.0);
    assert!(done.get(&name("wait_seconds_total")) > 0.0 && done.has(&name("pages_given_back_total")));
    assert!(done.get(&name("rest_seconds_total")) > 0.0 && done.get(&name("rounds_total")) > 1.0);
    // What a deleted space leaves behind.
    server.write("a", &json!({})).await;
    server.send("DELETE", "/v1/spaces/demo", &[], "").await;
    server.numbers_when("it is swept", |seen| seen.get(&name("rows_swept_total")) > 0.0).await;
    assert_eq!(done.get(&name("rounds_failed_total")), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_is_told_and_so_is_the_rest() {
    let server = compacting().await;
    assert_eq!(server.numbers().await.get("strandline_database_up"), 1.0);
    server.store.close().await;
    let failed = "strandline_compactor_rounds_failed_total";
    let down = server
        .numbers_when("it is noticed", |seen| seen.get("strandline_database_up") == 0.0 && seen.get(failed) > 0.0)
        .await;
    assert!(!down.has("strandline_spaces"));
    let before = server.numbers().await;
    server.post(PUSH, &json!({"changes": []})).await.problem(503, "unavailable");
    let refused = "strandline_pushes_total{outcome=\"unavailable\"}";
    server.numbers().await.assert_up(&before, &[(refused, 1.0)]);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_system_knows_of_the_process_is_told() {
    let server = Server::start().await;
    let numbers = server.numbers().await;
    assert!(numbers.get("process_resident_memory_bytes") > 1e6);
    assert!(numbers.get("process_open_fds") > 3.0 && numbers.get("process_max_fds") > 3.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let age = now - numbers.get("process_start_time_seconds");
    assert!((-2.0..86_400.0).contains(&age), "it is {age} seconds old");
    server.fill(1_000).await;
    assert!(server.numbers().await.get("process_cpu_seconds_total") > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn known_clients_are_counted_and_those_behind_the_horizon_of_what_they_ask_for() {
    let server = watched().await;
    for (collection, id) in [("to_dos", "a"), ("lists", "b")] {
        server.write_in(collection, id, &json!({})).await;
    }
    for (client, choice) in [("whole", ""), ("lists", "&collections=lists"), ("todos", "&collections=to_dos")] {
        let path = format!("/v1/spaces/demo/changes?since=2{choice}");
        server.get_with(&path, &[("strandline-client", client)]).await.json();
    }
    let delete = json!({"changes": [{"collection": "to_dos", "id": "a", "base_rev": "*", "deleted": true}]});
    server.post(PUSH, &delete).await.json();
    server.get("/v1/spaces/demo/clients").await.json(); // Which has what is known written.
    let (known, behind) =
        ("strandline_space_clients{space=\"demo\"}", "strandline_space_clients_behind{space=\"demo\"}");
    let before = server.numbers().await;
    assert_eq!((before.get(known), before.get(behind)), (3.0, 0.0));
    let purged = server.post("/v1/spaces/demo/compact", &json!({"older_than": "0s"})).await.json();
    assert_eq!(purged["clients_behind"], 2);
    // A look at the database is worth keeping for some time, by how long it took.
    for _ in 0..400 {
        if server.numbers().await.get(behind) == 2.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("two clients are behind, and this is told: {}", server.numbers().await.get(behind));
}
