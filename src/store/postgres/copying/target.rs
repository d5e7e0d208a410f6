//! A copy on its way: everything that is done to it is done under the lock of its row.

use std::collections::HashMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::super::fault::Fault;
use super::super::group::new_version;
use super::super::statements::{MakeCollections, SetSeqs, UpdateCollections, Write};
use crate::domain::{Change, CollectionName, Document, Rev, SpaceName, SpaceState, State};
use crate::store::copying::{Recount, epochs_of};
use crate::store::rows::{EPOCH, EpochColumns, quota_values};
use crate::store::schema::{collections, epochs, records, spaces};
use crate::store::{ClientSeq, CollectionDifference, CopyUnderWay, StoreError};

/// Rows counted in one statement, so that none takes as long as a statement may.
const COUNTED: i64 = 20_000;

/// Locks the copy of that name that is under way.
async fn lock(mut connection: &AsyncPgConnection, space: &SpaceName) -> Result<Option<i64>, Fault> {
    let found = spaces::table
        .filter(spaces::copying.eq(space.as_str()))
        .select(spaces::id)
        .for_update()
        .get_result::<i64>(&mut connection)
        .await;
    Ok(found.optional()?)
}

/// Locks `copy`, if it is the one that is under way.
async fn lock_copy(connection: &AsyncPgConnection, copy: &CopyUnderWay) -> Result<(), Fault> {
    match lock(connection, &copy.space).await? {
        Some(id) if id == copy.id => Ok(()),
        _ => Err(Fault::Store(StoreError::NoSpace(copy.space.clone()))),
    }
}

/// Where somebody makes a space of that name at the same time, its unique name tells, and the next attempt finds it.
async fn refuse_if_taken(mut connection: &AsyncPgConnection, space: &SpaceName) -> Result<(), Fault> {
    let found = spaces::table.filter(spaces::name.eq(space.as_str())).select(spaces::id);
    match found.get_result::<i64>(&mut connection).await.optional()? {
        Some(_) => Err(Fault::Store(StoreError::SpaceExists(space.clone()))),
        None => Ok(()),
    }
}

async fn history(mut connection: &AsyncPgConnection, space: i64) -> Result<Vec<(String, i64)>, Fault> {
    let found = epochs::table.filter(epochs::space_id.eq(space)).order(epochs::ordinal).select(EPOCH);
    let found = found.load::<EpochColumns>(&mut connection).await?;
    Ok(found.into_iter().map(|(_, epoch, opened_at)| (epoch, opened_at)).collect())
}

/// Begins a copy, or goes on with the one that is under way.
pub(super) async fn begin(mut connection: &AsyncPgConnection, source: &SpaceState) -> Result<CopyUnderWay, Fault> {
    refuse_if_taken(connection, &source.name).await?;
    let history_of_source = epochs_of(source);
    if let Some(id) = lock(connection, &source.name).await? {
        if history(connection, id).await? == history_of_source {
            let newest = records::table.filter(records::space_id.eq(id)).select(diesel::dsl::max(records::rev));
            let newest = newest.get_result::<Option<i64>>(&mut connection).await?;
            let newest = Rev::from_stored(newest.unwrap_or(0));
            return Ok(CopyUnderWay { id, space: source.name.clone(), newest });
        }
        discard(connection, &source.name).await?;
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
            spaces::version.eq(new_version()),
        ))
        .returning(spaces::id)
        .get_result::<i64>(&mut connection)
        .await?;
    for (ordinal, (epoch, opened_at)) in (0..).zip(history_of_source) {
        diesel::insert_into(epochs::table)
            .values((
                epochs::space_id.eq(id),
                epochs::ordinal.eq::<i64>(ordinal),
                epochs::epoch.eq(epoch),
                epochs::opened_at.eq(opened_at),
            ))
            .execute(&mut connection)
            .await?;
    }
    Ok(CopyUnderWay { id, space: source.name.clone(), newest: Rev::ZERO })
}

/// Gives up the copy of that name; answers whether there was one.
pub(super) async fn discard(mut connection: &AsyncPgConnection, space: &SpaceName) -> Result<bool, Fault> {
    // Without either name it is one of the spaces that the sweep removes.
    let given_up = diesel::update(spaces::table.filter(spaces::copying.eq(space.as_str())))
        .set((spaces::copying.eq(None::<String>), spaces::version.eq(new_version())))
        .execute(&mut connection)
        .await?;
    Ok(given_up > 0)
}

