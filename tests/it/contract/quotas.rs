//! Quotas at the level of the store: judged by what a whole push would leave, within its own transaction.

use std::sync::Arc;

use super::fixture::*;
use strandline::domain::push::{Base, Op, Outcome, Oversize, Proposal, PushRequest, Pushed};
use strandline::domain::quota::{Excess, Measure};
use strandline::domain::record::{Guard, Written};
use strandline::domain::{Allowance, ClientName, Quota, QuotaChange, SpaceName};
use strandline::store::StoreError;

/// A space that may hold so many records, and so many bytes of ids and data.
async fn bounded(records: Option<u64>, bytes: Option<u64>) -> Fixture {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    set(&store, records, bytes, None).await;
    store
}

async fn set(store: &Fixture, records: Option<u64>, bytes: Option<u64>, record_bytes: Option<u64>) {
    let allowance = |limit: Option<u64>| Some(limit.map_or(Allowance::Unlimited, Allowance::Limited));
    let (records, bytes, record_bytes) = (allowance(records), allowance(bytes), allowance(record_bytes));
    store.store.set_quota(space(), QuotaChange { records, bytes, record_bytes }).await.unwrap();
}

fn put(id: &str, data: &str) -> Proposal {
    proposal("todos", id, Base::Any, put_op(data))
}

fn delete(id: &str) -> Proposal {
    proposal("todos", id, Base::Any, Op::Delete)
}

async fn push_in(store: &Fixture, changes: Vec<Proposal>) -> Pushed {
    store.store.push(PushRequest { changes, ..push() }).await.unwrap()
}

