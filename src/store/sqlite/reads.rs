//! The reading operations, each within one snapshot.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::connection::failure;
use super::rows;
use crate::domain::pull::{self, End, PullRequest, Pulled, Reading, Rows, Start, View};
use crate::domain::repair::{FetchRequest, Fetched, Manifest, ManifestRequest};
use crate::domain::{
    Change, Checksum, CollectionName, Collections, Cursor, Progress, RecordId, Rev, Runs, SpaceName, Tally, Timestamp,
};
use crate::store::rows::{CHANGE, ChangeColumns, SpaceRow};
use crate::store::schema::records;
use crate::store::{ListRequest, Listing, StoreError};

/// A collection of up to this many rows is read by itself and sorted where the range that it lies in is far longer;
/// a larger one is filtered out of the range.
const SMALL_COLLECTION: u64 = 20_000;

/// Answers a pull (§3).
pub(super) fn pull(
    connection: &mut SqliteConnection,
    request: &PullRequest,
    now: Timestamp,
) -> Result<Pulled, StoreError> {
    let space = rows::existing_space(connection, &request.space)?;
    let choice = request.collections.as_ref();
    let tally = space.state.tally(choice);
    let scope = choice.map(Collections::scope);
    let view = View { state: &space.state, tally: &tally, scope, now };
    if let Some(answer) = view.without_rows(request) {
        return Ok(answer);
    }
    let reading = match pull::begin(request.since, scope, &space.state, &tally) {
        Err(resync) => return Ok(Pulled::Resync(resync)),
        Ok(Start::After(reading)) => reading,
        Ok(Start::At(time)) => Reading::delta(before(connection, &space, time)?),
    };
    let rows = read_rows(connection, &space, &tally, request, reading)?;
    let end = End::of(&rows, request.upto, &space.state, &tally);
    let oldest = oldest_tombstone(connection, &space, choice, &tally, end.edge(reading))?;
    Ok(Pulled::Page(view.page(reading, rows.changes, end, oldest)))
}

fn read_rows(
    connection: &mut SqliteConnection,
    space: &SpaceRow,
    tally: &Tally,
    request: &PullRequest,
    reading: Reading,
) -> Result<Rows, StoreError> {
    let upto = request.upto.unwrap_or(space.state.head);
    let mut query = records::table
        .select(CHANGE)
        .filter(records::rev.gt(reading.after.to_stored()).and(records::rev.le(upto.to_stored())))
        .order(records::rev)
        .into_boxed();
    if let Some(start) = reading.start {
        // A tombstone up to the start is nothing to a client that held nothing.
        query = query.filter(records::data.is_not_null().or(records::rev.gt(start.to_stored())));
    }
    let chosen = space.chosen(request.collections.as_ref());
    let range = upto.get().saturating_sub(reading.after.get());
    let rows = tally.live + tally.tombstones;
    match chosen {
        // A quiet collection in a busy space: its own rows are fewer than the range has. Without the space's id, the
        // index by id is the one that serves.
        Some(ids) if rows < SMALL_COLLECTION && rows.saturating_mul(4) < range => {
            // Sorting these few, SQLite keeps no more than the page needs.
            let limit = i64::try_from(request.limit.saturating_add(1)).unwrap_or(i64::MAX);
            query = query.filter(records::collection_id.eq_any(ids)).limit(limit);
        }
        Some(ids) => query = query.filter(records::space_id.eq(space.id).and(records::collection_id.eq_any(ids))),
        None => query = query.filter(records::space_id.eq(space.id)),
    }
    let found = query.load_iter::<ChangeColumns, _>(connection).map_err(failure)?;
    collect(space, found, request.limit, request.max_bytes)
}

