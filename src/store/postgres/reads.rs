//! The reading operations, each within one snapshot.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::{Stream, StreamExt};

use super::fault::Fault;
use super::rows;
use super::statements::Fetch;
use super::states::Known;
use crate::domain::pull::{self, End, PullRequest, Pulled, Reading, Rows, Start, View};
use crate::domain::repair::{FetchRequest, Fetched, Manifest, ManifestRequest};
use crate::domain::{
    Change, Checksum, CollectionName, Collections, Cursor, Progress, RecordId, Rev, Runs, SpaceName, Tally, Timestamp,
};
use crate::store::rows::{CHANGE, ChangeColumns, SpaceRow};
use crate::store::schema::records;
use crate::store::{ListRequest, Listing};

/// Rows asked for in one statement, at the most. PostgreSQL sends all that it was asked for, also what the page has no
/// room for any more.
const ROWS: usize = 1_000;
/// A collection of up to this many rows is read by itself and sorted where the range that it lies in is far longer;
/// a larger one is filtered out of the range.
const SMALL_COLLECTION: u64 = 20_000;
/// Runs of revisions in one statement.
const RUNS: usize = 1_000;

/// Answers a pull (§3), and the space as it is in the same snapshot.
pub(super) async fn pull(
    connection: &AsyncPgConnection,
    request: &PullRequest,
    now: Timestamp,
    remembered: Option<&Arc<Known>>,
) -> Result<(Pulled, Arc<Known>), Fault> {
    let known = rows::existing_space(connection, &request.space, remembered).await?;
    let space = &known.row;
    let choice = request.collections.as_ref();
    let tally = space.state.tally(choice);
    let scope = choice.map(Collections::scope);
    let view = View { state: &space.state, tally: &tally, scope, now };
    if let Some(answer) = view.without_rows(request) {
        return Ok((answer, known));
    }
    let reading = match pull::begin(request.since, scope, &space.state, &tally) {
        Err(resync) => return Ok((Pulled::Resync(resync), known)),
        Ok(Start::After(reading)) => reading,
        Ok(Start::At(time)) => Reading::delta(before(connection, space, time).await?),
    };
    let rows = read_rows(connection, space, &tally, request, reading).await?;
    let end = End::of(&rows, request.upto, &space.state, &tally);
    let oldest = oldest_tombstone(connection, space, choice, &tally, end.edge(reading)).await?;
    let page = view.page(reading, rows.changes, end, oldest);
    Ok((Pulled::Page(page), known))
}

async fn read_rows(
    mut connection: &AsyncPgConnection,
    space: &SpaceRow,
    tally: &Tally,
    request: &PullRequest,
    reading: Reading,
) -> Result<Rows, Fault> {
    let upto = request.upto.unwrap_or(space.state.head);
    let mut page = Filling::new(request.limit, request.max_bytes, tally);
    let mut after = reading.after;
    let held = tally.live + tally.tombstones;
    while let Some(count) = page.wanted() {
        let mut query = records::table
            .select(CHANGE)
            .filter(records::rev.gt(after.to_stored()).and(records::rev.le(upto.to_stored())))
            .order(records::rev)
            .limit(count)
            .into_boxed();
        if let Some(start) = reading.start {
            // A tombstone up to the start is nothing to a client that held nothing.
            query = query.filter(records::deleted.eq(false).or(records::rev.gt(start.to_stored())));
        }
        let range = upto.get().saturating_sub(after.get());
        query = match space.chosen(request.collections.as_ref()) {
            None => query.filter(records::space_id.eq(space.id)),
            // A quiet collection in a busy space: its own rows are fewer than the range has. Without the space's id, the
            // index by id is the one that serves.
            Some(ids) if held < SMALL_COLLECTION && held.saturating_mul(4) < range => {
                query.filter(records::collection_id.eq_any(ids))
            }
            Some(ids) => query.filter(records::space_id.eq(space.id).and(records::collection_id.eq_any(ids))),
        };
        let found = query.load_stream::<ChangeColumns>(&mut connection).await?;
        page.fill(space, found, count).await?;
        after = page.rows.changes.last().map_or(after, |change| change.rev);
    }
    Ok(page.rows)
}

/// A page being filled, statement by statement.
pub(super) struct Filling {
    /// What is on it, and whether more was found than has room.
    pub rows: Rows,
    limit: usize,
    max_bytes: usize,
    bytes: usize,
    /// Bytes of a record, as far as is known.
    typical: usize,
    /// Whether a statement brought less than it was asked for.
    exhausted: bool,
    /// The revision of the first row that found no room.
    next: Option<Rev>,
}