/// What stands against a push of these changes, if anything does.
async fn refused(store: &Fixture, changes: Vec<Proposal>) -> Option<(Measure, [u64; 3])> {
    match push_in(store, changes).await {
        Pushed::Done(_) => None,
        Pushed::OverQuota(Excess { measure, limit, held, would_hold }) => Some((measure, [limit, held, would_hold])),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_counts_by_what_the_whole_of_it_would_leave() {
    let store = bounded(Some(3), None).await;
    let before = store.state().await;
    let fresh = || proposal("fresh", "x", Base::Any, put_op("{}"));
    let too_many = vec![put("b", "{}"), put("c", "{}"), fresh()];
    assert_eq!(refused(&store, too_many.clone()).await, Some((Measure::Records, [3, 1, 4])));
    assert_eq!(*store.state().await, *before, "nothing of it is there, not even its collection");
    // What is deleted in the same push makes room for what is added, in whichever order they come.
    assert_eq!(refused(&store, [too_many.as_slice(), &[delete("a")]].concat()).await, None);
    // An edit adds no record, and what is not applied counts for nothing.
    let stale = proposal("todos", "b", Base::Absent, put_op(r#"{"n":1}"#));
    assert_eq!(refused(&store, vec![put("c", r#"{"n":2}"#), stale, delete("never")]).await, None);
    assert_eq!(store.state().await.tally(None).live, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_those_of_ids_and_data_as_the_collections_count_them() {
    let store = bounded(None, Some(20)).await;
    // One byte of the id and two of `{}` are there.
    assert_eq!(refused(&store, vec![put("bc", r#"{"n":1234567890}"#)]).await, Some((Measure::Bytes, [20, 3, 21])));
    assert_eq!(refused(&store, vec![put("b", r#"{"n":1234567890}"#)]).await, None);
    assert_eq!(store.state().await.tally(None).live_bytes, 20);
    assert_eq!(refused(&store, vec![put("a", r#"{"n":1}"#)]).await, Some((Measure::Bytes, [20, 20, 25])));
    assert_eq!(refused(&store, vec![put("a", r#"{"n":1}"#), put("b", "{}")]).await, None);
    assert_eq!(store.state().await.tally(None).live_bytes, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_room_passes_also_where_the_space_is_above_its_quota() {
    let store = bounded(None, None).await;
    store.push(vec![put("b", r#"{"text":"long"}"#), put("c", "{}")]).await;
    set(&store, Some(1), Some(5), None).await;
    for (changes, passes) in [
        (vec![put("d", "{}")], false),
        (vec![put("a", r#"{"n":1}"#)], false),
        (vec![], true),
        (vec![put("a", "{}")], true),
        (vec![put("b", r#"{"text":"less"}"#)], true),
        (vec![put("b", "{}")], true),
        (vec![delete("c"), put("d", "{}")], true),
        (vec![delete("d")], true),
    ] {
        assert_eq!(refused(&store, changes.clone()).await.is_none(), passes, "{changes:?}");
    }
    assert_eq!(store.state().await.tally(None).live, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_leaves_its_number_free_and_makes_no_space() {
    let store = Fixture::bounded(Quota { records: Some(1), ..Quota::default() }).await;
    let phone = |seq: u64| Some((ClientName::new("phone").unwrap(), seq));
    let request = PushRequest { changes: vec![put("a", "{}"), put("b", "{}")], seq: phone(1), ..push() };
    assert!(matches!(store.store.push(request.clone()).await.unwrap(), Pushed::OverQuota(_)));
    assert!(matches!(store.store.space(&space()).await, Err(StoreError::NoSpace(_))));
    let Pushed::Done(answer) =
        store.store.push(PushRequest { changes: vec![put("a", "{}")], ..request.clone() }).await.unwrap()
    else {
        panic!("one record fits")
    };
    assert!(!answer.duplicate);
    // A push that was carried out before is told so, however full the space is by now.
    let Pushed::Done(again) = store.store.push(request).await.unwrap() else { panic!("it is not applied again") };
    assert!(again.duplicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_for_its_space_is_rejected_alone() {
    let store = bounded(None, None).await;
    store.put("todos", "large", r#"{"text":"larger than ten"}"#).await;
    set(&store, None, None, Some(10)).await;
    let answer = store
        .push(vec![
            put("b", r#"{"n":12345}"#),
            put("c", r#"{"n":1234}"#),
            proposal("todos", "a", Base::Any, Op::Patch(patch(r#"{"n":12345}"#))),
            // It was larger before: it may shrink step by step, and its twin may not grow.
            put("large", r#"{"text":"large"}"#),
        ])
        .await;
    let excess = |would_hold, held| Excess { measure: Measure::RecordBytes, limit: 10, held, would_hold };
    assert_eq!(answer.results[0], Outcome::Rejected(Oversize::Quota(excess(11, 0))));
    applied(&answer.results[1]);
    assert_eq!(answer.results[2], Outcome::Rejected(Oversize::Quota(excess(11, 2))));
    applied(&answer.results[3]);
    let atomic = PushRequest { changes: vec![put("d", "{}"), put("b", r#"{"n":12345}"#)], atomic: true, ..push() };
    let Pushed::Refused(refused) = store.store.push(atomic).await.unwrap() else { panic!("all or nothing") };
    assert_eq!(refused.results[0], Outcome::NotApplied);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_writes_are_bounded_alike() {
    let store = bounded(Some(2), None).await;
    let write_one = async |id: &str, op: Op| store.store.write(write(id, op, Guard::default())).await.unwrap();
    done(write_one("b", put_op("{}")).await);
    let excess = Excess { measure: Measure::Records, limit: 2, held: 2, would_hold: 3 };
    assert_eq!(write_one("c", put_op("{}")).await, Written::OverQuota(excess));
    done(write_one("b", put_op(r#"{"n":1}"#)).await);
    done(write_one("a", Op::Delete).await);
    done(write_one("c", put_op("{}")).await);
    set(&store, None, None, Some(3)).await;
    let excess = Excess { measure: Measure::RecordBytes, limit: 3, held: 7, would_hold: 8 };
    let grown = write_one("b", Op::Patch(patch(r#"{"n":12}"#))).await;
    assert_eq!(grown, Written::Rejected(Oversize::Quota(excess)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_goes_by_the_default_until_it_says_something_itself() {
    let store = Fixture::bounded(Quota { records: Some(1), ..Quota::default() }).await;
    store.put("todos", "a", "{}").await;
    assert!(refused(&store, vec![put("b", "{}")]).await.is_some());
    let say = async |records: Allowance| {
        let change = QuotaChange { records: Some(records), ..QuotaChange::default() };
        store.store.set_quota(space(), change).await.unwrap()
    };
    for (records, fits) in [(Allowance::Limited(2), "b"), (Allowance::Unlimited, "c")] {
        let state = say(records).await;
        assert_eq!(state.quota.records, records);
        assert_eq!(*store.state().await, *state);
        assert!(refused(&store, vec![put(fits, "{}")]).await.is_none(), "{records:?}");
    }
    say(Allowance::Default).await;
    assert!(refused(&store, vec![put("d", "{}")]).await.is_some());
    let nowhere = SpaceName::new("nowhere").unwrap();
    assert!(matches!(
        store.store.set_quota(nowhere, QuotaChange::default()).await,
        Err(StoreError::NoSpace(name)) if name.as_str() == "nowhere"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_at_once_never_exceed_it_together() {
    let store = bounded(Some(50), None).await;
    let pushes = (0..40).map(|number| {
        let store = Arc::clone(&store.store);
        let ids = [format!("{number}-x"), format!("{number}-y"), format!("{number}-z")];
        let changes = ids.iter().map(|id| put(id, "{}")).collect();
        tokio::spawn(async move { store.push(PushRequest { changes, ..push() }).await.unwrap() })
    });
    let (mut taken, mut turned_away) = (0, 0);
    for push in pushes.collect::<Vec<_>>() {
        match push.await.unwrap() {
            Pushed::Done(_) => taken += 1,
            Pushed::OverQuota(excess) => {
                assert!(excess.held <= 50 && excess.would_hold == excess.held + 3, "{excess}");
                turned_away += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    // Of the 49 that fit, 48 can come in threes.
    assert_eq!((taken, turned_away), (16, 24));
    assert_eq!(store.state().await.tally(None).live, 49);
    assert_eq!(store.everything(100).await.len(), 49);
}