/// The ids of a copy's collections; those of `wanted` that are new are made.
async fn collection_ids<'a>(
    mut connection: &AsyncPgConnection,
    space: i64,
    wanted: impl Iterator<Item = &'a CollectionName>,
) -> Result<HashMap<CollectionName, i64>, Fault> {
    let name = |name: &str| CollectionName::new(name).map_err(StoreError::internal);
    let found = collections::table.filter(collections::space_id.eq(space)).select((collections::name, collections::id));
    let found = found.load::<(String, i64)>(&mut connection).await?;
    let mut ids =
        found.iter().map(|(text, id)| Ok((name(text)?, *id))).collect::<Result<HashMap<_, _>, StoreError>>()?;
    let mut missing: Vec<&CollectionName> = wanted.filter(|name| !ids.contains_key(*name)).collect();
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        let names = missing.iter().map(|name| name.as_str()).collect();
        let make = MakeCollections { spaces: vec![space; missing.len()], names };
        for (id, _, text) in make.load::<(i64, i64, String)>(&mut connection).await? {
            ids.insert(name(&text)?, id);
        }
    }
    Ok(ids)
}

/// Writes rows as they are.
pub(super) async fn write_rows(
    mut connection: &AsyncPgConnection,
    copy: &CopyUnderWay,
    rows: &[Change],
) -> Result<(), Fault> {
    lock_copy(connection, copy).await?;
    let ids = collection_ids(connection, copy.id, rows.iter().map(|row| &row.collection)).await?;
    let mut write = Write::default();
    for row in rows {
        write.spaces.push(copy.id);
        write.revs.push(row.rev.to_stored());
        write.collections.extend(ids.get(&row.collection));
        write.ids.push(row.id.as_str());
        write.times.push(row.modified_at.micros());
        write.data.push(match &row.state {
            State::Live(data) => Some(Document::as_str(data)),
            State::Deleted => None,
        });
    }
    write.execute(&mut connection).await?;
    Ok(())
}

/// Writes the numbers of clients.
pub(super) async fn write_seqs(
    mut connection: &AsyncPgConnection,
    copy: &CopyUnderWay,
    seqs: &[ClientSeq],
) -> Result<(), Fault> {
    lock_copy(connection, copy).await?;
    let mut set = SetSeqs::default();
    for ClientSeq { client, seq, used_at } in seqs {
        set.spaces.push(copy.id);
        set.names.push(client.as_str());
        set.seqs.push(i64::try_from(*seq).map_err(StoreError::internal)?);
        set.times.push(used_at.micros());
    }
    set.execute(&mut connection).await?;
    Ok(())
}

/// Counts the rows anew and makes the copy a space if they are the source's; answers where they are not.
pub(super) async fn finish(
    mut connection: &AsyncPgConnection,
    copy: &CopyUnderWay,
    source: &SpaceState,
) -> Result<Vec<CollectionDifference>, Fault> {
    lock_copy(connection, copy).await?;
    refuse_if_taken(connection, &source.name).await?;
    if history(connection, copy.id).await? != epochs_of(source) {
        let why = format!("the copy of {} was begun in another history", source.name);
        return Err(Fault::Store(StoreError::internal(why)));
    }
    // Also those of which all is purged: their horizons are not forgotten.
    let ids = collection_ids(connection, copy.id, source.collections.keys()).await?;
    let mut changed = UpdateCollections::default();
    for (name, state) in &source.collections {
        let Some(id) = ids.get(name) else { continue };
        let purged = records::table
            .filter(records::collection_id.eq(id).and(records::deleted))
            .filter(records::rev.le(state.horizon.to_stored()));
        diesel::delete(purged).execute(&mut connection).await?;
        changed.push(*id, state);
    }
    let differences = recount(connection, copy.id, &ids).await?.differences(source);
    if !differences.is_empty() {
        return Ok(differences);
    }
    changed.execute(&mut connection).await?;
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
            spaces::version.eq(new_version()),
        ))
        .execute(&mut connection)
        .await?;
    Ok(Vec::new())
}

async fn recount(
    mut connection: &AsyncPgConnection,
    space: i64,
    ids: &HashMap<CollectionName, i64>,
) -> Result<Recount, Fault> {
    let names: HashMap<i64, &CollectionName> = ids.iter().map(|(name, id)| (*id, name)).collect();
    let mut recount = Recount::default();
    let mut after = 0;
    loop {
        let counted = records::table
            .filter(records::space_id.eq(space).and(records::rev.gt(after)))
            .order(records::rev)
            .limit(COUNTED)
            .select((
                records::collection_id,
                records::rev,
                sql::<BigInt>("octet_length(id)::bigint"),
                sql::<Nullable<BigInt>>("CASE WHEN NOT deleted THEN octet_length(data::text)::bigint END"),
            ))
            .load::<(i64, i64, i64, Option<i64>)>(&mut connection)
            .await?;
        let Some((_, last, ..)) = counted.last() else { return Ok(recount) };
        after = *last;
        for (collection, rev, id_bytes, data_bytes) in counted {
            let name = names.get(&collection).ok_or_else(|| {
                StoreError::internal(format!("a record of the copy {space} is of the unknown collection {collection}"))
            })?;
            let data_bytes = data_bytes.map(i64::unsigned_abs);
            recount.add(name, Rev::from_stored(rev), id_bytes.unsigned_abs(), data_bytes);
        }
    }
}