/// Takes rows until the page is full. Rows are read as they are taken, in the order of an index, so that a query needs
/// no limit; with a bound one, SQLite would prepare its statement anew for each page.
pub(super) fn collect(
    space: &SpaceRow,
    found: impl Iterator<Item = QueryResult<ChangeColumns>>,
    limit: usize,
    max_bytes: usize,
) -> Result<Rows, StoreError> {
    let mut rows = Rows { changes: Vec::with_capacity(limit.min(1_000)), cut: false };
    let mut bytes = 0;
    for row in found {
        if rows.changes.len() >= limit || (bytes >= max_bytes && !rows.changes.is_empty()) {
            rows.cut = true;
            break;
        }
        let change = space.change(row.map_err(failure)?)?;
        bytes += change.wire_size();
        rows.changes.push(change);
    }
    Ok(rows)
}

/// The revision before the first record modified at `time` or later. Times do not decrease as revisions grow, so that
/// a search by halves finds it with a few dozen looks, and needs no index.
pub(super) fn before(connection: &mut SqliteConnection, space: &SpaceRow, time: Timestamp) -> Result<Rev, StoreError> {
    let (mut low, mut high) = (0, space.state.head.to_stored());
    // Everything at or below `low` is older than `time`; nothing above `high` has to be left out.
    while low < high {
        let middle = low + (high - low) / 2;
        let next = records::table
            .filter(records::space_id.eq(space.id).and(records::rev.gt(middle)))
            .order(records::rev)
            .select((records::rev, records::modified_at))
            .load_iter::<(i64, i64), _>(connection)
            .and_then(|mut rows| rows.next().transpose())
            .map_err(failure)?;
        match next {
            Some((rev, modified_at)) if modified_at < time.micros() => low = rev,
            _ => high = middle,
        }
    }
    Ok(Rev::from_stored(low))
}

/// When the first tombstone of these collections after `edge` was written.
pub(super) fn oldest_tombstone(
    connection: &mut SqliteConnection,
    space: &SpaceRow,
    choice: Option<&Collections>,
    tally: &Tally,
    edge: Rev,
) -> Result<Option<Timestamp>, StoreError> {
    if tally.tombstones == 0 || edge >= tally.head {
        return Ok(None);
    }
    let mut oldest: Option<(i64, i64)> = None;
    for collection in space.chosen_or_all(choice) {
        let first = records::table
            .filter(records::collection_id.eq(collection).and(sql::<Bool>("deleted = 1")))
            .filter(records::rev.gt(edge.to_stored()))
            .order(records::rev)
            .select((records::rev, records::modified_at))
            .first::<(i64, i64)>(connection)
            .optional()
            .map_err(failure)?;
        oldest = oldest.into_iter().chain(first).min();
    }
    Ok(oldest.map(|(_, modified_at)| Timestamp::from_micros(modified_at)))
}

/// Reads one record, live or as a tombstone.
pub(super) fn record(
    connection: &mut SqliteConnection,
    space: &SpaceName,
    collection: &CollectionName,
    id: &RecordId,
) -> Result<Option<Change>, StoreError> {
    let space = rows::existing_space(connection, space)?;
    let Some(collection) = space.collection_id(collection) else { return Ok(None) };
    let row = records::table
        .filter(records::collection_id.eq(collection).and(records::id.eq(id.as_str())))
        .select(CHANGE)
        .get_result::<ChangeColumns>(connection)
        .optional()
        .map_err(failure)?;
    row.map(|row| space.change(row)).transpose()
}

/// Lists the live records of a collection by id (§5).
pub(super) fn list(connection: &mut SqliteConnection, request: &ListRequest) -> Result<Listing, StoreError> {
    let space = rows::existing_space(connection, &request.space)?;
    let Some(collection) = space.collection_id(&request.collection) else {
        return Ok(Listing { records: Vec::new(), after: None });
    };
    let found = records::table
        .filter(records::collection_id.eq(collection).and(records::data.is_not_null()))
        // No id is empty, so that everything comes after the empty text.
        .filter(records::id.gt(request.after.as_ref().map_or("", RecordId::as_str)))
        .order(records::id)
        .select(CHANGE)
        .load_iter::<ChangeColumns, _>(connection)
        .map_err(failure)?;
    let rows = collect(&space, found, request.limit, request.max_bytes)?;
    let after = rows.changes.last().filter(|_| rows.cut).map(|last| last.id.clone());
    Ok(Listing { records: rows.changes, after })
}

