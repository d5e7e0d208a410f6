//! DESIGN's invariants, each with a case that fails when it is broken.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fixture::*;
use crate::support::over_postgres;
use strandline::compactor::{Order, Progress};
use strandline::domain::push::{Base, Op, Outcome, PushRequest, Pushed};
use strandline::domain::{Checksum, Timestamp};
use strandline::store::StoreError;

/// 1. Commit order is revision order: with many writers and readers at once there is no gap, no revision twice, and no
///    reader that saw N finds something below N later.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_that_saw_a_revision_saw_all_below_it() {
    let store = Arc::new(Fixture::new().await);
    store.put("todos", "first", "{}").await;
    let writers = (0..4).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut revs = Vec::new();
            for n in 0..50 {
                revs.push(store.put("todos", &format!("w{writer}-{n}"), "{}").await);
            }
            revs
        })
    });
    let writers: Vec<_> = writers.collect();
    let reader = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (mut seen, mut since) = (BTreeSet::new(), String::from("0"));
            while seen.len() < 201 {
                let page = page(store.pulled(&since, None, 7).await);
                for change in &page.changes {
                    assert!(seen.last().is_none_or(|last| *last < change.rev), "{} came late", change.rev);
                    seen.insert(change.rev);
                }
                since = page.cursor.to_string();
            }
            seen
        })
    };
    let mut acknowledged = BTreeSet::from([rev(1)]);
    for writer in writers {
        for rev in writer.await.unwrap() {
            assert!(acknowledged.insert(rev), "{rev} twice");
        }
    }
    assert_eq!(acknowledged.last(), Some(&rev(201)));
    assert_eq!(reader.await.unwrap(), acknowledged);
}

/// 2. The head and the counts and checksums of the collections are those of the rows.
#[tokio::test(flavor = "multi_thread")]
async fn counts_and_checksums_are_those_of_the_rows() {
    let store = Fixture::new().await;
    for n in 0..30 {
        store.put("todos", &format!("r{}", n % 7), &format!("{{\"n\":{n}}}")).await;
        if n % 3 == 0 {
            store.delete("todos", &format!("r{}", n % 5)).await;
        }
        if n == 20 {
            store.purge().await;
        }
    }
    let tally = store.state().await.tally(None);
    let live = store.everything(4).await;
    assert_eq!(tally.live, live.len() as u64);
    assert_eq!(tally.checksum, live.iter().map(|change| change.rev).collect::<Checksum>());
    let count = |what: &str| store.home.ask(&format!("SELECT COUNT(*) FROM records WHERE {what}")).unsigned_abs();
    assert_eq!((tally.live, tally.tombstones), (count("NOT deleted"), count("deleted")));
    let bytes = "SELECT SUM(OCTET_LENGTH(id) + COALESCE(OCTET_LENGTH(CAST(data AS TEXT)), 0)) FROM records";
    let bytes = store.home.ask(bytes).unsigned_abs();
    assert_eq!(tally.live_bytes + tally.tombstone_bytes, bytes);
}

/// 3. The horizon is the newest tombstone purged, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn the_horizon_rises_to_the_newest_tombstone_purged_and_no_further() {
    let store = Fixture::new().await;
    for id in ["a", "b", "c", "d"] {
        store.put("todos", id, "{}").await;
    }
    store.delete("todos", "a").await; // 5
    store.advance(100);
    store.delete("todos", "b").await; // 6
    store.put("todos", "e", "{}").await; // 7
    store.delete("todos", "c").await; // 8
    let cut = NOON;
    let preview = store.forecast(cut).await;
    assert_eq!((preview.tombstones, preview.bytes, preview.horizon), (1, 1, rev(5)));
    let purged = store.purge_up_to(cut, 100).await.unwrap();
    assert_eq!((purged.tombstones, purged.horizon_before, purged.horizon, purged.more), (1, rev(0), rev(5), false));
    // Step by step the horizon never leaves a purged tombstone above it, nor a kept one below.
    let cut = Timestamp::from_micros(i64::MAX);
    let step = store.purge_up_to(cut, 1).await.unwrap();
    assert_eq!((step.tombstones, step.horizon, step.more), (1, rev(6), true));
    assert_eq!(brief(&store.page("6").await.changes), ["e@7", "-c@8"]);
    assert_eq!(store.resync("5").await.horizon, rev(6));
    let rest = store.purge_up_to(cut, 10).await.unwrap();
    assert_eq!((rest.tombstones, rest.horizon), (1, rev(8)));
    let nothing = store.purge_up_to(cut, 10).await.unwrap();
    assert_eq!((nothing.tombstones, nothing.horizon_before, nothing.horizon), (0, rev(8), rev(8)));
}

/// 5. A record is one row, flipped in place.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_one_row_whatever_becomes_of_it() {
    let store = Fixture::new().await;
    for _ in 0..3 {
        store.put("todos", "a", r#"{"n":1}"#).await;
        store.delete("todos", "a").await;
    }
    assert_eq!(store.home.ask("SELECT COUNT(*) FROM records"), 1);
}