impl Filling {
    /// An empty page; `tally` is of the rows that it is filled from.
    pub fn new(limit: usize, max_bytes: usize, tally: &Tally) -> Self {
        let typical = tally.live_bytes.checked_div(tally.live).and_then(|bytes| usize::try_from(bytes).ok());
        Self {
            rows: Rows { changes: Vec::with_capacity(limit.min(ROWS)), cut: false },
            limit,
            max_bytes,
            bytes: 0,
            typical: typical.unwrap_or(0),
            exhausted: false,
            next: None,
        }
    }

    /// How many rows to ask for next: as many as will probably fit, and one that tells whether more are left.
    pub fn wanted(&self) -> Option<i64> {
        if self.rows.cut || self.exhausted {
            return None;
        }
        let taken = self.rows.changes.len();
        let typical = self.bytes.checked_div(taken).unwrap_or(self.typical);
        let fitting = self.max_bytes.saturating_sub(self.bytes) / (typical + 120);
        let count = fitting.saturating_add(8).min(self.limit.saturating_sub(taken).saturating_add(1)).min(ROWS + 1);
        i64::try_from(count).ok()
    }

    /// Takes rows until the page is full. They are taken as they come, so that those that do not fit are never held.
    pub async fn fill(
        &mut self,
        space: &SpaceRow,
        found: impl Stream<Item = QueryResult<ChangeColumns>>,
        asked: i64,
    ) -> Result<(), Fault> {
        let mut found = pin!(found);
        let mut brought = 0;
        while let Some(row) = found.next().await {
            brought += 1;
            if self.rows.changes.len() >= self.limit || (self.bytes >= self.max_bytes && !self.rows.changes.is_empty())
            {
                self.rows.cut = true;
                self.next = Some(Rev::from_stored(row?.0));
                return Ok(());
            }
            let change = space.change(row?)?;
            self.bytes += change.wire_size();
            self.rows.changes.push(change);
        }
        self.exhausted = brought < asked;
        Ok(())
    }
}

/// The revision before the first record modified at `time` or later. Times do not decrease as revisions grow, so that
/// a search by halves finds it with a few dozen looks, and needs no index.
pub(super) async fn before(
    mut connection: &AsyncPgConnection,
    space: &SpaceRow,
    time: Timestamp,
) -> Result<Rev, Fault> {
    let (mut low, mut high) = (0, space.state.head.to_stored());
    // Everything at or below `low` is older than `time`; nothing above `high` has to be left out.
    while low < high {
        let middle = low + (high - low) / 2;
        let next = records::table
            .filter(records::space_id.eq(space.id).and(records::rev.gt(middle)))
            .order(records::rev)
            .select((records::rev, records::modified_at))
            .first::<(i64, i64)>(&mut connection)
            .await
            .optional()?;
        match next {
            Some((rev, modified_at)) if modified_at < time.micros() => low = rev,
            _ => high = middle,
        }
    }
    Ok(Rev::from_stored(low))
}

/// When the first tombstone of these collections after `edge` was written.
pub(super) async fn oldest_tombstone(
    mut connection: &AsyncPgConnection,
    space: &SpaceRow,
    choice: Option<&Collections>,
    tally: &Tally,
    edge: Rev,
) -> Result<Option<Timestamp>, Fault> {
    if tally.tombstones == 0 || edge >= tally.head {
        return Ok(None);
    }
    let mut oldest: Option<(i64, i64)> = None;
    for collection in space.chosen_or_all(choice) {
        let first = records::table
            .filter(records::collection_id.eq(collection).and(records::deleted))
            .filter(records::rev.gt(edge.to_stored()))
            .order(records::rev)
            .select((records::rev, records::modified_at))
            .first::<(i64, i64)>(&mut connection)
            .await
            .optional()?;
        oldest = oldest.into_iter().chain(first).min();
    }
    Ok(oldest.map(|(_, modified_at)| Timestamp::from_micros(modified_at)))
}

/// Reads one record, live or as a tombstone.
pub(super) async fn record(
    mut connection: &AsyncPgConnection,
    space: &SpaceName,
    collection: &CollectionName,
    id: &RecordId,
    remembered: Option<&Arc<Known>>,
) -> Result<Option<Change>, Fault> {
    let known = rows::existing_space(connection, space, remembered).await?;
    let Some(collection) = known.row.collection_id(collection) else { return Ok(None) };
    let row = records::table
        .filter(records::collection_id.eq(collection).and(records::id.eq(id.as_str())))
        .select(CHANGE)
        .get_result::<ChangeColumns>(&mut connection)
        .await
        .optional()?;
    Ok(row.map(|row| known.row.change(row)).transpose()?)
}

