//! Answers, applied: each in one transaction, and only if no other one was since it was asked for.

use diesel::SqliteConnection;
use diesel::prelude::*;

use super::ReplicaError;
use super::edit::{self, Edit, Sent};
use super::schema::{conflicts, edits, records, sending};
use super::state::{Book, Held, State};
use super::step::{self, Reason};
use super::wire::{Answer, Fetched, Manifest, Outcome, Page, Remote, Theirs, wrong};
use crate::domain::{Checksum, Document, Rev, Runs, Timestamp};

/// A record as it is named.
pub(super) type Key = (String, String);

/// What an answer did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Records that the user may see otherwise now.
    pub touched: Vec<Key>,
    /// Changes that the server took.
    pub pushed: u64,
    pub conflicts: u64,
    pub rejected: u64,
}

/// Begins to apply an answer: the state, if it was asked for in this one.
fn begin(connection: &mut SqliteConnection, answers: i64) -> Result<Option<State>, ReplicaError> {
    let mut state = State::load(connection)?;
    if state.answers != answers {
        return Ok(None);
    }
    state.answers += 1;
    Ok(Some(state))
}

/// What a page came to.
pub(super) enum Pulled {
    /// There is more.
    More,
    /// The replica is whole, and has checked itself.
    Whole,
    /// It is not what the server says.
    Different,
}

/// A page. `None` if it came too late.
pub(super) fn page(
    connection: &mut SqliteConnection,
    answers: i64,
    page: &Page,
    etag: Option<String>,
    touched: &mut Vec<Key>,
) -> Result<Option<Pulled>, ReplicaError> {
    let Some(mut state) = begin(connection, answers)? else { return Ok(None) };
    if page.end.is_none() && state.cursor.as_ref() == Some(&page.cursor) {
        return Err(wrong("a page that leads nowhere"));
    }
    if state.cursor.is_none() {
        begin_anew(connection, &mut state, &page.cursor)?;
    }
    let mut book = Book { connection, state: &mut state };
    for change in &page.changes {
        if book.take(change)? {
            touched.push((change.collection.to_string(), change.id.to_string()));
        }
    }
    state.cursor = Some(page.cursor.clone());
    state.set_doubtful(&Runs::default());
    let pulled = match page.end {
        None => Pulled::More,
        Some(end) if end == (state.count, state.checksum()) => Pulled::Whole,
        Some(_) => Pulled::Different,
    };
    let whole = matches!(pulled, Pulled::Whole);
    if whole {
        // What no repair has brought back.
        touched.extend(stale_keys(connection)?);
        diesel::delete(records::table.filter(records::stale)).execute(connection)?;
    }
    (state.whole, state.etag) = (whole, etag.filter(|_| whole));
    state.save(connection)?;
    Ok(Some(pulled))
}

fn stale_keys(connection: &mut SqliteConnection) -> Result<Vec<Key>, ReplicaError> {
    Ok(records::table.filter(records::stale).select((records::collection, records::id)).load(connection)?)
}

/// There is no space yet, and so nothing to hold.
pub(super) fn no_space(connection: &mut SqliteConnection, answers: i64) -> Result<(), ReplicaError> {
    if let Some(mut state) = begin(connection, answers)?
        && !state.whole
    {
        state.whole = true;
        state.save(connection)?;
    }
    Ok(())
}

/// Begins an initial sync, which is for who holds nothing (§3): what a push has left here may be gone by now, and where the
/// space is not the one that it met, it is of another history.
fn begin_anew(connection: &mut SqliteConnection, state: &mut State, cursor: &str) -> Result<(), ReplicaError> {
    diesel::update(records::table).set(records::stale.eq(true)).execute(connection)?;
    if state.met.take().as_deref() != epoch_of(cursor) {
        diesel::update(records::table).set(records::rev.eq(0)).execute(connection)?;
        diesel::update(edits::table.filter(edits::base.is_not_null())).set(edits::base.eq(0)).execute(connection)?;
    }
    state.count = 0;
    state.set_checksum(Checksum::EMPTY);
    Ok(())
}

