//! One space of a PostgreSQL database: its rows are read here, judged by the shared rules, and written as these say.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::TryStreamExt;

use super::super::fault::Fault as Failure;
use super::super::group::new_version;
use crate::domain::Timestamp;
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
pub(super) async fn examine(
    mut connection: &AsyncPgConnection,
    id: i64,
    now: Timestamp,
    watch: Option<&Watch>,
) -> Result<Option<(Verdict, u64)>, Failure> {
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
        .get_result::<HeadingRow>(&mut connection)
        .await
        .optional()?;
    let Some((name, head, retention, max_retention, max_tombstones, created_at, modified_at)) = heading else {
        return Ok(None);
    };
    let heading = Heading { id, name, head, retention, max_retention, max_tombstones, created_at, modified_at };
    let of_collections =
        collections::table.filter(collections::space_id.eq(id)).load::<CollectionColumns>(&mut connection).await?;
    let of_epochs = epochs::table
        .filter(epochs::space_id.eq(id))
        .order(epochs::ordinal)
        .select((epochs::ordinal, epochs::epoch, epochs::opened_at))
        .load::<EpochRow>(&mut connection)
        .await?;
    let mut examination = Examination::new(heading, of_collections, of_epochs);
    let rows = match watch {
        Some(watch) => read(connection, id, &mut examination, watch).await?,
        None => count(connection, id, &mut examination).await?,
    };
    let of_clients = clients::table.filter(clients::space_id.eq(id)).select((clients::name, clients::seq));
    let mut of_clients = of_clients.load_stream::<(String, i64)>(&mut connection).await?;
    while let Some((name, seq)) = of_clients.try_next().await? {
        examination.client(&name, seq);
    }
    let known = known_clients::table.filter(known_clients::space_id.eq(id));
    let mut known = known.load_stream::<ClientColumns>(&mut connection).await?;
    while let Some(client) = known.try_next().await? {
        examination.known_client(client);
    }
    Ok(Some((examination.judge(now), rows)))
}

/// Reads the records with their data. They come as they are taken: the connection is read no faster.
async fn read(
    mut connection: &AsyncPgConnection,
    id: i64,
    examination: &mut Examination,
    watch: &Watch,
) -> Result<u64, Failure> {
    let mut found = records::table
        .filter(records::space_id.eq(id))
        .order(records::rev)
        .select((
            (records::rev, records::collection_id, records::id, records::deleted, records::modified_at),
            records::data,
        ))
        .load_stream::<(RecordColumns, Option<String>)>(&mut connection)
        .await?;
    let (mut rows, expected) = (0, examination.expected());
    while let Some((columns, data)) = found.try_next().await? {
        examination.record(&row(&columns, data.as_deref().map_or(Data::Nothing, Data::Text)));
        rows += 1;
        if rows % STEP == 0 {
            watch(rows, expected);
        }
    }
    Ok(rows)
}

/// Reads the records without their data.
async fn count(mut connection: &AsyncPgConnection, id: i64, examination: &mut Examination) -> Result<u64, Failure> {
    let mut found = records::table
        .filter(records::space_id.eq(id))
        .order(records::rev)
        .select((
            (records::rev, records::collection_id, records::id, records::deleted, records::modified_at),
            sql::<Nullable<BigInt>>("octet_length(data::text)::bigint"),
        ))
        .load_stream::<(RecordColumns, Option<i64>)>(&mut connection)
        .await?;
    let mut rows = 0;
    while let Some((columns, length)) = found.try_next().await? {
        examination.record(&row(&columns, length.map_or(Data::Nothing, Data::Length)));
        rows += 1;
    }
    Ok(rows)
}

fn row<'a>((rev, collection, id, deleted, modified_at): &'a RecordColumns, data: Data<'a>) -> Row<'a> {
    Row { rev: *rev, collection: *collection, id, deleted: *deleted, modified_at: *modified_at, data }
}

/// Locks a space as every write does, looks at it again, and mends what it then finds.
pub(super) async fn mend(
    mut connection: &AsyncPgConnection,
    id: i64,
    now: Timestamp,
) -> Result<Option<Verdict>, Failure> {
    // A statement of its own: those after it see whatever was committed before the lock was had.
    spaces::table.find(id).select(spaces::id).for_update().get_result::<i64>(&mut connection).await.optional()?;
    let Some((verdict, _)) = examine(connection, id, now, None).await? else { return Ok(None) };
    let Mend { collections, purges, heading, epoch } = &verdict.mend;
    for (collection, horizon) in purges {
        let stale = records::table.filter(records::collection_id.eq(collection).and(records::deleted));
        diesel::delete(stale.filter(records::rev.le(horizon))).execute(&mut connection).await?;
    }
    for (collection, figures) in collections {
        write_figures(connection, *collection, figures).await?;
    }
    // Before the head is raised and after the purge: what is opened is proven by the rows.
    if let Some((ordinal, at)) = epoch {
        let opened_at = match at {
            OpenAt::Rev(rev) => *rev,
            OpenAt::ProvenUpTo(head) => proven(connection, id, *head).await?,
        };
        diesel::insert_into(epochs::table)
            .values((
                epochs::space_id.eq(id),
                epochs::ordinal.eq(ordinal),
                epochs::epoch.eq(new_epoch().as_str()),
                epochs::opened_at.eq(opened_at),
            ))
            .execute(&mut connection)
            .await?;
    }
    if let Some((head, modified_at)) = heading {
        diesel::update(spaces::table.find(id))
            .set((spaces::head.eq(head), spaces::modified_at.eq(modified_at)))
            .execute(&mut connection)
            .await?;
    }
    // Whatever was changed, whoever remembers the space reads it anew.
    diesel::update(spaces::table.find(id)).set(spaces::version.eq(new_version())).execute(&mut connection).await?;
    Ok(Some(verdict))
}

/// See [`OpenAt::ProvenUpTo`].
async fn proven(mut connection: &AsyncPgConnection, space: i64, head: i64) -> Result<i64, Failure> {
    let of_space = records::table.filter(records::space_id.eq(space));
    let above = of_space.filter(records::rev.gt(head)).select(diesel::dsl::max(records::modified_at));
    let Some(above) = above.get_result::<Option<i64>>(&mut connection).await? else { return Ok(0) };
    let older = of_space.filter(records::rev.le(head).and(records::modified_at.lt(above)));
    let newest = older.select(diesel::dsl::max(records::rev)).get_result::<Option<i64>>(&mut connection).await?;
    Ok(newest.unwrap_or(0))
}

async fn write_figures(mut connection: &AsyncPgConnection, id: i64, figures: &Figures) -> Result<(), Failure> {
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
        .execute(&mut connection)
        .await?;
    Ok(())
}
