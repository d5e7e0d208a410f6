//! The decision table of PROTOCOL.md §4, row by row.

use serde_json::value::RawValue;

use super::*;
use crate::domain::Epoch;
use crate::domain::epoch::Lineage;
use crate::domain::pull::Reason;
use crate::domain::{CollectionState, QuotaRule, Retention, RetentionPolicy};

const HEAD: u64 = 100;
/// The revision of the record that is there.
const AT: u64 = 50;

fn rev(value: u64) -> Rev {
    Rev::new(value).unwrap()
}

fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap()
}

fn document(text: &str) -> Document {
    Document::parse(raw(text)).unwrap()
}

fn put(text: &str) -> Op {
    Op::Put(document(text))
}

fn patch(text: &str) -> Op {
    Op::Patch(Patch::parse(raw(text)).unwrap())
}

fn record(data: Option<&str>) -> Existing {
    Existing::Record { rev: rev(AT), modified_at: Timestamp::from_micros(0), data: data.map(document) }
}

/// A bound of so many bytes, without a quota.
fn bytes(bytes: usize) -> RecordLimits {
    RecordLimits { bytes, quota: Quota::default() }
}

/// One word a decision, as in the table.
fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Put(_) | Decision::Delete => "applied",
        Decision::Unchanged => "unchanged",
        Decision::Conflict => "conflict",
        Decision::Reject(_) => "rejected",
    }
}