/// Fetched records; `rest` is what is left to fetch where the answer was not cut.
pub(super) fn fetched(
    connection: &mut SqliteConnection,
    answers: i64,
    page: &Fetched,
    asked: &Runs,
    rest: &Runs,
    touched: &mut Vec<Key>,
) -> Result<(), ReplicaError> {
    let Some(mut state) = begin(connection, answers)? else { return Ok(()) };
    let mut book = Book { connection, state: &mut state };
    for change in &page.changes {
        if book.take(change)? {
            touched.push((change.collection.to_string(), change.id.to_string()));
        }
    }
    state.set_doubtful(&join(&state.doubtful()?, asked));
    match page.next {
        Some(next) => {
            let left = asked.from_rev(next);
            if left.len() == asked.len() {
                return Err(wrong("a page of fetched records that leads nowhere"));
            }
            state.set_remaining(&left.ranges().chain(rest.ranges()).collect());
        }
        None => state.set_remaining(rest),
    }
    state.save(connection)
}

/// Both sets as one. What a repair fetches ascends, save that its last page may be asked for again.
fn join(before: &Runs, after: &Runs) -> Runs {
    let mut ranges: Vec<_> = before.ranges().chain(after.ranges()).collect();
    ranges.sort_unstable_by_key(|range| *range.start());
    ranges.into_iter().collect()
}

/// The manifest of a repair (6). How many records are to be fetched and how many are stale, or `None` if it came
/// too late, or is of another epoch than the trouble was about: then nobody knows yet how much of it is shared.
pub(super) fn manifest(
    connection: &mut SqliteConnection,
    answers: i64,
    manifest: &Manifest,
    reason: &Reason,
) -> Result<Option<(u64, u64)>, ReplicaError> {
    let Some(mut state) = begin(connection, answers)? else { return Ok(None) };
    match reason {
        Reason::Resync { epoch, .. } if *epoch != manifest.epoch => return Ok(None),
        Reason::Resync { reason, shared_rev, .. } if reason == "epoch" || reason == "ahead" => {
            forget_above(connection, *shared_rev)?;
            forget_doubtful(connection, &state.doubtful()?)?;
        }
        Reason::Different if state.cursor.as_deref().and_then(epoch_of) != Some(&manifest.epoch) => return Ok(None),
        // Where the epoch was another one, that would have been the 410's reason (§3).
        Reason::Resync { .. } | Reason::Different => {}
    }
    state.set_doubtful(&Runs::default());
    forget_doubles(connection)?;
    let revs = records::table.filter(records::rev.gt(0)).order(records::rev).select(records::rev);
    let held = revs.load::<i64>(connection)?;
    let (missing, gone, kept) = compare(&manifest.runs, &held);
    // What an earlier repair made stale may be in this manifest.
    diesel::update(records::table.filter(records::stale)).set(records::stale.eq(false)).execute(connection)?;
    diesel::update(records::table.filter(records::rev.eq(0))).set(records::stale.eq(true)).execute(connection)?;
    for rev in &gone {
        let of_it = records::table.filter(records::rev.eq(rev));
        diesel::update(of_it).set(records::stale.eq(true)).execute(connection)?;
    }
    state.count = i64::try_from(held.len() - gone.len()).unwrap_or(i64::MAX);
    state.set_checksum(kept);
    state.set_remaining(&missing);
    state.cursor = Some(manifest.cursor.clone());
    if state.sending_cursor.is_some() {
        state.sending_cursor = Some(manifest.cursor.clone());
    }
    (state.whole, state.etag) = (false, None);
    state.save(connection)?;
    let dubious = records::table.filter(records::stale).count().get_result::<i64>(connection)?;
    Ok(Some((missing.len(), u64::try_from(dubious).unwrap_or(0))))
}

/// Forgets the revisions that are of another history, and the bases of edits that are.
fn forget_above(connection: &mut SqliteConnection, shared: i64) -> Result<(), ReplicaError> {
    diesel::update(records::table.filter(records::rev.gt(shared))).set(records::rev.eq(0)).execute(connection)?;
    diesel::update(edits::table.filter(edits::base.gt(shared))).set(edits::base.eq(0)).execute(connection)?;
    diesel::update(sending::table.filter(sending::base.gt(shared))).set(sending::base.eq(0)).execute(connection)?;
    Ok(())
}

