//! Rows to domain values.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::prelude::*;

use super::connection::failure;
use crate::domain::{
    Change, Checksum, CollectionName, CollectionState, Collections, Document, Epoch, Lineage, RecordId,
    RetentionPolicy, Rev, SpaceName, SpaceState, State, Timestamp,
};
use crate::store::StoreError;
use crate::store::schema::{collections, epochs, spaces};

/// A space as its rows have it.
#[derive(Clone, Debug)]
pub(super) struct SpaceRow {
    /// `spaces.id`.
    pub id: i64,
    /// What the domain knows of it.
    pub state: Arc<SpaceState>,
    /// `collections.id` of each of its collections.
    pub collections: Vec<(i64, CollectionName)>,
}

impl SpaceRow {
    /// The ids of `choice`, those that were ever written; `None` for all.
    pub fn chosen(&self, choice: Option<&Collections>) -> Option<Vec<i64>> {
        choice.map(|choice| {
            self.collections.iter().filter(|(_, name)| choice.contains(name)).map(|(id, _)| *id).collect()
        })
    }

    /// The ids of `choice`, or of all collections.
    pub fn chosen_or_all(&self, choice: Option<&Collections>) -> Vec<i64> {
        self.chosen(choice).unwrap_or_else(|| self.collections.iter().map(|(id, _)| *id).collect())
    }

    /// The name of a collection of this space.
    pub fn collection_name(&self, id: i64) -> Result<CollectionName, StoreError> {
        let found = self.collections.iter().find(|(known, _)| *known == id);
        found.map(|(_, name)| name.clone()).ok_or_else(|| StoreError::internal(format!("collection {id} has no row")))
    }

    /// The id of a collection of this space, if it was ever written.
    pub fn collection_id(&self, name: &CollectionName) -> Option<i64> {
        self.collections.iter().find(|(_, known)| known == name).map(|(id, _)| *id)
    }
}

type SpaceColumns = (i64, Option<String>, i64, String, bool, String, i64, i64);

/// Reads a space; `None` when there is none of that name.
pub(super) fn space(connection: &mut SqliteConnection, name: &SpaceName) -> Result<Option<SpaceRow>, StoreError> {
    let row = spaces::table.filter(spaces::name.eq(name.as_str())).get_result::<SpaceColumns>(connection);
    row.optional().map_err(failure)?.map(|row| assemble(connection, row)).transpose()
}

/// Reads a space; an error when there is none.
pub(super) fn existing_space(connection: &mut SqliteConnection, name: &SpaceName) -> Result<SpaceRow, StoreError> {
    space(connection, name)?.ok_or_else(|| StoreError::NoSpace(name.clone()))
}

/// Reads the spaces after `after` in order of name.
pub(super) fn spaces(
    connection: &mut SqliteConnection,
    after: Option<&SpaceName>,
    limit: usize,
) -> Result<Vec<SpaceRow>, StoreError> {
    let rows = spaces::table
        .filter(spaces::name.gt(after.map_or("", SpaceName::as_str)))
        .order(spaces::name)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .load::<SpaceColumns>(connection)
        .map_err(failure)?;
    rows.into_iter().map(|row| assemble(connection, row)).collect()
}

type CollectionColumns = (i64, i64, String, i64, i64, i64, i64, i64, i64, i64, i64);

fn assemble(connection: &mut SqliteConnection, row: SpaceColumns) -> Result<SpaceRow, StoreError> {
    let (id, name, head, retention, hold_for_clients, max_retention, created_at, modified_at) = row;
    let name = SpaceName::new(&name.unwrap_or_default()).map_err(|fault| corrupt(id, "name", fault))?;
    let policy = RetentionPolicy {
        retention: retention.parse().map_err(|fault| corrupt(id, "retention", fault))?,
        hold_for_clients,
        max_retention: max_retention.parse().map_err(|fault| corrupt(id, "max_retention", fault))?,
    };
    let mut states = BTreeMap::new();
    let mut ids = Vec::new();
    for row in collections::table
        .filter(collections::space_id.eq(id))
        .load::<CollectionColumns>(connection)
        .map_err(failure)?
    {
        let (collection_id, _, name, head, live, tombstones, checksum, live_bytes, tombstone_bytes, horizon, at) = row;
        let name = CollectionName::new(&name).map_err(|fault| corrupt(id, "collection", fault))?;
        ids.push((collection_id, name.clone()));
        let state = CollectionState {
            head: Rev::from_stored(head),
            live: live.unsigned_abs(),
            tombstones: tombstones.unsigned_abs(),
            checksum: Checksum::from_stored(checksum),
            live_bytes: live_bytes.unsigned_abs(),
            tombstone_bytes: tombstone_bytes.unsigned_abs(),
            horizon: Rev::from_stored(horizon),
            horizon_at: Timestamp::from_micros(at),
        };
        states.insert(name, state);
    }
    let state = SpaceState {
        name,
        lineage: lineage(connection, id)?,
        head: Rev::from_stored(head),
        policy,
        created_at: Timestamp::from_micros(created_at),
        modified_at: Timestamp::from_micros(modified_at),
        collections: states,
    };
    Ok(SpaceRow { id, state: Arc::new(state), collections: ids })
}

/// Reads the epochs of a space.
pub(super) fn lineage(connection: &mut SqliteConnection, space: i64) -> Result<Lineage, StoreError> {
    let entries = epochs::table
        .filter(epochs::space_id.eq(space))
        .order(epochs::ordinal)
        .select((epochs::epoch, epochs::opened_at))
        .load::<(String, i64)>(connection)
        .map_err(failure)?
        .into_iter()
        .map(|(epoch, at)| Ok((epoch.parse::<Epoch>()?, Rev::from_stored(at))))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|fault: crate::domain::epoch::EpochFault| corrupt(space, "epoch", fault))?;
    Lineage::from_entries(entries).ok_or_else(|| StoreError::internal(format!("space {space} has no epoch")))
}

fn corrupt(space: i64, what: &str, fault: impl std::fmt::Display) -> StoreError {
    StoreError::internal(format!("the {what} of space {space} is corrupt: {fault}"))
}

/// The columns of a record that make a change, in the order of [`ChangeColumns`].
pub(super) type ChangeSelection = (
    crate::store::schema::records::rev,
    crate::store::schema::records::collection_id,
    crate::store::schema::records::id,
    crate::store::schema::records::modified_at,
    crate::store::schema::records::data,
);
/// See [`ChangeSelection`].
pub(super) const CHANGE: ChangeSelection = (
    crate::store::schema::records::rev,
    crate::store::schema::records::collection_id,
    crate::store::schema::records::id,
    crate::store::schema::records::modified_at,
    crate::store::schema::records::data,
);
/// A row of [`CHANGE`]: no data means deleted.
pub(super) type ChangeColumns = (i64, i64, String, i64, Option<String>);

/// Makes a change of a row.
pub(super) fn change(space: &SpaceRow, row: ChangeColumns) -> Result<Change, StoreError> {
    let (rev, collection, id, modified_at, data) = row;
    Ok(Change {
        collection: space.collection_name(collection)?,
        id: RecordId::from_stored(id),
        rev: Rev::from_stored(rev),
        modified_at: Timestamp::from_micros(modified_at),
        state: data.map_or(State::Deleted, |data| State::Live(Document::from_stored(data.into_boxed_str()))),
    })
}