/// Lists the live records of a collection by id (§5).
pub(super) async fn list(
    mut connection: &AsyncPgConnection,
    request: &ListRequest,
    remembered: Option<&Arc<Known>>,
) -> Result<Listing, Fault> {
    let known = rows::existing_space(connection, &request.space, remembered).await?;
    let space = &known.row;
    let Some(collection) = space.collection_id(&request.collection) else {
        return Ok(Listing { records: Vec::new(), after: None });
    };
    let tally = space.state.collections.get(&request.collection).copied().unwrap_or_default();
    let mut page = Filling::new(request.limit, request.max_bytes, &tally);
    // No id is empty, so that everything comes after the empty text.
    let mut after = request.after.as_ref().map_or("", RecordId::as_str).to_owned();
    while let Some(count) = page.wanted() {
        let found = records::table
            .filter(records::collection_id.eq(collection).and(records::deleted.eq(false)))
            .filter(records::id.gt(&after))
            .order(records::id)
            .select(CHANGE)
            .limit(count)
            .load_stream::<ChangeColumns>(&mut connection)
            .await?;
        page.fill(space, found, count).await?;
        if let Some(last) = page.rows.changes.last() {
            last.id.as_str().clone_into(&mut after);
        }
    }
    let after = page.rows.changes.last().filter(|_| page.rows.cut).map(|last| last.id.clone());
    Ok(Listing { records: page.rows.changes, after })
}

/// Makes a manifest (§6).
///
/// All revisions come from the index by revision, the dead ones from that of tombstones: where the table is vacuumed,
/// neither touches a row.
pub(super) async fn manifest(
    mut connection: &AsyncPgConnection,
    request: &ManifestRequest,
    remembered: Option<&Arc<Known>>,
) -> Result<Manifest, Fault> {
    let known = rows::existing_space(connection, &request.space, remembered).await?;
    let space = &known.row;
    let choice = request.collections.as_ref();
    let tally = space.state.tally(choice);
    let (from, to) = (request.from.unwrap_or(Rev::ZERO).to_stored(), request.to.unwrap_or(Rev::MAX).to_stored());
    let all = records::table
        .filter(records::space_id.eq(space.id).and(records::rev.between(from, to)))
        .order(records::rev)
        .select(records::rev);
    let mut live = match space.chosen(choice) {
        None => all.load::<i64>(&mut connection).await?,
        Some(ids) => all.filter(records::collection_id.eq_any(ids)).load::<i64>(&mut connection).await?,
    };
    if tally.tombstones > 0 {
        let mut dead = records::table
            .filter(records::collection_id.eq_any(space.chosen_or_all(choice)).and(records::deleted))
            .filter(records::rev.between(from, to))
            .select(records::rev)
            .load::<i64>(&mut connection)
            .await?;
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
pub(super) async fn fetch(
    mut connection: &AsyncPgConnection,
    request: &FetchRequest,
    remembered: Option<&Arc<Known>>,
) -> Result<Fetched, Fault> {
    let known = rows::existing_space(connection, &request.space, remembered).await?;
    let space = &known.row;
    let choice = space.chosen(request.collections.as_ref());
    let mut page = Filling::new(request.limit, request.max_bytes, &space.state.tally(request.collections.as_ref()));
    let (start, head) = (request.from.get(), space.state.head.get());
    let mut from = start;
    let mut runs = request.runs.ranges().filter(|run| *run.end() >= start && *run.start() <= head).peekable();
    while runs.peek().is_some() {
        let mut part: Vec<RangeInclusive<u64>> = Vec::new();
        let mut revisions = 0;
        // Each run brings what was asked for at the most, so that a few long ones are enough, or many short ones.
        while part.len() < RUNS
            && revisions < 4 * ROWS as u64
            && let Some(run) = runs.next()
        {
            revisions += (run.end() - run.start() + 1).min(ROWS as u64);
            part.push(run);
        }
        page.exhausted = false;
        while let Some(count) = page.wanted() {
            let left = || part.iter().filter(|run| *run.end() >= from);
            let found = Fetch {
                firsts: left().map(|run| (*run.start()).max(from).cast_signed()).collect(),
                lasts: left().map(|run| run.end().cast_signed()).collect(),
                space: space.id,
                any: choice.clone(),
                choice: choice.clone(),
                most: count,
                limit: count,
            };
            page.fill(space, found.load_stream::<ChangeColumns>(&mut connection).await?, count).await?;
            from = page.rows.changes.last().map_or(from, |change| change.rev.get() + 1);
        }
        if page.rows.cut {
            break;
        }
    }
    Ok(Fetched { changes: page.rows.changes, next: page.next })
}