/// Forgets what was fetched when its epoch was over perhaps: `fetch` does not say of which it is (§6).
fn forget_doubtful(connection: &mut SqliteConnection, doubtful: &Runs) -> Result<(), ReplicaError> {
    for range in doubtful.ranges() {
        let (first, last) = (range.start().cast_signed(), range.end().cast_signed());
        let held = records::table.filter(records::rev.between(first, last));
        diesel::update(held).set(records::rev.eq(0)).execute(connection)?;
        let based = edits::table.filter(edits::base.between(first, last));
        diesel::update(based).set(edits::base.eq(0)).execute(connection)?;
        let sent = sending::table.filter(sending::base.between(first, last));
        diesel::update(sent).set(sending::base.eq(0)).execute(connection)?;
    }
    Ok(())
}

/// The epoch of a cursor (§1).
fn epoch_of(cursor: &str) -> Option<&str> {
    cursor.split('.').next()
}

/// A revision that two records claim, in a file that was damaged, is of neither.
fn forget_doubles(connection: &mut SqliteConnection) -> Result<(), ReplicaError> {
    let revs = records::table.group_by(records::rev).having(diesel::dsl::count_star().gt(1)).select(records::rev);
    for rev in revs.load::<i64>(connection)? {
        diesel::update(records::table.filter(records::rev.eq(rev))).set(records::rev.eq(0)).execute(connection)?;
    }
    Ok(())
}

/// What is in the manifest and not held, what is held and not in it, and the checksum of what is in both. `held` ascends.
fn compare(manifest: &Runs, held: &[i64]) -> (Runs, Vec<i64>, Checksum) {
    let (mut missing, mut gone, mut kept) = (Vec::new(), Vec::new(), Checksum::EMPTY);
    let mut held = held.iter().copied().peekable();
    for range in manifest.ranges() {
        let (mut first, last) = range.into_inner();
        while let Some(rev) = held.next_if(|rev| rev.cast_unsigned() <= last) {
            let place = rev.cast_unsigned();
            if place < first {
                gone.push(rev);
                continue;
            }
            if place > first {
                missing.push(first..=place - 1);
            }
            kept.toggle(Rev::from_stored(rev));
            first = place + 1;
        }
        if first <= last {
            missing.push(first..=last);
        }
    }
    gone.extend(held);
    (missing.into_iter().collect(), gone, kept)
}

/// What became of the push (4). `None` if it came too late.
pub(super) fn answer(
    connection: &mut SqliteConnection,
    answers: i64,
    answer: &Answer,
    scoped: bool,
    now: Timestamp,
) -> Result<Option<Applied>, ReplicaError> {
    let Some(mut state) = begin(connection, answers)? else { return Ok(None) };
    let sent = step::sent(connection)?;
    if sent.len() != answer.results.len() {
        return Err(wrong("a push with another number of results than changes"));
    }
    let blank = state.is_blank();
    let mut applied = Applied::default();
    let mut book = Book { connection, state: &mut state };
    for (sent, outcome) in sent.iter().zip(&answer.results) {
        applied.touched.push((sent.collection.clone(), sent.id.clone()));
        let follows = Edit::find(book.connection, &sent.collection, &sent.id)?;
        match outcome {
            Outcome::Done { rev, modified_at } => {
                applied.pushed += 1;
                book.take(&done(sent, *rev, *modified_at)?)?;
                if let Some(edit) = follows {
                    let edit = Edit { base: rev.map(Rev::to_stored), follows: false, ..edit };
                    edit.save(book.connection)?;
                    edit::settle(book.connection, &edit)?;
                }
            }
            Outcome::Conflict(theirs) => {
                book.take(theirs)?;
                let mine = follows.map_or_else(|| sent.data.clone(), |edit| edit.data);
                Edit::remove(book.connection, &sent.collection, &sent.id)?;
                if !same(mine.as_deref(), theirs.data.as_ref()) {
                    applied.conflicts += 1;
                    list(book.connection, sent, mine.as_deref(), Some(&theirs_text(theirs)?), None, now)?;
                }
            }
            Outcome::Rejected(problem) => {
                applied.rejected += 1;
                reject(book.connection, sent, follows, problem, now)?;
            }
        }
    }
    diesel::delete(sending::table).execute(connection)?;
    // Without a cursor the answer's is the new head, of all collections: right only for who knows all there was before.
    if state.sending_cursor.is_some() || (answer.previous_head == Rev::ZERO && blank && !scoped) {
        state.cursor.clone_from(&answer.cursor);
    } else {
        state.met = answer.cursor.as_deref().and_then(epoch_of).map(str::to_owned);
    }
    if state.sending_cursor.is_some() {
        // Its epoch is the present one, or at least shared so far.
        state.set_doubtful(&Runs::default());
    }
    (state.sending_seq, state.sending_cursor) = (None, None);
    // The head has moved, and nobody has said yet what should be held there.
    state.etag = None;
    state.save(connection)?;
    Ok(Some(applied))
}

