//! The next step of a sync, which follows from what is held (clients/PROTOCOL-CLIENT.md, 3), and its request.

use diesel::SqliteConnection;
use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use form_urlencoded::Serializer;
use serde_json::value::RawValue;

use super::ReplicaError;
use super::edit::{Edit, Sent};
use super::schema::{edits, sending};
use super::state::State;
use super::transport::Request;
use super::wire::{FetchBody, PushBody, PushChange};
use crate::domain::{Collections, Cursor, Progress, Runs};

/// Changes of a page.
const PAGE: u64 = 5000;
/// Edits in a push, at the most.
pub(super) const PUSH: usize = 500;
/// Bytes of data in a push, at the most, unless it is one edit's.
const PUSH_BYTES: usize = 4 << 20;

/// What is to be asked, and what for.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Fetches the next revisions of a repair; `rest` is what is left then.
    Fetch { asked: Runs, rest: Runs },
    /// Sends the push, of this many changes.
    Send { changes: usize },
    /// Pulls a page.
    Pull,
    /// Compares, for this reason.
    Repair(Reason),
}

/// Why a replica is to be repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A 410 (§3): its reason, the present epoch, and up to where the history is shared.
    Resync { reason: String, epoch: String, shared_rev: i64 },
    /// Count or checksum differ.
    Different,
}

/// What may be taken into a push.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taking {
    /// Edits, at the most.
    pub most: usize,
    /// Whether the space is full: what makes room is taken always.
    pub deletions_only: bool,
}

/// The step to take, with its request and the number of answers that were applied before it.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub step: Step,
    pub request: Request,
    pub answers: i64,
}

/// The step that follows from what is held; `None` where only a pull to make sure is left, and `pulled` says that it was
/// made. `taking` says what may be taken into a push that is formed.
pub(super) fn next(
    connection: &mut SqliteConnection,
    collections: Option<&Collections>,
    pulled: bool,
    taking: Taking,
) -> Result<Option<Task>, ReplicaError> {
    let mut state = State::load(connection)?;
    let remaining = state.remaining()?;
    if !remaining.is_empty() {
        let (asked, rest) = remaining.split_at(PAGE);
        let body = FetchBody { runs: asked.counts(), limit: PAGE, collections: names(collections) };
        let request = post("/fetch", &body)?;
        return Ok(Some(Task { step: Step::Fetch { asked, rest }, request, answers: state.answers }));
    }
    // An edit whose only base is the cursor waits for one that is whole (§4): of what came after this one, some is our own.
    let waits = state.sending_seq.is_none() && state.whole && !form(connection, &mut state, taking)?;
    if let Some(seq) = state.sending_seq {
        let sent = sent(connection)?;
        let request = push(&state, seq, &sent, collections)?;
        return Ok(Some(Task { step: Step::Send { changes: sent.len() }, request, answers: state.answers }));
    }
    if state.whole && pulled && !waits {
        return Ok(None);
    }
    Ok(Some(Task { step: Step::Pull, request: pull(&state, collections), answers: state.answers }))
}

/// The task of a repair.
pub(super) fn repair(
    connection: &mut SqliteConnection,
    collections: Option<&Collections>,
    reason: Reason,
) -> Result<Task, ReplicaError> {
    let mut query = Serializer::new(String::new());
    if let Some(collections) = collections {
        query.append_pair("collections", &collections.to_string());
    }
    let query = query.finish();
    let path = if query.is_empty() { "/manifest".to_owned() } else { format!("/manifest?{query}") };
    let request = Request { path, body: None, if_none_match: None };
    Ok(Task { step: Step::Repair(reason), request, answers: State::load(connection)?.answers })
}

/// The changes of the push on its way.
pub(super) fn sent(connection: &mut SqliteConnection) -> Result<Vec<Sent>, ReplicaError> {
    Ok(sending::table.order(sending::position).select(Sent::as_select()).load(connection)?)
}

