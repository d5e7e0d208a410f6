//! Where a pull begins and what it answers, reason by reason as §3 has them.

use super::*;
use crate::domain::{CollectionState, Collections, Lineage, QuotaRule, Retention, RetentionPolicy};

fn rev(value: u64) -> Rev {
    Rev::new(value).unwrap()
}

/// Epochs `old` (shared up to 40) and `new`; head 100; todos with horizon 20 (purged at second 2), lists with 60 (at 6).
fn space() -> SpaceState {
    let mut lineage = Lineage::new("old".parse().unwrap());
    lineage.open("new".parse().unwrap(), rev(40));
    let tally = |head, horizon: u64| CollectionState {
        head: rev(head),
        live: 1,
        horizon: rev(horizon),
        horizon_at: Timestamp::from_micros(horizon.cast_signed() * 100_000),
        ..CollectionState::default()
    };
    SpaceState {
        name: "demo".parse().unwrap(),
        lineage,
        head: rev(100),
        policy: RetentionPolicy::of(Retention::DEFAULT),
        quota: QuotaRule::default(),
        created_at: Timestamp::default(),
        modified_at: Timestamp::default(),
        collections: [("todos".parse().unwrap(), tally(90, 20)), ("lists".parse().unwrap(), tally(100, 60))].into(),
    }
}

#[test]
fn the_reasons_to_resync_in_their_order() {
    let space = space();
    let todos = Collections::parse("todos").unwrap();
    let scope = todos.scope();
    let (all, some) = (None, Some(&todos));
    for (since, choice, expected) in [
        // whole cursors
        ("new.100", all, Ok((100, None))),
        ("new.60", all, Ok((60, None))),
        ("new.59", all, Err((Reason::Purged, 60, 59))),
        ("new.101", all, Err((Reason::Ahead, 60, 0))),
        // of an earlier epoch: good up to the shared revision, for its own collections
        ("old.40", all, Err((Reason::Purged, 60, 40))),
        ("old.41", all, Err((Reason::Epoch, 60, 40))),
        ("old.40.p", all, Err((Reason::Epoch, 60, 40))),
        ("old.10.40", all, Err((Reason::Epoch, 60, 40))),
        ("other.0", all, Err((Reason::Purged, 60, 0))),
        ("other.1", all, Err((Reason::Epoch, 60, 0))),
        // the first that holds: another epoch before ahead, ahead before scope, scope before purged
        ("old.101", some, Err((Reason::Epoch, 20, 40))),
        ("new.101", some, Err((Reason::Ahead, 20, 0))),
        ("new.10", some, Err((Reason::Scope, 20, 10))),
        // initial syncs stay valid while the horizon is not beyond their start, wherever they are
        ("new.5.60", all, Ok((5, Some(60)))),
        ("new.5.59", all, Err((Reason::Purged, 60, 5))),
        ("new.5.101", all, Err((Reason::Ahead, 60, 0))),
        ("new.60.p", all, Ok((60, None))),
        // bare revisions, times, now, nothing
        ("60", all, Ok((60, None))),
        ("59", all, Err((Reason::Purged, 60, 59))),
        ("101", all, Err((Reason::Ahead, 60, 0))),
        ("0", some, Err((Reason::Purged, 20, 0))),
        ("20", some, Ok((20, None))),
        ("now", all, Ok((100, None))),
        ("", all, Ok((0, Some(100)))),
        ("1970-01-01T00:00:06Z", all, Err((Reason::Purged, 60, 0))),
        ("1970-01-01T00:00:02Z", some, Err((Reason::Purged, 20, 0))),
    ] {
        let tally = space.tally(choice);
        let parsed = if since.is_empty() { Since::Nothing } else { Since::parse(since).unwrap() };
        let got = begin(parsed, choice.map(Collections::scope), &space, &tally);
        let got = got.map_err(|r| (r.reason, r.horizon.get(), r.shared_rev.get()));
        let expected =
            expected.map(|(after, start)| Start::After(Reading { after: rev(after), start: start.map(rev) }));
        assert_eq!(got, expected, "{since} over {choice:?}");
    }
    let time = Timestamp::from_micros(2_000_001);
    assert_eq!(begin(Since::Time(time), Some(scope), &space, &space.tally(some)), Ok(Start::At(time)));
}

#[test]
fn an_up_to_date_pull_needs_no_row() {
    let space = space();
    let todos = Collections::parse("todos").unwrap();
    let request = |since: &str, collections: Option<Collections>| PullRequest {
        space: space.name.clone(),
        since: Since::parse(since).unwrap(),
        collections,
        limit: 10,
        max_bytes: 1000,
        upto: None,
        held: None,
    };
    let answer = |request: &PullRequest| {
        let tally = space.tally(request.collections.as_ref());
        let scope = request.collections.as_ref().map(Collections::scope);
        View { state: &space, tally: &tally, scope, now: Timestamp::from_micros(0) }.without_rows(request)
    };
    let Some(Pulled::Page(page)) = answer(&request("new.100", None)) else { panic!("no page") };
    assert_eq!((page.cursor.to_string().as_str(), page.check.map(|c| c.0)), ("new.100", Some(2)));
    // Nothing new in todos since 90, though the head is at 100: the cursor moves there.
    let Some(Pulled::Page(page)) = answer(&request("90", Some(todos.clone()))) else { panic!("no page") };
    assert_eq!(page.cursor.to_string(), format!("new.100~{}", todos.scope()));
    assert_eq!(page.horizon, rev(20));
    assert!(answer(&request("89", Some(todos))).is_none());
    // What the caller holds is still the answer, unless it has to resync.
    let held = |since| PullRequest { held: Some(("new".parse().unwrap(), rev(100))), ..request(since, None) };
    assert!(matches!(answer(&held("70")), Some(Pulled::NotModified { .. })));
    assert!(matches!(answer(&held("10")), Some(Pulled::Resync(_))));
}

#[test]
fn a_page_says_where_it_leaves_the_client() {
    let space = space();
    let tally = space.tally(None);
    let end = |rev_, has_more| End { rev: rev(rev_), has_more };
    let view = View { state: &space, tally: &tally, scope: None, now: Timestamp::default() };
    let cursor = |reading, end| view.page(reading, Vec::new(), end, None).cursor;
    let initial = Reading { after: rev(5), start: Some(rev(80)) };
    assert_eq!(cursor(Reading::delta(rev(5)), end(50, true)).to_string(), "new.50.p");
    assert_eq!(cursor(initial, end(50, true)).to_string(), "new.50.80");
    assert_eq!(cursor(initial, end(100, false)).to_string(), "new.100");
    // Until it is whole, an initial sync depends on the tombstones after its start alone.
    assert_eq!(end(50, true).edge(initial), rev(80));
    assert_eq!(end(100, false).edge(initial), rev(100));
    assert_eq!(end(50, true).edge(Reading::delta(rev(5))), rev(50));
}