/// A push that the server refused as a whole for what is in it (400, 413): halved, or rejected where it is one change.
pub(super) fn refused(
    connection: &mut SqliteConnection,
    answers: i64,
    problem: &str,
    now: Timestamp,
) -> Result<Option<Applied>, ReplicaError> {
    let Some(mut state) = begin(connection, answers)? else { return Ok(None) };
    let sent = step::sent(connection)?;
    let mut applied = Applied::default();
    if let [only] = sent.as_slice() {
        applied.touched.push((only.collection.clone(), only.id.clone()));
        let follows = Edit::find(connection, &only.collection, &only.id)?;
        applied.rejected += 1;
        reject(connection, only, follows, problem, now)?;
    } else {
        unform(connection, sent)?;
    }
    none_is_sent(connection, &mut state)?;
    Ok(Some(applied))
}

/// A push that the server refused for the quota of the space (403 `quota_exceeded`): its changes are edits again, so that
/// what makes room can be pushed before them.
pub(super) fn put_off(connection: &mut SqliteConnection, answers: i64) -> Result<(), ReplicaError> {
    let Some(mut state) = begin(connection, answers)? else { return Ok(()) };
    let sent = step::sent(connection)?;
    unform(connection, sent)?;
    none_is_sent(connection, &mut state)
}

/// Makes edits of the changes of a push that was not applied, before all others.
fn unform(connection: &mut SqliteConnection, sent: Vec<Sent>) -> Result<(), ReplicaError> {
    let first = edits::table.select(diesel::dsl::min(edits::position)).first::<Option<i64>>(connection)?;
    let first = first.unwrap_or(1) - i64::try_from(sent.len()).unwrap_or(0);
    for (position, Sent { collection, id, base, data, .. }) in (first..).zip(sent) {
        let edit = match Edit::find(connection, &collection, &id)? {
            Some(edit) => Edit { base, follows: false, ..edit },
            None => Edit { position, collection, id, base, follows: false, data },
        };
        edit.save(connection)?;
    }
    Ok(())
}

fn none_is_sent(connection: &mut SqliteConnection, state: &mut State) -> Result<(), ReplicaError> {
    diesel::delete(sending::table).execute(connection)?;
    (state.sending_seq, state.sending_cursor) = (None, None);
    state.save(connection)
}

/// Our change as the record that it became.
fn done(sent: &Sent, rev: Option<Rev>, modified_at: Timestamp) -> Result<Remote, ReplicaError> {
    let data = sent.data.clone().map(|data| Document::from_stored(data.into_boxed_str()));
    if data.is_some() && rev.is_none() {
        return Err(wrong("a record that was written and has no revision"));
    }
    Ok(Remote {
        collection: crate::domain::CollectionName::new(&sent.collection).map_err(wrong)?,
        id: crate::domain::RecordId::from_stored(sent.id.clone()),
        rev,
        modified_at,
        data,
    })
}