/// Takes edits in their order into a push, if there are any. `false` if the first of them waits for a pull.
fn form(connection: &mut SqliteConnection, state: &mut State, taking: Taking) -> Result<bool, ReplicaError> {
    let limit = i64::try_from(taking.most.min(PUSH)).unwrap_or(1);
    let mut waiting = edits::table.order(edits::position).limit(limit).select(Edit::as_select()).into_boxed();
    if taking.deletions_only {
        waiting = waiting.filter(edits::data.is_null());
    }
    let is_whole = |cursor: &String| cursor.parse().is_ok_and(|cursor: Cursor| cursor.progress == Progress::Whole);
    let under_way = state.cursor.as_ref().is_some_and(|cursor| !is_whole(cursor));
    let mut waits = false;
    let mut bytes = 0;
    let mut taken = Vec::new();
    // One by one: all that may be taken by their number could be half a gigabyte.
    for edit in waiting.load_iter::<Edit, DefaultLoadingMode>(connection)? {
        let edit = edit?;
        waits = under_way && edit.base.is_none();
        if waits {
            break;
        }
        bytes += edit.data.as_ref().map_or(0, String::len);
        if bytes > PUSH_BYTES && !taken.is_empty() {
            break;
        }
        taken.push(edit);
    }
    if taken.is_empty() {
        return Ok(!waits);
    }
    for Edit { position, collection, id, base, data, .. } in taken {
        Edit::remove(connection, &collection, &id)?;
        let change = Sent { position, collection, id, base, data };
        diesel::insert_into(sending::table).values(change).execute(connection)?;
    }
    state.seq += 1;
    state.sending_seq = Some(state.seq);
    state.sending_cursor.clone_from(&state.cursor);
    state.save(connection)?;
    Ok(true)
}

fn push(state: &State, seq: i64, sent: &[Sent], collections: Option<&Collections>) -> Result<Request, ReplicaError> {
    let mut changes = Vec::with_capacity(sent.len());
    for sent in sent {
        let data = sent.data.as_deref().map(serde_json::from_str::<&RawValue>).transpose();
        changes.push(PushChange {
            collection: &sent.collection,
            id: &sent.id,
            base_rev: sent.base,
            data: data.map_err(|error| ReplicaError::Local(error.to_string()))?,
            deleted: sent.data.is_none(),
        });
    }
    let cursor = state.sending_cursor.as_deref();
    let collections = cursor.and(names(collections));
    post("/push", &PushBody { changes, cursor, collections, seq })
}

fn pull(state: &State, collections: Option<&Collections>) -> Request {
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", &PAGE.to_string());
    if let Some(cursor) = &state.cursor {
        query.append_pair("since", cursor);
    }
    if let Some(collections) = collections {
        query.append_pair("collections", &collections.to_string());
    }
    Request { path: format!("/changes?{}", query.finish()), body: None, if_none_match: state.etag.clone() }
}

/// The request that the server holds open until there is news (§3). Its answer is only a sign: what is new comes by a pull.
pub(super) fn long_poll(
    connection: &mut SqliteConnection,
    collections: Option<&Collections>,
    wait: u64,
) -> Result<Request, ReplicaError> {
    let state = State::load(connection)?;
    let mut request = pull(&state, collections);
    request.path = request.path.replacen(&format!("limit={PAGE}"), &format!("limit=1&wait={wait}"), 1);
    Ok(request)
}

fn names(collections: Option<&Collections>) -> Option<Vec<&str>> {
    collections.map(|collections| collections.names().iter().map(crate::domain::CollectionName::as_str).collect())
}

fn post(path: &str, body: &impl serde::Serialize) -> Result<Request, ReplicaError> {
    let body = serde_json::to_string(body).map_err(|error| ReplicaError::Local(error.to_string()))?;
    Ok(Request { path: path.to_owned(), body: Some(body), if_none_match: None })
}