#[test]
fn the_decision_table() {
    use Base::{Absent, Any, Seen};
    let live = record(Some(r#"{"title":"milk","n":1}"#));
    let tombstone = record(None);
    let nothing = Existing::Nothing;
    let (seen, stale, future) = (Seen(rev(AT)), Seen(rev(AT - 1)), Seen(rev(HEAD + 1)));
    let later = Seen(rev(HEAD));
    // A cursor at or above the record's revision, below it, and none.
    let (knew, missed, none) = (Some(rev(AT)), Some(rev(AT - 1)), None);

    let equal = || [put(r#"{"n":1.0,"title":"milk"}"#), patch(r#"{"n":1e0}"#), patch("{}")];
    let other = || put(r#"{"title":"bread"}"#);
    let edit = || patch(r#"{"title":"bread"}"#);

    // the record here is | base_rev | the push's cursor | data | patch | delete
    #[rustfmt::skip]
    let table = [
        (&live,      seen,   none,   "applied",  "applied",  "applied"),
        (&live,      later,  none,   "applied",  "applied",  "applied"),
        (&live,      Any,    none,   "applied",  "applied",  "applied"),
        (&live,      stale,  none,   "conflict", "conflict", "conflict"),
        (&live,      stale,  knew,   "conflict", "conflict", "conflict"),
        (&live,      Absent, none,   "conflict", "conflict", "conflict"),
        (&live,      Absent, knew,   "conflict", "conflict", "conflict"),
        (&live,      future, none,   "conflict", "conflict", "conflict"),
        (&tombstone, seen,   none,   "applied",  "conflict", "unchanged"),
        (&tombstone, later,  none,   "applied",  "conflict", "unchanged"),
        (&tombstone, Any,    none,   "applied",  "conflict", "unchanged"),
        (&tombstone, Absent, knew,   "applied",  "conflict", "unchanged"),
        (&tombstone, Absent, missed, "conflict", "conflict", "unchanged"),
        (&tombstone, Absent, none,   "conflict", "conflict", "unchanged"),
        (&tombstone, stale,  none,   "conflict", "conflict", "unchanged"),
        (&tombstone, stale,  knew,   "conflict", "conflict", "unchanged"),
        (&tombstone, future, none,   "conflict", "conflict", "unchanged"),
        (&nothing,   Absent, none,   "applied",  "conflict", "unchanged"),
        (&nothing,   Absent, knew,   "applied",  "conflict", "unchanged"),
        (&nothing,   Any,    none,   "applied",  "conflict", "unchanged"),
        (&nothing,   seen,   none,   "conflict", "conflict", "unchanged"),
        (&nothing,   future, none,   "conflict", "conflict", "unchanged"),
    ];
    for (existing, base, cursor, on_put, on_patch, on_delete) in table {
        let knowledge = Knowledge { head: rev(HEAD), cursor };
        let decide = |op: &Op| decide(existing, op, base, knowledge, bytes(1_000));
        let got = [decide(&other()), decide(&edit()), decide(&Op::Delete)];
        let words = got.each_ref().map(word);
        assert_eq!(words, [on_put, on_patch, on_delete], "{existing:?}, base {base:?}, cursor {cursor:?}");
    }
    // live, and the write would leave it equal as JSON: unchanged, whatever base_rev says.
    for base in [seen, later, Any, stale, Absent, future] {
        for op in equal() {
            let knowledge = Knowledge { head: rev(HEAD), cursor: None };
            assert_eq!(decide(&live, &op, base, knowledge, bytes(1_000)), Decision::Unchanged, "{op:?}, {base:?}");
        }
    }
}

#[test]
fn a_patch_is_of_what_the_server_has() {
    let knowledge = Knowledge { head: rev(HEAD), cursor: None };
    let live = record(Some(r#"{"title":"milk","hidden":10000000000000000000000001}"#));
    let decision = decide(&live, &patch(r#"{"title":null,"done":true}"#), Base::Seen(rev(AT)), knowledge, bytes(1_000));
    assert_eq!(decision, Decision::Put(document(r#"{"hidden":10000000000000000000000001,"done":true}"#)));
}

#[test]
fn a_record_over_a_limit_is_rejected_alone() {
    let knowledge = Knowledge { head: rev(HEAD), cursor: None };
    let big = put(r#"{"title":"0123456789"}"#);
    let limit = Oversize::Bytes { bytes: 22, limit: 21 };
    assert_eq!(decide(&Existing::Nothing, &big, Base::Absent, knowledge, bytes(21)), Decision::Reject(limit));
    assert_eq!(
        decide(&Existing::Nothing, &big, Base::Absent, knowledge, bytes(22)),
        Decision::Put(document(r#"{"title":"0123456789"}"#))
    );
    // A patch that makes too much of what is there.
    let live = record(Some(r#"{"a":"0123456789"}"#));
    let grown = decide(&live, &patch(r#"{"b":1}"#), Base::Any, knowledge, bytes(20));
    assert_eq!(grown, Decision::Reject(Oversize::Bytes { bytes: 24, limit: 20 }));
    let deep = Op::Oversize(Oversize::Depth { limit: 128 });
    assert_eq!(word(&decide(&live, &deep, Base::Any, knowledge, bytes(20))), "rejected");
}

#[test]
fn a_push_that_was_applied_before_is_answered_from_what_is_there() {
    let (live, tombstone) = (record(Some(r#"{"a":1}"#)), record(None));
    for (existing, op, expected) in [
        (&live, put(r#"{"a":1.0}"#), Decision::Unchanged),
        (&live, put(r#"{"a":2}"#), Decision::Conflict),
        (&live, patch(r#"{"a":1}"#), Decision::Unchanged),
        (&live, patch(r#"{"a":null}"#), Decision::Conflict),
        (&live, Op::Delete, Decision::Conflict),
        (&tombstone, Op::Delete, Decision::Unchanged),
        (&tombstone, put(r#"{"a":1}"#), Decision::Conflict),
        (&Existing::Nothing, Op::Delete, Decision::Unchanged),
        (&Existing::Nothing, put(r#"{"a":1}"#), Decision::Conflict),
        (&Existing::Nothing, patch(r#"{"a":1}"#), Decision::Conflict),
    ] {
        assert_eq!(decide_duplicate(existing, &op), expected, "{existing:?} {op:?}");
    }
}

/// A space of epochs `old` (up to 40) and `new`, whose head is 100 and whose collection `todos` was last written at 60.
fn space() -> SpaceState {
    let mut lineage = Lineage::new(epoch("old"));
    lineage.open(epoch("new"), rev(40));
    let tally = |head| CollectionState { head: rev(head), ..CollectionState::default() };
    SpaceState {
        name: "demo".parse().unwrap(),
        lineage,
        head: rev(HEAD),
        policy: RetentionPolicy::of(Retention::DEFAULT),
        quota: QuotaRule::default(),
        created_at: Timestamp::default(),
        modified_at: Timestamp::default(),
        collections: [("todos".parse().unwrap(), tally(60)), ("lists".parse().unwrap(), tally(HEAD))].into(),
    }
}

fn epoch(text: &str) -> Epoch {
    text.parse().unwrap()
}

#[test]
fn a_cursor_of_another_history_stops_the_push() {
    let space = space();
    let todos = Collections::parse("todos").unwrap();
    let scope = todos.scope();
    for (cursor, choice, reason) in [
        ("new.100".to_owned(), None, None),
        ("new.100.p".to_owned(), None, None),
        ("new.10.100".to_owned(), None, None),
        ("new.101".to_owned(), None, Some((Reason::Ahead, 0))),
        ("new.10.101".to_owned(), None, Some((Reason::Ahead, 0))),
        ("old.40".to_owned(), None, None),
        ("old.41".to_owned(), None, Some((Reason::Epoch, 40))),
        ("old.10.p".to_owned(), None, Some((Reason::Epoch, 40))),
        ("old.10.20".to_owned(), None, Some((Reason::Epoch, 40))),
        ("other.1".to_owned(), None, Some((Reason::Epoch, 0))),
        (format!("new.50~{scope}"), Some(&todos), None),
        (format!("new.50~{scope}"), None, Some((Reason::Scope, 50))),
        ("new.50".to_owned(), Some(&todos), Some((Reason::Scope, 50))),
    ] {
        let got = check_cursor(&cursor.parse().unwrap(), choice, &space).err();
        assert_eq!(got.map(|r| (r.reason, r.shared_rev.get())), reason, "{cursor}");
    }
}

#[test]
fn a_cursor_moves_to_the_new_head_only_past_what_its_client_has_seen() {
    let space = space();
    let todos = Collections::parse("todos").unwrap();
    let scope = todos.scope();
    for (cursor, choice, renewed) in [
        ("new.100".to_owned(), None, "new.103".to_owned()),
        ("new.99".to_owned(), None, "new.99.p".to_owned()),
        ("new.100.p".to_owned(), None, "new.100.p".to_owned()),
        ("new.100.100".to_owned(), None, "new.100.100".to_owned()),
        ("old.40".to_owned(), None, "new.40.p".to_owned()),
        // In todos nothing came after 60; what came in lists does not count.
        (format!("new.60~{scope}"), Some(&todos), format!("new.103~{scope}")),
        (format!("new.59~{scope}"), Some(&todos), format!("new.59.p~{scope}")),
    ] {
        let parsed = cursor.parse().unwrap();
        assert_eq!(renew_cursor(Some(&parsed), choice, &space, rev(103)).to_string(), renewed, "{cursor}");
    }
    assert_eq!(renew_cursor(None, None, &space, rev(103)).to_string(), "new.103");
}