/// 6. A purge takes only rows that are tombstones: one that was written anew stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_rose_again_is_not_purged() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    store.delete("todos", "a").await;
    store.put("todos", "a", r#"{"again":true}"#).await;
    let purged = store.purge().await;
    assert_eq!((purged.tombstones, purged.horizon), (0, rev(0)));
    assert_eq!(brief(&store.page("0").await.changes), ["a@3"]);
}

/// 8. Time never decreases within a space, and the compactor's cut follows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_goes_back_is_not_followed() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    store.clock.set(Timestamp::from_micros(0));
    store.delete("todos", "a").await;
    let page = store.page("0").await;
    assert_eq!(page.changes[0].modified_at, NOON);
    assert_eq!(page.valid_until.unwrap().to_string(), "2026-12-22T20:00:00.000000Z");
    let order = Order { older_than: "0s".parse().ok(), dry_run: true, force: false };
    let dry = strandline::compactor::compact(&*store.store, &*store.clock, &space(), order, &Progress::default()).await;
    assert_eq!(dry.unwrap().tombstones, 1);
}

/// 2 and 8 within a group: many pushes at once share transactions, and each is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pushes_that_share_a_commit_do_not_share_a_fate() {
    let store = Arc::new(Fixture::new().await);
    store.put("todos", "contested", r#"{"n":0}"#).await;
    let contenders = (1..=16).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let changes = vec![
                proposal("todos", "contested", Base::Seen(rev(1)), put_op(&format!("{{\"n\":{n}}}"))),
                proposal("todos", &format!("own{n}"), Base::Absent, put_op("{}")),
            ];
            store.store.push(PushRequest { changes, atomic: true, ..push() }).await.unwrap()
        })
    });
    let contenders: Vec<_> = contenders.collect();
    let mut winners = 0;
    for contender in contenders {
        match contender.await.unwrap() {
            Pushed::Done(answer) => {
                winners += 1;
                assert_eq!(answer.head.get() - answer.previous_head.get(), 2);
            }
            Pushed::Refused(answer) => assert_eq!(answer.results[1], Outcome::NotApplied),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(store.state().await.head, rev(3));
}

/// 7 and 9. A store that is closed says so; what was acknowledged before is there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let mut store = Fixture::new().await;
    store.put("todos", "a", r#"{"n":1.10}"#).await;
    store.delete("todos", "a").await;
    store.put("todos", "b", r#"{"n":1e400}"#).await;
    let before = store.state().await;
    store.store.close().await;
    let refused = store.store.push(push()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    store.reopen().await;
    assert_eq!(*store.state().await, *before);
    assert_eq!(brief(&store.page("0").await.changes), ["-a@2", "b@3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_space_is_gone_at_once_and_its_rows_are_swept() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    let old = store.state().await.epoch();
    store.store.delete_space(space()).await.unwrap();
    assert!(matches!(store.store.space(&space()).await, Err(StoreError::NoSpace(_))));
    assert!(matches!(store.store.delete_space(space()).await, Err(StoreError::NoSpace(_))));
    // Made anew it is another history.
    store.put("todos", "a", "{}").await;
    assert_ne!(store.state().await.epoch(), old);
    while store.store.sweep_step(1).await.unwrap() > 0 {}
    assert_eq!(store.home.ask("SELECT COUNT(*) FROM records"), 1);
    assert_eq!(store.home.ask("SELECT COUNT(*) FROM spaces"), 1);
    assert_eq!(store.everything(10).await.len(), 1);
}

/// What a purge leaves free in a file is given back, but for what later writes will use.
#[tokio::test(flavor = "multi_thread")]
async fn free_space_is_given_back_in_steps() {
    let store = Fixture::new().await;
    if over_postgres() {
        // Autovacuum does that there.
        assert_eq!(store.store.give_back(64).await.unwrap().pages, 0);
        return;
    }
    let data = format!(r#"{{"text":"{}"}}"#, "x".repeat(4_000));
    let ids: Vec<String> = (0..3_000).map(|n| format!("r{n}")).collect();
    let put = |id: &String| proposal("todos", id, Base::Any, put_op(&data));
    let delete = |id: &String| proposal("todos", id, Base::Any, Op::Delete);
    store.push(ids.iter().map(put).collect()).await;
    store.push(ids.iter().map(delete).collect()).await;
    store.purge().await;
    let pages = |store: &Fixture| store.home.ask("SELECT page_count FROM pragma_page_count");
    let free = |store: &Fixture| store.home.ask("SELECT freelist_count FROM pragma_freelist_count");
    let before = pages(&store);
    assert!(free(&store) > 2_500, "{} of {before}", free(&store));
    let mut steps = 0;
    while store.store.give_back(64).await.unwrap().pages > 0 {
        steps += 1;
        // Writes and reads go on in between.
        store.put("todos", "meanwhile", &format!(r#"{{"step":{steps}}}"#)).await;
    }
    assert!(steps > 20, "{steps}");
    assert!(pages(&store) < before / 2, "{before}, then {}", pages(&store));
    assert!(free(&store) <= 1_100, "{}", free(&store));
    assert_eq!(store.home.ask("SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_eq!(store.everything(1_000).await.len(), 1);
}
