//! Copying a space from or to an SQLite file.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};

use super::SqliteStore;
use super::connection::failure;
use super::reads::collect;
use super::rows;
use super::transaction::{Transaction, insert_epoch, write_collection};
use crate::domain::{Change, ClientName, CollectionName, Document, Rev, SpaceName, SpaceState, State};
use crate::store::copying::{Recount, epochs_of};
use crate::store::rows::{CHANGE, ChangeColumns, EPOCH, EpochColumns, quota_values};
use crate::store::schema::{clients, collections, epochs, records, spaces};
use crate::store::{Batch, ClientSeq, CollectionDifference, CopyUnderWay, Copying, RowsRequest, StoreError};

#[async_trait]
impl Copying for SqliteStore {
    async fn rows(&self, request: RowsRequest) -> Result<Batch, StoreError> {
        self.readers.read(move |connection| batch(connection, &request)).await
    }

    async fn seqs(
        &self,
        space: SpaceName,
        after: Option<ClientName>,
        limit: usize,
    ) -> Result<Vec<ClientSeq>, StoreError> {
        self.readers.read(move |connection| seqs(connection, &space, after.as_ref(), limit)).await
    }

    async fn begin_copy(&self, source: Arc<SpaceState>) -> Result<CopyUnderWay, StoreError> {
        self.writer.write(move |tx| begin(tx, &source)).await
    }

    async fn copy_rows(&self, copy: &CopyUnderWay, rows: Vec<Change>) -> Result<(), StoreError> {
        let copy = copy.clone();
        self.writer.write(move |tx| write_rows(tx, &copy, &rows)).await
    }

    async fn copy_seqs(&self, copy: &CopyUnderWay, seqs: Vec<ClientSeq>) -> Result<(), StoreError> {
        let copy = copy.clone();
        self.writer.write(move |tx| write_seqs(tx, &copy, &seqs)).await
    }

    async fn finish_copy(
        &self,
        copy: &CopyUnderWay,
        source: Arc<SpaceState>,
    ) -> Result<Vec<CollectionDifference>, StoreError> {
        let copy = copy.clone();
        self.writer.write(move |tx| finish(tx, &copy, &source)).await
    }

    async fn discard_copy(&self, space: SpaceName) -> Result<bool, StoreError> {
        self.writer.write(move |tx| discard(tx, &space)).await
    }
}

fn batch(connection: &mut SqliteConnection, request: &RowsRequest) -> Result<Batch, StoreError> {
    let space = rows::existing_space(connection, &request.space)?;
    let found = records::table
        .filter(records::space_id.eq(space.id).and(records::rev.gt(request.after.to_stored())))
        .order(records::rev)
        .select(CHANGE)
        .load_iter::<ChangeColumns, _>(connection)
        .map_err(failure)?;
    let rows = collect(&space, found, request.limit, request.max_bytes)?;
    Ok(Batch { rows: rows.changes, more: rows.cut, state: space.state })
}

fn seqs(
    connection: &mut SqliteConnection,
    space: &SpaceName,
    after: Option<&ClientName>,
    limit: usize,
) -> Result<Vec<ClientSeq>, StoreError> {
    let space = rows::existing_space(connection, space)?;
    let found = clients::table
        .filter(clients::space_id.eq(space.id).and(clients::name.gt(after.map_or("", ClientName::as_str))))
        .order(clients::name)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((clients::name, clients::seq, clients::used_at))
        .load::<(String, i64, i64)>(connection)
        .map_err(failure)?;
    found.into_iter().map(ClientSeq::from_stored).collect()
}

/// The copy of that name that is under way.
fn under_way(connection: &mut SqliteConnection, space: &SpaceName) -> Result<Option<i64>, StoreError> {
    let found =
        spaces::table.filter(spaces::copying.eq(space.as_str())).select(spaces::id).get_result::<i64>(connection);
    found.optional().map_err(failure)
}

/// Whether `copy` is the one that is under way.
fn check(connection: &mut SqliteConnection, copy: &CopyUnderWay) -> Result<(), StoreError> {
    match under_way(connection, &copy.space)? {
        Some(id) if id == copy.id => Ok(()),
        _ => Err(StoreError::NoSpace(copy.space.clone())),
    }
}

