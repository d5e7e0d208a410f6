//! Pull, as §3 has it, at the level of the store.

use super::fixture::*;
use strandline::domain::pull::{PullRequest, Pulled, Reason};

#[tokio::test(flavor = "multi_thread")]
async fn each_changed_record_comes_once_in_its_latest_state() {
    let store = Fixture::new().await;
    store.put("todos", "a", r#"{"n":1}"#).await;
    store.put("todos", "b", r#"{"n":1}"#).await;
    store.put("todos", "a", r#"{"n":2}"#).await;
    store.delete("todos", "b").await;
    let page = store.page("0").await;
    assert_eq!(brief(&page.changes), ["a@3", "-b@4"]);
    assert_eq!(page.check.unwrap().0, 1);
    assert!(!page.has_more);
    // An initial sync has no tombstones.
    assert_eq!(brief(&store.page("").await.changes), ["a@3"]);
    assert_eq!(brief(&store.page("3").await.changes), ["-b@4"]);
    assert!(store.page("4").await.changes.is_empty());
    assert!(store.page("now").await.changes.is_empty());
    assert_eq!(store.resync("5").await.reason, Reason::Ahead);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_whole_at_the_end_whatever_is_written_while_it_pages() {
    let store = Fixture::new().await;
    for n in 0..20 {
        store.put("todos", &format!("r{n}"), "{}").await;
    }
    let mut since = String::new();
    let mut replica = std::collections::BTreeMap::new();
    for round in 0.. {
        let page = page(store.pulled(&since, None, 3).await);
        for change in page.changes {
            replica.insert(change.id.clone(), change);
        }
        since = page.cursor.to_string();
        if !page.has_more {
            break;
        }
        assert!(since.ends_with(".20"), "under way from the head at the start: {since}");
        assert_eq!(page.check, None);
        // What was sent already moves ahead again, and what was not sent yet is deleted.
        if round < 5 {
            store.put("todos", "r0", &format!(r#"{{"round":{round}}}"#)).await;
            store.delete("todos", &format!("r{}", 19 - round)).await;
        }
    }
    replica.retain(|_, change| !change.is_deleted());
    let server = store.everything(1000).await;
    assert_eq!(
        replica.into_values().map(|c| c.rev).collect::<std::collections::BTreeSet<_>>(),
        server.iter().map(|c| c.rev).collect()
    );
    assert!(store.page(&since).await.changes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_of_collections_has_its_own_scope_horizon_and_check() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    store.put("lists", "l", "{}").await;
    store.delete("lists", "l").await;
    store.put("todos", "b", "{}").await;
    let todos = page(store.pulled("", Some("todos"), 1000).await);
    assert_eq!(brief(&todos.changes), ["a@1", "b@4"]);
    assert_eq!(todos.check.unwrap().0, 2);
    let scoped = todos.cursor.to_string();
    let wrong = store.resync(&scoped).await;
    assert_eq!((wrong.reason, wrong.shared_rev), (Reason::Scope, rev(4)));
    assert_eq!(store.purge().await.horizon, rev(3));
    // The purge in lists does not concern who asks for todos.
    assert!(matches!(store.pulled("1", Some("todos"), 1000).await, Pulled::Page(page) if page.horizon == rev(0)));
    assert!(matches!(store.pulled("1", Some("lists"), 1000).await, Pulled::Resync(r) if r.reason == Reason::Purged));
    assert!(matches!(store.pulled("1", Some("lists,todos"), 1000).await, Pulled::Resync(_)));
    // A collection that was never written is empty, not unknown.
    assert!(page(store.pulled("", Some("never"), 1000).await).changes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_collection_in_a_busy_space_is_read_by_itself() {
    let store = Fixture::new().await;
    for n in 0..10 {
        store.put("quiet", &format!("q{n}"), "{}").await;
        for m in 0..10 {
            store.put("busy", &format!("b{m}"), &format!("{{\"n\":{n}}}")).await;
        }
    }
    store.delete("quiet", "q3").await;
    let mut since = String::new();
    let mut ids = Vec::new();
    loop {
        let page = page(store.pulled(&since, Some("quiet"), 2).await);
        ids.extend(brief(&page.changes));
        since = page.cursor.to_string();
        if !page.has_more {
            break;
        }
    }
    assert_eq!(ids, ["q0@1", "q1@12", "q2@23", "q4@45", "q5@56", "q6@67", "q7@78", "q8@89", "q9@100"]);
    let page = page(store.pulled("50", Some("quiet"), 100).await);
    assert_eq!(brief(&page.changes).last().unwrap(), "-q3@111");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_means_everything_modified_then_or_later() {
    let store = Fixture::new().await;
    for id in ["a", "b", "c", "d"] {
        store.put("todos", id, "{}").await;
        store.advance(60);
    }
    for (time, expected) in [
        ("2026-11-22T19:00:00Z", vec!["a@1", "b@2", "c@3", "d@4"]),
        ("2026-11-22T20:01:00Z", vec!["b@2", "c@3", "d@4"]),
        ("2026-11-22T20:01:00.000001Z", vec!["c@3", "d@4"]),
        ("2026-11-22T20:59:00Z", vec![]),
    ] {
        assert_eq!(brief(&store.page(time).await.changes), expected, "{time}");
    }
    store.delete("todos", "b").await; // at 20:04
    store.purge().await;
    for (time, gone) in [("2026-11-22T20:04:00Z", true), ("2026-11-22T20:04:00.000001Z", false)] {
        match store.pulled(time, None, 10).await {
            Pulled::Resync(resync) => assert!(gone && resync.reason == Reason::Purged && resync.shared_rev == rev(0)),
            Pulled::Page(_) => assert!(!gone, "{time}"),
            other @ Pulled::NotModified { .. } => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_until_is_when_the_compactor_could_first_leave_the_cursor_behind() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    store.put("todos", "b", "{}").await;
    store.delete("todos", "a").await;
    store.advance(3600);
    store.put("todos", "c", "{}").await;
    store.advance(3600);
    // At the end there is no tombstone ahead: a whole window from now.
    assert_eq!(store.page("0").await.valid_until.unwrap().to_string(), "2026-12-22T22:00:00.000000Z");
    // In the middle the tombstone of 20:00 lies ahead.
    let middle = page(store.pulled("0", None, 1).await);
    assert!(middle.has_more);
    assert_eq!(middle.valid_until.unwrap().to_string(), "2026-12-22T20:00:00.000000Z");
    // An initial sync does not need it.
    let initial = page(store.pulled("", None, 1).await);
    assert!(initial.has_more);
    assert_eq!(initial.valid_until.unwrap().to_string(), "2026-12-22T22:00:00.000000Z");
    let forever = strandline::store::PolicyChange { retention: Some("forever".parse().unwrap()), ..Default::default() };
    store.store.configure(space(), forever).await.unwrap();
    assert_eq!(store.page("0").await.valid_until, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_holds_is_not_sent_again_unless_it_must_resync() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    store.delete("todos", "a").await;
    let state = store.state().await;
    let held = Some((state.epoch(), state.head));
    for since in ["", "0", "2", "now"] {
        let pulled = store.store.pull(PullRequest { held, ..pull(since, None) }).await.unwrap();
        assert!(matches!(pulled, Pulled::NotModified { .. }), "{since}: {pulled:?}");
    }
    store.purge().await;
    let pulled = store.store.pull(PullRequest { held, ..pull("0", None) }).await.unwrap();
    assert!(matches!(pulled, Pulled::Resync(_)), "a 410 comes before a 304: {pulled:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_bounded_in_bytes_but_never_empty() {
    let store = Fixture::new().await;
    for id in ["a", "b", "c"] {
        store.put("todos", id, &format!(r#"{{"text":"{}"}}"#, "x".repeat(1000))).await;
    }
    let small = page(store.store.pull(PullRequest { max_bytes: 1500, ..pull("", None) }).await.unwrap());
    assert_eq!((small.changes.len(), small.has_more), (2, true));
    let tiny = page(store.store.pull(PullRequest { max_bytes: 1, ..pull("", None) }).await.unwrap());
    assert_eq!(tiny.changes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_at_the_head_it_began_with() {
    let store = Fixture::new().await;
    for id in ["a", "b", "c"] {
        store.put("todos", id, "{}").await;
    }
    let upto = Some(rev(2));
    let cut = page(store.store.pull(PullRequest { upto, ..pull("0", None) }).await.unwrap());
    assert_eq!(brief(&cut.changes), ["a@1", "b@2"]);
    assert!(cut.has_more);
    assert!(cut.cursor.to_string().ends_with(".2.p"));
    let rest = page(store.store.pull(PullRequest { upto: Some(rev(3)), ..pull("2", None) }).await.unwrap());
    assert!(!rest.has_more);
}
