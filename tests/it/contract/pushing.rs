//! Push and single writes, as §4 and §5 have them, at the level of the store. The decision table itself is tested where
//! it is; here is what only a transaction can get wrong.

use super::fixture::*;
use strandline::domain::pull::Reason;
use strandline::domain::push::{Base, Op, Outcome, PushRequest, Pushed};
use strandline::domain::record::{Guard, Tags, Written};
use strandline::domain::{ClientName, Rev};
use strandline::store::StoreError;

fn phone(number: u64) -> (ClientName, u64) {
    (ClientName::new("phone").unwrap(), number)
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_changes_take_consecutive_revisions_in_order() {
    let store = Fixture::new().await;
    store.put("todos", "x", "{}").await;
    let answer = store
        .push(vec![
            proposal("todos", "a", Base::Absent, put_op("{}")),
            proposal("todos", "x", Base::Absent, put_op(r#"{"n":1}"#)),
            proposal("todos", "x2", Base::Absent, Op::Delete),
            proposal("lists", "b", Base::Absent, put_op("{}")),
        ])
        .await;
    assert_eq!((answer.previous_head, answer.head), (rev(1), rev(3)));
    assert_eq!(applied(&answer.results[0]), rev(2));
    assert!(matches!(&answer.results[1], Outcome::Conflict(Some(change)) if change.rev == rev(1)));
    assert_eq!(answer.results[2], Outcome::Unchanged(None));
    assert_eq!(applied(&answer.results[3]), rev(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_push_that_is_refused_leaves_no_trace() {
    let store = Fixture::new().await;
    store.put("todos", "x", "{}").await;
    let before = store.state().await;
    let changes = vec![
        proposal("fresh", "a", Base::Absent, put_op("{}")),
        proposal("todos", "x", Base::Absent, put_op(r#"{"n":1}"#)),
    ];
    let request = PushRequest { changes, atomic: true, seq: Some(phone(1)), ..push() };
    let Pushed::Refused(answer) = store.store.push(request.clone()).await.unwrap() else { panic!("not refused") };
    assert_eq!(answer.results[0], Outcome::NotApplied);
    assert!(matches!(answer.results[1], Outcome::Conflict(_)));
    assert_eq!(*store.state().await, *before);
    // Only a 200 counts: the number is still free.
    let changes = vec![proposal("todos", "b", Base::Absent, put_op("{}"))];
    let Pushed::Done(answer) = store.store.push(PushRequest { changes, ..request }).await.unwrap() else { panic!() };
    assert!(!answer.duplicate);
    assert_eq!(applied(&answer.results[0]), rev(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_with_a_number_happens_at_most_once() {
    let store = Fixture::new().await;
    let changes = vec![proposal("todos", "a", Base::Absent, put_op(r#"{"n":1}"#))];
    let request = PushRequest { changes, seq: Some(phone(1)), ..push() };
    store.store.push(request.clone()).await.unwrap();
    // The answer was lost. Meanwhile somebody deletes the record, and the compactor purges it.
    store.delete("todos", "a").await;
    store.purge().await;
    let Pushed::Done(again) = store.store.push(request.clone()).await.unwrap() else { panic!() };
    assert!(again.duplicate);
    assert_eq!(again.results, [Outcome::Conflict(None)]);
    assert!(store.everything(10).await.is_empty(), "it did not rise again");
    // Without a number it would have.
    let Pushed::Done(without) = store.store.push(PushRequest { seq: None, ..request }).await.unwrap() else { panic!() };
    assert!(matches!(without.results[0], Outcome::Applied { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_survives_a_restart() {
    let mut store = Fixture::new().await;
    let changes = vec![proposal("todos", "a", Base::Any, put_op(r#"{"n":1}"#))];
    store.store.push(PushRequest { changes: changes.clone(), seq: Some(phone(7)), ..push() }).await.unwrap();
    store.put("todos", "a", r#"{"n":2}"#).await;
    store.reopen().await;
    for (number, duplicate) in [(6, true), (7, true), (8, false)] {
        let request = PushRequest { changes: changes.clone(), seq: Some(phone(number)), ..push() };
        let Pushed::Done(answer) = store.store.push(request).await.unwrap() else { panic!() };
        assert_eq!(answer.duplicate, duplicate, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_is_checked_before_anything_is_applied() {
    let store = Fixture::new().await;
    let with = |cursor_text: &str| PushRequest {
        changes: vec![proposal("todos", "a", Base::Absent, put_op("{}"))],
        cursor: Some(cursor(cursor_text)),
        ..push()
    };
    assert!(matches!(store.store.push(with("abc.0")).await.unwrap(), Pushed::NoSpace));
    store.put("todos", "x", "{}").await;
    let epoch = store.state().await.epoch();
    let ahead = store.store.push(with(&format!("{epoch}.2"))).await.unwrap();
    assert!(matches!(ahead, Pushed::Resync(r) if r.reason == Reason::Ahead));
    let foreign = store.store.push(with("abc.0.p")).await.unwrap();
    assert!(matches!(foreign, Pushed::Resync(r) if r.reason == Reason::Epoch));
    assert_eq!(store.state().await.head, rev(1));
    let Pushed::Done(fine) = store.store.push(with(&format!("{epoch}.1"))).await.unwrap() else { panic!() };
    assert_eq!(fine.cursor.unwrap().to_string(), format!("{epoch}.2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_saw_the_tombstone_may_create_the_record_anew() {
    let store = Fixture::new().await;
    store.put("todos", "a", "{}").await;
    store.delete("todos", "a").await;
    let epoch = store.state().await.epoch();
    let insert = |at: u64| PushRequest {
        changes: vec![proposal("todos", "a", Base::Absent, put_op("{}"))],
        cursor: Some(cursor(&format!("{epoch}.{at}"))),
        ..push()
    };
    let Pushed::Done(stale) = store.store.push(insert(1)).await.unwrap() else { panic!() };
    assert!(matches!(stale.results[0], Outcome::Conflict(Some(_))));
    let Pushed::Done(knew) = store.store.push(insert(2)).await.unwrap() else { panic!() };
    assert_eq!(applied(&knew.results[0]), rev(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_push_that_applies_something_makes_a_space() {
    let store = Fixture::new().await;
    let deletion = vec![proposal("todos", "a", Base::Any, Op::Delete)];
    for changes in [vec![], deletion] {
        let answer = store.push(changes).await;
        assert_eq!((answer.head, answer.cursor), (Rev::ZERO, None));
        assert!(matches!(store.store.space(&space()).await, Err(StoreError::NoSpace(_))));
    }
    let gone = store.store.write(write("a", Op::Delete, Guard::default())).await.unwrap();
    assert_eq!(gone, Written::NoSpace);
    let (record, created) = done(store.store.write(write("a", put_op("{}"), Guard::default())).await.unwrap());
    assert_eq!((record.rev, created), (rev(1), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_write_changes_nothing_when_its_guard_fails() {
    let store = Fixture::new().await;
    store.put("todos", "a", r#"{"n":1}"#).await;
    let create_only = Guard { if_none_match: Some(Tags::Any), ..Guard::default() };
    let refused = store.store.write(write("a", put_op("{}"), create_only.clone())).await.unwrap();
    assert!(matches!(refused, Written::PreconditionFailed(Some(record)) if record.rev == rev(1)));
    let at = |rev: Rev| Guard { if_match: Some(Tags::OneOf(vec![rev])), ..Guard::default() };
    let nothing = store.store.write(write("b", put_op("{}"), at(rev(1)))).await.unwrap();
    assert_eq!(nothing, Written::PreconditionFailed(None));
    assert_eq!(store.state().await.head, rev(1));
    let (record, created) = done(store.store.write(write("a", put_op(r#"{"n":2}"#), at(rev(1)))).await.unwrap());
    assert_eq!((record.rev, created), (rev(2), false));
    // Equal data takes no revision.
    let (same, _) = done(store.store.write(write("a", put_op(r#"{"n":2.0}"#), Guard::default())).await.unwrap());
    assert_eq!(same.rev, rev(2));
    let (tombstone, _) = done(store.store.write(write("a", Op::Delete, Guard::default())).await.unwrap());
    assert!(tombstone.is_deleted());
    let (risen, created) = done(store.store.write(write("a", put_op("{}"), create_only)).await.unwrap());
    assert_eq!((risen.rev, created), (rev(4), true));
}