fn history(connection: &mut SqliteConnection, space: i64) -> Result<Vec<(String, i64)>, StoreError> {
    let found = epochs::table.filter(epochs::space_id.eq(space)).order(epochs::ordinal).select(EPOCH);
    let found = found.load::<EpochColumns>(connection).map_err(failure)?;
    Ok(found.into_iter().map(|(_, epoch, opened_at)| (epoch, opened_at)).collect())
}

fn begin(tx: &mut Transaction<'_>, source: &SpaceState) -> Result<CopyUnderWay, StoreError> {
    if rows::space(tx.connection, &source.name)?.is_some() {
        return Err(StoreError::SpaceExists(source.name.clone()));
    }
    if let Some(id) = under_way(tx.connection, &source.name)? {
        if history(tx.connection, id)? == epochs_of(source) {
            let newest = records::table.filter(records::space_id.eq(id)).select(diesel::dsl::max(records::rev));
            let newest = newest.get_result::<Option<i64>>(tx.connection).map_err(failure)?;
            let newest = Rev::from_stored(newest.unwrap_or(0));
            return Ok(CopyUnderWay { id, space: source.name.clone(), newest });
        }
        discard(tx, &source.name)?;
    }
    let id = diesel::insert_into(spaces::table)
        .values((
            spaces::copying.eq(source.name.as_str()),
            spaces::head.eq(0),
            spaces::retention.eq(source.policy.retention.to_string()),
            spaces::hold_for_clients.eq(source.policy.hold_for_clients),
            spaces::max_retention.eq(source.policy.max_retention.to_string()),
            spaces::max_tombstones.eq(source.policy.max_tombstones.map(u64::cast_signed)),
            quota_values(source.quota),
            spaces::created_at.eq(source.created_at.micros()),
            spaces::modified_at.eq(source.modified_at.micros()),
        ))
        .returning(spaces::id)
        .get_result::<i64>(tx.connection)
        .map_err(failure)?;
    for (ordinal, (epoch, opened_at)) in (0..).zip(source.lineage.entries()) {
        insert_epoch(tx.connection, id, ordinal, epoch, opened_at)?;
    }
    Ok(CopyUnderWay { id, space: source.name.clone(), newest: Rev::ZERO })
}

fn discard(tx: &mut Transaction<'_>, space: &SpaceName) -> Result<bool, StoreError> {
    // Without either name it is one of the spaces that the sweep removes.
    let given_up = diesel::update(spaces::table.filter(spaces::copying.eq(space.as_str())))
        .set(spaces::copying.eq(None::<String>))
        .execute(tx.connection)
        .map_err(failure)?;
    Ok(given_up > 0)
}

fn collection_ids(connection: &mut SqliteConnection, space: i64) -> Result<HashMap<String, i64>, StoreError> {
    let found = collections::table.filter(collections::space_id.eq(space)).select((collections::name, collections::id));
    Ok(found.load::<(String, i64)>(connection).map_err(failure)?.into_iter().collect())
}

fn make_collection(connection: &mut SqliteConnection, space: i64, name: &CollectionName) -> Result<i64, StoreError> {
    diesel::insert_into(collections::table)
        .values((collections::space_id.eq(space), collections::name.eq(name.as_str())))
        .returning(collections::id)
        .get_result::<i64>(connection)
        .map_err(failure)
}

fn write_rows(tx: &mut Transaction<'_>, copy: &CopyUnderWay, rows: &[Change]) -> Result<(), StoreError> {
    check(tx.connection, copy)?;
    let mut ids = collection_ids(tx.connection, copy.id)?;
    for row in rows {
        let collection = if let Some(id) = ids.get(row.collection.as_str()) {
            *id
        } else {
            let id = make_collection(tx.connection, copy.id, &row.collection)?;
            ids.insert(row.collection.to_string(), id);
            id
        };
        let data = match &row.state {
            State::Live(data) => Some(Document::as_str(data)),
            State::Deleted => None,
        };
        // Not an update of the row that is there: a record that moved lies at the end of the table, as in the source.
        diesel::replace_into(records::table)
            .values((
                records::space_id.eq(copy.id),
                records::rev.eq(row.rev.to_stored()),
                records::collection_id.eq(collection),
                records::id.eq(row.id.as_str()),
                records::deleted.eq(data.is_none()),
                records::modified_at.eq(row.modified_at.micros()),
                records::data.eq(data),
            ))
            .execute(tx.connection)
            .map_err(failure)?;
    }
    Ok(())
}

