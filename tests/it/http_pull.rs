//! PROTOCOL.md §3 over HTTP: pages, validators, long polls, and every way to fall behind.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strandline::domain::Clock;

use crate::support::Server;

fn revs(page: &Value) -> Vec<u64> {
    page["changes"].as_array().unwrap().iter().map(|change| change["rev"].as_u64().unwrap()).collect()
}

async fn pull(server: &Server, query: &str) -> Value {
    let answer = server.get(&format!("/v1/spaces/demo/changes{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_initial_sync_gives_what_is_live_and_a_delta_what_changed() {
    let server = Server::start().await;
    server.write("a", &json!({"n": 1})).await;
    server.write("b", &json!({})).await;
    server.delete("b").await;
    let page = pull(&server, "").await;
    let epoch = server.cursor().await.split_once('.').unwrap().0.to_owned();
    assert_eq!(
        page,
        json!({
            "changes": [{"collection": "todos", "id": "a", "rev": 1, "modified_at": "2026-11-22T20:00:00.000000Z",
                "deleted": false, "data": {"n": 1}}],
            "cursor": format!("{epoch}.3"), "has_more": false, "head": 3, "horizon": 0,
            "valid_until": "2026-12-22T20:00:00.000000Z", "count": 1, "checksum": "910a2dec89025cc1"})
    );
    for (since, expected) in [
        ("0", &[1, 3][..]),
        ("1", &[3]),
        ("3", &[]),
        ("now", &[]),
        ("2026-11-22T20:00:00Z", &[1, 3]),
        ("2026-11-22T21:00:00%2B01:00", &[1, 3]),
        ("2026-11-22T20:00:01Z", &[]),
        (&format!("{epoch}.1"), &[3]),
        (&format!("{epoch}.1.p"), &[3]),
        (&format!("{epoch}.1.3"), &[]),
        (&format!("{epoch}.1.2"), &[3]),
    ] {
        let page = pull(&server, &format!("?since={since}")).await;
        assert_eq!(revs(&page), expected, "{since}");
        assert_eq!(page["cursor"], format!("{epoch}.3"), "{since}");
    }
    let tombstone = &pull(&server, "?since=1").await["changes"][0];
    assert_eq!(
        *tombstone,
        json!({"collection": "todos", "id": "b", "rev": 3,
        "modified_at": "2026-11-22T20:00:00.000000Z", "deleted": true})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_back_as_it_was_written() {
    let server = Server::start().await;
    let data = r#"{"z":1.10,"a":123456789012345678901234567890,"é":"\u00e9\/","l":[ 1e400 , {} ]}"#;
    let push = format!(r#"{{"changes":[{{"collection":"todos","id":"a","data":{data}}}]}}"#);
    let path = "/v1/spaces/demo/push";
    assert_eq!(server.send("POST", path, &[("content-type", "application/json")], push).await.status, 200);
    let compact = r#""data":{"z":1.10,"a":123456789012345678901234567890,"é":"\u00e9\/","l":[1e400,{}]}"#;
    for path in ["/v1/spaces/demo/changes", "/v1/spaces/demo/records/todos/a", "/v1/spaces/demo/records/todos"] {
        let text = server.get(path).await.text();
        assert!(text.contains(compact), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_by_cursor_and_by_link() {
    let server = Server::start().await;
    server.fill(5).await;
    let mut path = "/v1/spaces/demo/changes?limit=2&collections=todos".to_owned();
    let mut seen = Vec::new();
    for pages in 1.. {
        let answer = server.get(&path).await;
        let page = answer.json();
        seen.extend(revs(&page));
        if page["has_more"] == json!(false) {
            assert_eq!((pages, answer.header("link")), (3, ""));
            assert_eq!(page["count"], 5);
            break;
        }
        assert!(page.get("count").is_none() && page.get("checksum").is_none(), "{page}");
        let cursor = page["cursor"].as_str().unwrap();
        assert!(cursor.contains(".5~"), "an initial sync's cursor keeps its start: {cursor}");
        let next = format!("/v1/spaces/demo/changes?since={cursor}&limit=2&collections=todos");
        assert_eq!(answer.header("link"), format!("<{next}>; rel=\"next\""));
        path = next;
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_pages_under_concurrent_writes_misses_nothing() {
    let server = Server::start().await;
    server.fill(30).await;
    let mut replica = std::collections::BTreeMap::new();
    let mut path = "/v1/spaces/demo/changes?limit=7".to_owned();
    for step in 0.. {
        let page = pull(&server, path.split_once("changes").unwrap().1).await;
        for change in page["changes"].as_array().unwrap() {
            let id = change["id"].as_str().unwrap().to_owned();
            if change["deleted"] == json!(true) {
                replica.remove(&id);
            } else {
                replica.insert(id, change["rev"].as_u64().unwrap());
            }
        }
        if page["has_more"] == json!(false) {
            assert_eq!(page["count"], replica.len());
            break;
        }
        // What lies behind the reader moves ahead of it, and what lies ahead goes away.
        if step < 4 {
            server.write(&format!("r{:05}", step + 1), &json!({"again": step})).await;
            server.delete(&format!("r{:05}", 30 - step)).await;
        }
        path = format!("/v1/spaces/demo/changes?limit=7&since={}", page["cursor"].as_str().unwrap());
    }
    let truth = pull(&server, "?limit=10000").await;
    let truth: Vec<u64> = revs(&truth);
    let mut held: Vec<u64> = replica.into_values().collect();
    held.sort_unstable();
    assert_eq!(held, truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_of_collections_has_its_own_cursors_counts_and_horizon() {
    let server = Server::start().await;
    server.write_in("todos", "a", &json!({})).await;
    server.write_in("lists", "b", &json!({})).await;
    server.write_in("notes", "c", &json!({})).await;
    let both = pull(&server, "?collections=todos,lists").await;
    assert_eq!((revs(&both), &both["count"], &both["head"]), (vec![1, 2], &json!(2), &json!(3)));
    let cursor = both["cursor"].as_str().unwrap();
    // In any order, and once is enough.
    let same = pull(&server, &format!("?collections=lists,todos,lists&since={cursor}")).await;
    assert_eq!(same["cursor"], cursor);
    for other in ["", "&collections=todos", "&collections=todos,lists,notes"] {
        let answer = server.get(&format!("/v1/spaces/demo/changes?since={cursor}{other}")).await;
        let problem = answer.problem(410, "resync_required");
        assert_eq!((&problem["reason"], &problem["shared_rev"]), (&json!("scope"), &json!(3)), "{other}");
    }
    server.delete("a").await;
    server.purge().await;
    let lists = pull(&server, "?collections=lists&since=2").await;
    assert_eq!((&lists["horizon"], revs(&lists)), (&json!(0), vec![]));
    let problem = server.get("/v1/spaces/demo/changes?collections=todos&since=2").await.problem(410, "resync_required");
    assert_eq!(problem["manifest"], "/v1/spaces/demo/manifest?collections=todos");
    let never_written = pull(&server, "?collections=never").await;
    assert_eq!((revs(&never_written), &never_written["checksum"]), (vec![], &json!("0000000000000000")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_fell_behind_is_told_why_and_what_it_still_shares() {
    let server = Server::start().await;
    for id in ["a", "b", "c"] {
        server.write(id, &json!({})).await;
    }
    let initial = pull(&server, "?limit=1").await["cursor"].as_str().unwrap().to_owned();
    let old = server.cursor().await;
    server.delete("b").await;
    server.clock.advance(Duration::from_secs(60));
    server.write("d", &json!({})).await;
    server.purge().await;
    let epoch = old.split_once('.').unwrap().0.to_owned();
    for (since, reason, shared) in [
        (old.as_str(), "purged", 3),
        ("0", "purged", 0),
        ("3", "purged", 3),
        (&format!("{epoch}.3.p"), "purged", 3),
        (&initial, "purged", 1),
        ("2026-11-22T20:00:00Z", "purged", 0),
        ("6", "ahead", 0),
        (&format!("{epoch}.9"), "ahead", 0),
        (&format!("{epoch}.2.9"), "ahead", 0),
        ("zzz.3", "epoch", 0),
        (&format!("{epoch}.5~000000000000"), "scope", 5),
    ] {
        let answer = server.get(&format!("/v1/spaces/demo/changes?since={since}")).await;
        let problem = answer.problem(410, "resync_required");
        assert_eq!((&problem["reason"], &problem["shared_rev"]), (&json!(reason), &json!(shared)), "{since}");
        assert_eq!((&problem["epoch"], &problem["head"], &problem["horizon"]), (&json!(epoch), &json!(5), &json!(4)));
        assert_eq!(problem["manifest"], "/v1/spaces/demo/manifest");
    }
    // A time after the newest purged tombstone is still complete, and so is the horizon itself.
    assert_eq!(revs(&pull(&server, "?since=2026-11-22T20:00:01Z").await), [5]);
    assert_eq!(revs(&pull(&server, "?since=4").await), [5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_history_is_a_resync_only_for_those_beyond_the_break() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let shared = server.cursor().await;
    let epoch = shared.split_once('.').unwrap().0.to_owned();
    let space = strandline::domain::SpaceName::new("demo").unwrap();
    server.store.open_epoch(space).await.unwrap();
    server.write("b", &json!({})).await;
    let page = pull(&server, &format!("?since={shared}")).await;
    assert_eq!(revs(&page), [2]);
    assert!(!page["cursor"].as_str().unwrap().starts_with(&epoch), "the pull goes on in the new epoch");
    for (since, shared) in [(format!("{epoch}.2"), 1), (format!("{epoch}.1.p"), 1), (format!("{epoch}.0.1"), 1)] {
        let problem =
            server.get(&format!("/v1/spaces/demo/changes?since={since}")).await.problem(410, "resync_required");
        assert_eq!((&problem["reason"], &problem["shared_rev"]), (&json!("epoch"), &json!(shared)), "{since}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_up_to_date_gets_a_304_and_one_behind_the_horizon_a_410() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = server.cursor().await;
    let path = format!("/v1/spaces/demo/changes?since={cursor}");
    let tag = format!("\"{cursor}\"");
    assert_eq!(server.get(&path).await.header("etag"), tag);
    for held in [tag.as_str(), "*", &format!("W/{tag}"), &format!("\"x\", {tag}")] {
        let answer = server.get_with(&path, &[("if-none-match", held)]).await;
        assert_eq!((answer.status, answer.header("etag"), answer.body.len()), (304, tag.as_str(), 0), "{held}");
        assert_eq!((answer.header("cache-control"), answer.header("content-length")), ("no-cache", ""));
    }
    assert_eq!(server.get_with(&path, &[("if-none-match", "\"x\"")]).await.status, 200);
    // Under way a client does not hold the answer yet, and a tag must not stop it there.
    for under_way in [format!("{cursor}.p"), format!("{cursor}.1")] {
        let path = format!("/v1/spaces/demo/changes?since={under_way}");
        assert_eq!(server.get_with(&path, &[("if-none-match", &tag)]).await.status, 200, "{under_way}");
    }
    let head = server.send("HEAD", &path, &[], "").await;
    assert_eq!((head.status, head.header("etag")), (200, tag.as_str()));
    server.delete("a").await;
    server.purge().await;
    let present = format!("\"{}\"", server.cursor().await);
    server.get_with(&path, &[("if-none-match", &present)]).await.problem(410, "resync_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_until_the_oldest_tombstone_after_it_may_go() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let before = server.cursor().await;
    server.delete("a").await;
    server.clock.advance(Duration::from_secs(3600));
    let valid = pull(&server, &format!("?since={before}&limit=1")).await["valid_until"].clone();
    assert_eq!(valid, "2026-12-22T21:00:00.000000Z", "at the head nothing is after the cursor");
    assert_eq!(pull(&server, "?limit=1").await["valid_until"], "2026-12-22T21:00:00.000000Z");
    server.put("/v1/spaces/demo", &json!({"retention": "forever"})).await;
    assert_eq!(pull(&server, "").await["valid_until"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_not_one_is_refused() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    for (query, code, says) in [
        ("since=", "invalid_cursor", "since"),
        ("since=nonsense", "invalid_cursor", "since"),
        ("since=-1", "invalid_cursor", "since"),
        ("since=9007199254740992", "invalid_cursor", "since"),
        ("since=2026-11-22T20:00:00+01:00", "invalid_cursor", "%2B"),
        ("sicne=1", "invalid_request", "sicne"),
        ("since=1&since=1", "invalid_request", "since"),
        ("limit=0", "invalid_request", "limit"),
        ("limit=10001", "invalid_request", "limit"),
        ("limit=ten", "invalid_request", "limit"),
        ("limit=", "invalid_request", "limit"),
        ("wait=61", "invalid_request", "wait"),
        ("wait=-1", "invalid_request", "wait"),
        ("wait=1.5", "invalid_request", "wait"),
        ("collections=", "invalid_request", "collections"),
        ("collections=todos,", "invalid_request", "collections"),
        ("collections=Todos", "invalid_request", "collections"),
    ] {
        let answer = server.get(&format!("/v1/spaces/demo/changes?{query}")).await;
        answer.problem_about(400, code, says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_is_woken_by_the_next_commit() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    for form in ["a whole cursor", "a bare revision", "a time"] {
        let cursor = server.cursor().await;
        let since = match form {
            "a whole cursor" => cursor.clone(),
            "a bare revision" => cursor.split_once('.').unwrap().1.to_owned(),
            _ => server.clock.now().plus(Duration::from_secs(1)).to_string(),
        };
        let (path, tag) = (format!("/v1/spaces/demo/changes?since={since}&wait=30"), format!("\"{cursor}\""));
        let headers = [("if-none-match", tag.as_str())];
        let poll = server.get_with(&path, &headers);
        let write = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            server.clock.advance(Duration::from_secs(5));
            server.write("a", &json!({"after": form})).await;
            Instant::now()
        };
        let (answer, written) = tokio::join!(poll, write);
        assert!(written.elapsed() < Duration::from_secs(1), "{form}: woken late");
        assert_eq!((answer.status, revs(&answer.json()).len()), (200, 1), "{form}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_ends_with_an_empty_page_or_a_304() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = server.cursor().await;
    let path = format!("/v1/spaces/demo/changes?since={cursor}&wait=1");
    let begun = Instant::now();
    let answer = server.get(&path).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!((answer.status, revs(&answer.json())), (200, vec![]));
    let tag = format!("\"{cursor}\"");
    let begun = Instant::now();
    let answer = server.get_with(&path, &[("if-none-match", &tag)]).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "a matching tag is the very state of one that waits");
    assert_eq!((answer.status, answer.header("etag")), (304, tag.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_sleeps_through_other_collections_and_moves_on_with_them() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = pull(&server, "?collections=todos").await["cursor"].as_str().unwrap().to_owned();
    let path = format!("/v1/spaces/demo/changes?since={cursor}&collections=todos&wait=1");
    let poll = async {
        let begun = Instant::now();
        (server.get(&path).await, begun.elapsed())
    };
    let write = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.write_in("notes", "n", &json!({})).await;
    };
    let ((answer, took), ()) = tokio::join!(poll, write);
    assert!(took >= Duration::from_secs(1), "a foreign collection woke it for good");
    let page = answer.json();
    assert_eq!((revs(&page), &page["head"]), (vec![], &json!(2)));
    assert!(page["cursor"].as_str().unwrap().contains(".2~"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_need_not_wait_is_answered_at_once() {
    let server = Server::start().await;
    server.write("a", &json!({})).await;
    let cursor = server.cursor().await;
    let begun = Instant::now();
    for query in [
        "wait=20",
        "since=now&wait=20",
        "since=0&wait=20",
        &format!("since={cursor}.p&wait=20"),
        &format!("since={cursor}.1&wait=20"),
    ] {
        assert_eq!(server.get(&format!("/v1/spaces/demo/changes?{query}")).await.status, 200, "{query}");
    }
    server.get("/v1/spaces/demo/changes?since=7&wait=20").await.problem(410, "resync_required");
    server.get("/v1/spaces/nowhere/changes?since=7&wait=20").await.problem(404, "not_found");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