/// Makes a manifest (§6).
///
/// All revisions come from the index by revision, the dead ones from that of tombstones: neither touches a row.
pub(super) fn manifest(connection: &mut SqliteConnection, request: &ManifestRequest) -> Result<Manifest, StoreError> {
    let space = rows::existing_space(connection, &request.space)?;
    let choice = request.collections.as_ref();
    let tally = space.state.tally(choice);
    let (from, to) = (request.from.unwrap_or(Rev::ZERO).to_stored(), request.to.unwrap_or(Rev::MAX).to_stored());
    let mut live = match space.chosen(choice) {
        None => records::table
            .filter(records::space_id.eq(space.id).and(records::rev.between(from, to)))
            .order(records::rev)
            .select(records::rev)
            .load::<i64>(connection),
        Some(ids) => records::table
            .filter(records::space_id.eq(space.id).and(records::rev.between(from, to)))
            .filter(records::collection_id.eq_any(ids))
            .order(records::rev)
            .select(records::rev)
            .load::<i64>(connection),
    }
    .map_err(failure)?;
    if tally.tombstones > 0 {
        let mut dead = Vec::new();
        for collection in space.chosen_or_all(choice) {
            let revs = records::table
                .filter(records::collection_id.eq(collection).and(sql::<Bool>("deleted = 1")))
                .filter(records::rev.between(from, to))
                .select(records::rev)
                .load::<i64>(connection);
            dead.extend(revs.map_err(failure)?);
        }
        dead.sort_unstable();
        let mut dead = dead.into_iter().peekable();
        // Both ascend, and every dead one is among them.
        live.retain(|rev| dead.next_if_eq(rev).is_none());
    }
    let part = request.from.is_some() || request.to.is_some();
    let cursor = Cursor {
        epoch: space.state.epoch(),
        rev: space.state.head,
        progress: Progress::Delta,
        scope: choice.map(Collections::scope),
    };
    let revs = || live.iter().map(|rev| Rev::from_stored(*rev));
    Ok(Manifest {
        epoch: space.state.epoch(),
        cursor: (!part).then_some(cursor),
        head: space.state.head,
        horizon: tally.horizon,
        count: live.len() as u64,
        checksum: revs().collect::<Checksum>(),
        runs: revs().collect::<Runs>(),
    })
}

/// Reads the live records of given revisions (§6).
pub(super) fn fetch(connection: &mut SqliteConnection, request: &FetchRequest) -> Result<Fetched, StoreError> {
    let space = rows::existing_space(connection, &request.space)?;
    let chosen = space.chosen(request.collections.as_ref());
    let mut changes: Vec<Change> = Vec::new();
    let mut bytes = 0;
    for range in request.runs.ranges() {
        let first = (*range.start()).max(request.from.get());
        if first > space.state.head.get() {
            break;
        }
        if first > *range.end() {
            continue;
        }
        let mut query = records::table
            .filter(records::space_id.eq(space.id))
            .filter(records::rev.between(first.cast_signed(), range.end().cast_signed()))
            .filter(records::data.is_not_null())
            .order(records::rev)
            .select(CHANGE)
            .into_boxed();
        if let Some(ids) = &chosen {
            query = query.filter(records::collection_id.eq_any(ids));
        }
        for row in query.load_iter::<ChangeColumns, _>(connection).map_err(failure)? {
            let change = space.change(row.map_err(failure)?)?;
            if changes.len() >= request.limit || (bytes >= request.max_bytes && !changes.is_empty()) {
                return Ok(Fetched { changes, next: Some(change.rev) });
            }
            bytes += change.wire_size();
            changes.push(change);
        }
    }
    Ok(Fetched { changes, next: None })
}