fn write_seqs(tx: &mut Transaction<'_>, copy: &CopyUnderWay, seqs: &[ClientSeq]) -> Result<(), StoreError> {
    check(tx.connection, copy)?;
    for ClientSeq { client, seq, used_at } in seqs {
        diesel::replace_into(clients::table)
            .values((
                clients::space_id.eq(copy.id),
                clients::name.eq(client.as_str()),
                clients::seq.eq(i64::try_from(*seq).map_err(StoreError::internal)?),
                clients::used_at.eq(used_at.micros()),
            ))
            .execute(tx.connection)
            .map_err(failure)?;
    }
    Ok(())
}

fn finish(
    tx: &mut Transaction<'_>,
    copy: &CopyUnderWay,
    source: &SpaceState,
) -> Result<Vec<CollectionDifference>, StoreError> {
    check(tx.connection, copy)?;
    if rows::space(tx.connection, &source.name)?.is_some() {
        return Err(StoreError::SpaceExists(source.name.clone()));
    }
    if history(tx.connection, copy.id)? != epochs_of(source) {
        return Err(StoreError::internal(format!("the copy of {} was begun in another history", source.name)));
    }
    let mut ids = collection_ids(tx.connection, copy.id)?;
    for (name, state) in &source.collections {
        let Some(id) = ids.get(name.as_str()) else { continue };
        let purged = records::table
            .filter(records::collection_id.eq(id).and(sql::<Bool>("deleted = 1")))
            .filter(records::rev.le(state.horizon.to_stored()));
        diesel::delete(purged).execute(tx.connection).map_err(failure)?;
    }
    let differences = recount(tx.connection, copy.id, &ids)?.differences(source);
    if !differences.is_empty() {
        return Ok(differences);
    }
    for (name, state) in &source.collections {
        let id = match ids.remove(name.as_str()) {
            Some(id) => id,
            // All that was ever in it is purged. Its horizon is not forgotten.
            None => make_collection(tx.connection, copy.id, name)?,
        };
        write_collection(tx.connection, id, state)?;
    }
    diesel::update(spaces::table.find(copy.id))
        .set((
            spaces::name.eq(source.name.as_str()),
            spaces::copying.eq(None::<String>),
            spaces::head.eq(source.head.to_stored()),
            spaces::retention.eq(source.policy.retention.to_string()),
            spaces::hold_for_clients.eq(source.policy.hold_for_clients),
            spaces::max_retention.eq(source.policy.max_retention.to_string()),
            spaces::max_tombstones.eq(source.policy.max_tombstones.map(u64::cast_signed)),
            quota_values(source.quota),
            spaces::created_at.eq(source.created_at.micros()),
            spaces::modified_at.eq(source.modified_at.micros()),
        ))
        .execute(tx.connection)
        .map_err(failure)?;
    tx.touch(&source.name);
    Ok(Vec::new())
}

fn recount(connection: &mut SqliteConnection, space: i64, ids: &HashMap<String, i64>) -> Result<Recount, StoreError> {
    let names: HashMap<i64, CollectionName> = ids
        .iter()
        .map(|(name, id)| Ok((*id, CollectionName::new(name)?)))
        .collect::<Result<_, crate::domain::NameFault>>()
        .map_err(StoreError::internal)?;
    let mut recount = Recount::default();
    // SQLite tells these lengths from the heads of the rows: a large record is not read for them.
    let lengths = (
        records::collection_id,
        records::rev,
        sql::<BigInt>("octet_length(id)"),
        sql::<Nullable<BigInt>>("CASE WHEN deleted = 0 THEN octet_length(data) END"),
    );
    let found = records::table.filter(records::space_id.eq(space)).select(lengths);
    for row in found.load_iter::<(i64, i64, i64, Option<i64>), _>(connection).map_err(failure)? {
        let (collection, rev, id_bytes, data_bytes) = row.map_err(failure)?;
        let name = names.get(&collection).ok_or_else(|| {
            StoreError::internal(format!("a record of the copy {space} is of the unknown collection {collection}"))
        })?;
        recount.add(name, Rev::from_stored(rev), id_bytes.unsigned_abs(), data_bytes.map(i64::unsigned_abs));
    }
    Ok(recount)
}
