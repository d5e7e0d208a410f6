//! One space of an SQLite file: its rows are read here, judged by the shared rules, and written as these say.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};

use super::super::connection::failure;
use super::super::transaction::insert_epoch;
use crate::domain::{Rev, Timestamp};
use crate::store::StoreError;
use crate::store::inspect::{Data, EpochRow, Examination, Figures, Heading, Mend, OpenAt, Row, STEP, Verdict, Watch};
use crate::store::rows::{ClientColumns, CollectionColumns};
use crate::store::schema::{clients, collections, epochs, known_clients, records, spaces};
use crate::store::writes::new_epoch;

/// A space's own row: name, head, retention, `max_retention`, `max_tombstones`, `created_at`, `modified_at`.
type HeadingRow = (String, i64, String, String, Option<i64>, i64, i64);
/// Revision, collection, id, whether it is deleted, and time.
type RecordColumns = (i64, i64, String, bool, i64);

/// Looks at a space, and answers how many records it has; `None` where there is none. Who is to be told of the progress
/// has the data looked at too; without, only the lengths are read, as under the lock of a repair.
pub(super) fn examine(
    connection: &mut SqliteConnection,
    id: i64,
    now: Timestamp,
    watch: Option<&Watch>,
) -> Result<Option<(Verdict, u64)>, StoreError> {
    let heading = spaces::table
        .filter(spaces::id.eq(id).and(spaces::name.is_not_null()))
        .select((
            spaces::name.assume_not_null(),
            spaces::head,
            spaces::retention,
            spaces::max_retention,
            spaces::max_tombstones,
            spaces::created_at,
            spaces::modified_at,
        ))
        .get_result::<HeadingRow>(connection)
        .optional()
        .map_err(failure)?;
    let Some((name, head, retention, max_retention, max_tombstones, created_at, modified_at)) = heading else {
        return Ok(None);
    };
    let heading = Heading { id, name, head, retention, max_retention, max_tombstones, created_at, modified_at };
    let of_collections = collections::table
        .filter(collections::space_id.eq(id))
        .load::<CollectionColumns>(connection)
        .map_err(failure)?;
    let of_epochs = epochs::table
        .filter(epochs::space_id.eq(id))
        .order(epochs::ordinal)
        .select((epochs::ordinal, epochs::epoch, epochs::opened_at))
        .load::<EpochRow>(connection)
        .map_err(failure)?;
    let mut examination = Examination::new(heading, of_collections, of_epochs);
    let rows = match watch {
        Some(watch) => read(connection, id, &mut examination, watch)?,
        None => count(connection, id, &mut examination)?,
    };
    let of_clients = clients::table.filter(clients::space_id.eq(id)).select((clients::name, clients::seq));
    for client in of_clients.load_iter::<(String, i64), _>(connection).map_err(failure)? {
        let (name, seq) = client.map_err(failure)?;
        examination.client(&name, seq);
    }
    let known = known_clients::table.filter(known_clients::space_id.eq(id));
    for client in known.load_iter::<ClientColumns, _>(connection).map_err(failure)? {
        examination.known_client(client.map_err(failure)?);
    }
    Ok(Some((examination.judge(now), rows)))
}

/// Reads the records with their data.
fn read(
    connection: &mut SqliteConnection,
    id: i64,
    examination: &mut Examination,
    watch: &Watch,
) -> Result<u64, StoreError> {
    let found = records::table
        .filter(records::space_id.eq(id))
        .order(records::rev)
        .select((
            (records::rev, records::collection_id, records::id, records::deleted, records::modified_at),
            records::data,
        ))
        .load_iter::<(RecordColumns, Option<String>), _>(connection)
        .map_err(failure)?;
    let (mut rows, expected) = (0, examination.expected());
    for record in found {
        let (columns, data) = record.map_err(failure)?;
        examination.record(&row(&columns, data.as_deref().map_or(Data::Nothing, Data::Text)));
        rows += 1;
        if rows % STEP == 0 {
            watch(rows, expected);
        }
    }
    Ok(rows)
}