fn reject(
    connection: &mut SqliteConnection,
    sent: &Sent,
    follows: Option<Edit>,
    problem: &str,
    now: Timestamp,
) -> Result<(), ReplicaError> {
    let theirs = Held::find(connection, &sent.collection, &sent.id)?.map(|held| held_text(sent, &held)).transpose()?;
    list(connection, sent, sent.data.as_deref(), theirs.as_deref(), Some(problem), now)?;
    if let Some(edit) = follows {
        let edit = Edit { base: sent.base, follows: false, ..edit };
        edit.save(connection)?;
        edit::settle(connection, &edit)?;
    }
    Ok(())
}

/// Whether what was discarded is what the server has.
fn same(mine: Option<&str>, theirs: Option<&Document>) -> bool {
    match (mine, theirs) {
        (None, None) => true,
        (Some(mine), Some(theirs)) => Document::from_stored(mine.into()).equals(theirs),
        _ => false,
    }
}

/// Lists a conflict.
fn list(
    connection: &mut SqliteConnection,
    sent: &Sent,
    mine: Option<&str>,
    theirs: Option<&str>,
    problem: Option<&str>,
    now: Timestamp,
) -> Result<(), ReplicaError> {
    let row = (
        conflicts::collection.eq(&sent.collection),
        conflicts::id.eq(&sent.id),
        conflicts::mine.eq(mine),
        conflicts::theirs.eq(theirs),
        conflicts::problem.eq(problem),
        conflicts::found_at.eq(now.micros()),
    );
    diesel::insert_into(conflicts::table).values(row).execute(connection)?;
    Ok(())
}

fn theirs_text(theirs: &Remote) -> Result<String, ReplicaError> {
    let modified_at = theirs.rev.map(|_| theirs.modified_at.to_string());
    let data = theirs.data.as_ref().map(Document::as_str);
    change_text(theirs.collection.as_str(), theirs.id.as_str(), theirs.rev.map(Rev::get), modified_at, data)
}

fn held_text(sent: &Sent, held: &Held) -> Result<String, ReplicaError> {
    let modified_at = Timestamp::from_micros(held.modified_at).to_string();
    let rev = Rev::from_stored(held.rev).get();
    change_text(&sent.collection, &sent.id, Some(rev), Some(modified_at), Some(&held.data))
}

fn change_text(
    collection: &str,
    id: &str,
    rev: Option<u64>,
    modified_at: Option<String>,
    data: Option<&str>,
) -> Result<String, ReplicaError> {
    let local = |error: serde_json::Error| ReplicaError::Local(error.to_string());
    let data = data.map(serde_json::from_str).transpose().map_err(local)?;
    let theirs = Theirs { collection, id, rev, modified_at, deleted: data.is_none(), data };
    serde_json::to_string(&theirs).map_err(local)
}

/// Counts the records anew. Whether count and checksum were right; they are now.
pub(super) fn recount(connection: &mut SqliteConnection) -> Result<bool, ReplicaError> {
    let mut state = State::load(connection)?;
    let right = Book { connection, state: &mut state }.recount()?;
    // The server is to say anew what should be held: "nothing is new" would hide what is wrong here.
    state.etag = None;
    state.save(connection)?;
    Ok(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn comparing_says_what_sets_say(
            theirs in proptest::collection::btree_set(1_u64..200, 0..120),
            ours in proptest::collection::btree_set(1_u64..200, 0..120),
        ) {
            let rev = |rev: &u64| Rev::new(*rev).unwrap();
            let held: Vec<i64> = ours.iter().map(|rev| rev.cast_signed()).collect();
            let (missing, gone, kept) = compare(&theirs.iter().map(rev).collect(), &held);
            prop_assert_eq!(missing, theirs.difference(&ours).map(rev).collect::<Runs>());
            let gone: BTreeSet<u64> = gone.iter().map(|rev| rev.cast_unsigned()).collect();
            prop_assert_eq!(gone, ours.difference(&theirs).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(kept, theirs.intersection(&ours).map(rev).collect::<Checksum>());
        }
    }
}