/// Reads the records without their data. SQLite tells the lengths from the heads of the rows.
fn count(connection: &mut SqliteConnection, id: i64, examination: &mut Examination) -> Result<u64, StoreError> {
    let found = records::table
        .filter(records::space_id.eq(id))
        .order(records::rev)
        .select((
            (records::rev, records::collection_id, records::id, records::deleted, records::modified_at),
            sql::<Nullable<BigInt>>("octet_length(data)"),
        ))
        .load_iter::<(RecordColumns, Option<i64>), _>(connection)
        .map_err(failure)?;
    let mut rows = 0;
    for record in found {
        let (columns, length) = record.map_err(failure)?;
        examination.record(&row(&columns, length.map_or(Data::Nothing, Data::Length)));
        rows += 1;
    }
    Ok(rows)
}

fn row<'a>((rev, collection, id, deleted, modified_at): &'a RecordColumns, data: Data<'a>) -> Row<'a> {
    Row { rev: *rev, collection: *collection, id, deleted: *deleted, modified_at: *modified_at, data }
}

/// Looks at a space again under the write lock, and mends what it then finds.
pub(super) fn mend(connection: &mut SqliteConnection, id: i64, now: Timestamp) -> Result<Option<Verdict>, StoreError> {
    let Some((verdict, _)) = examine(connection, id, now, None)? else { return Ok(None) };
    let Mend { collections, purges, heading, epoch } = &verdict.mend;
    for (collection, horizon) in purges {
        let stale = records::table
            .filter(records::collection_id.eq(collection).and(sql::<Bool>("deleted = 1")))
            .filter(records::rev.le(horizon));
        diesel::delete(stale).execute(connection).map_err(failure)?;
    }
    for (collection, figures) in collections {
        write_figures(connection, *collection, figures)?;
    }
    // Before the head is raised and after the purge: what is opened is proven by the rows.
    if let Some((ordinal, at)) = epoch {
        let opened_at = match at {
            OpenAt::Rev(rev) => *rev,
            OpenAt::ProvenUpTo(head) => proven(connection, id, *head)?,
        };
        insert_epoch(connection, id, *ordinal, new_epoch(), Rev::from_stored(opened_at))?;
    }
    if let Some((head, modified_at)) = heading {
        diesel::update(spaces::table.find(id))
            .set((spaces::head.eq(head), spaces::modified_at.eq(modified_at)))
            .execute(connection)
            .map_err(failure)?;
    }
    Ok(Some(verdict))
}

/// See [`OpenAt::ProvenUpTo`].
fn proven(connection: &mut SqliteConnection, space: i64, head: i64) -> Result<i64, StoreError> {
    let of_space = records::table.filter(records::space_id.eq(space));
    let above = of_space.filter(records::rev.gt(head)).select(diesel::dsl::max(records::modified_at));
    let Some(above) = above.get_result::<Option<i64>>(connection).map_err(failure)? else { return Ok(0) };
    let older = of_space.filter(records::rev.le(head).and(records::modified_at.lt(above)));
    let newest = older.select(diesel::dsl::max(records::rev)).get_result::<Option<i64>>(connection).map_err(failure)?;
    Ok(newest.unwrap_or(0))
}

fn write_figures(connection: &mut SqliteConnection, id: i64, figures: &Figures) -> Result<(), StoreError> {
    diesel::update(collections::table.find(id))
        .set((
            collections::head.eq(figures.head),
            collections::live.eq(figures.live),
            collections::tombstones.eq(figures.tombstones),
            collections::checksum.eq(figures.checksum),
            collections::live_bytes.eq(figures.live_bytes),
            collections::tombstone_bytes.eq(figures.tombstone_bytes),
            collections::horizon.eq(figures.horizon),
            collections::horizon_at.eq(figures.horizon_at),
        ))
        .execute(connection)
        .map_err(failure)?;
    Ok(())
}
