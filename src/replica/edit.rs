//! What the user does and sees (clients/PROTOCOL-CLIENT.md, 2).

use diesel::SqliteConnection;
use diesel::prelude::*;

use super::ReplicaError;
use super::schema::{edits, records, sending};
use super::state::Held;
use crate::domain::{CollectionName, Document, RecordId};

/// An edit that nobody was told yet.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = edits, treat_none_as_default_value = false)]
pub(super) struct Edit {
    pub position: i64,
    pub collection: String,
    pub id: String,
    pub base: Option<i64>,
    pub follows: bool,
    /// `None` for a deletion.
    pub data: Option<String>,
}

/// A change of the push on its way.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = sending, treat_none_as_default_value = false)]
pub(super) struct Sent {
    pub position: i64,
    pub collection: String,
    pub id: String,
    pub base: Option<i64>,
    /// `None` for a deletion.
    pub data: Option<String>,
}

impl Edit {
    pub fn find(connection: &mut SqliteConnection, collection: &str, id: &str) -> Result<Option<Self>, ReplicaError> {
        let of_it = edits::table.filter(edits::collection.eq(collection)).filter(edits::id.eq(id));
        Ok(of_it.select(Self::as_select()).first(connection).optional()?)
    }

    pub fn remove(connection: &mut SqliteConnection, collection: &str, id: &str) -> Result<(), ReplicaError> {
        let of_it = edits::table.filter(edits::collection.eq(collection)).filter(edits::id.eq(id));
        diesel::delete(of_it).execute(connection)?;
        Ok(())
    }

    pub fn save(&self, connection: &mut SqliteConnection) -> Result<(), ReplicaError> {
        diesel::replace_into(edits::table).values(self).execute(connection)?;
        Ok(())
    }
}

impl Sent {
    fn find(connection: &mut SqliteConnection, collection: &str, id: &str) -> Result<Option<Self>, ReplicaError> {
        let of_it = sending::table.filter(sending::collection.eq(collection)).filter(sending::id.eq(id));
        Ok(of_it.select(Self::as_select()).first(connection).optional()?)
    }
}

/// What the user sees of a record.
pub(super) fn see(
    connection: &mut SqliteConnection,
    collection: &str,
    id: &str,
) -> Result<Option<Document>, ReplicaError> {
    let data = if let Some(edit) = Edit::find(connection, collection, id)? {
        edit.data
    } else if let Some(sent) = Sent::find(connection, collection, id)? {
        sent.data
    } else {
        Held::find(connection, collection, id)?.map(|held| held.data)
    };
    Ok(data.map(|data| Document::from_stored(data.into_boxed_str())))
}

/// Writes a record.
pub(super) fn put(
    connection: &mut SqliteConnection,
    collection: &CollectionName,
    id: &RecordId,
    data: &Document,
) -> Result<(), ReplicaError> {
    let (collection, id) = (collection.as_str(), id.as_str());
    let held = Held::find(connection, collection, id)?;
    let sent = Sent::find(connection, collection, id)?.is_some();
    if !sent && held.as_ref().is_some_and(|held| is_as(held, data)) {
        return Edit::remove(connection, collection, id);
    }
    edit(connection, collection, id, held.as_ref(), sent, Some(data))
}

/// Deletes a record. `false` when the user sees none.
pub(super) fn delete(
    connection: &mut SqliteConnection,
    collection: &CollectionName,
    id: &RecordId,
) -> Result<bool, ReplicaError> {
    let (collection, id) = (collection.as_str(), id.as_str());
    if see(connection, collection, id)?.is_none() {
        return Ok(false);
    }
    let held = Held::find(connection, collection, id)?;
    let sent = Sent::find(connection, collection, id)?.is_some();
    if held.is_none() && !sent {
        Edit::remove(connection, collection, id)?;
    } else {
        edit(connection, collection, id, held.as_ref(), sent, None)?;
    }
    Ok(true)
}

/// Whether putting `data` would leave the record as it is.
fn is_as(held: &Held, data: &Document) -> bool {
    !held.stale && Document::from_stored(held.data.clone().into_boxed_str()).equals(data)
}

/// Leaves an edit: the content of the newest, the base and the place of the first.
fn edit(
    connection: &mut SqliteConnection,
    collection: &str,
    id: &str,
    held: Option<&Held>,
    sent: bool,
    data: Option<&Document>,
) -> Result<(), ReplicaError> {
    let data = data.map(|data| data.as_str().to_owned());
    if let Some(before) = Edit::find(connection, collection, id)? {
        return Edit { data, ..before }.save(connection);
    }
    let last = edits::table.select(diesel::dsl::max(edits::position)).first::<Option<i64>>(connection)?;
    let edit = Edit {
        position: last.unwrap_or(0) + 1,
        collection: collection.to_owned(),
        id: id.to_owned(),
        // What is in `sending` is what this one was based on, and nobody knows its revision yet.
        base: held.filter(|_| !sent).map(|held| held.rev),
        follows: sent,
        data,
    };
    edit.save(connection)
}

/// Lets go of an edit that is of no use any more: the record is as it wants it.
pub(super) fn settle(connection: &mut SqliteConnection, edit: &Edit) -> Result<(), ReplicaError> {
    let held = Held::find(connection, &edit.collection, &edit.id)?;
    let done = match (&edit.data, &held) {
        (None, held) => held.is_none(),
        (Some(data), Some(held)) => is_as(held, &Document::from_stored(data.clone().into_boxed_str())),
        (Some(_), None) => false,
    };
    if done { Edit::remove(connection, &edit.collection, &edit.id) } else { Ok(()) }
}

/// What the user sees of a collection in order of id, at most `limit` records with ids above `after`.
pub(super) fn list(
    connection: &mut SqliteConnection,
    collection: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(RecordId, Document)>, ReplicaError> {
    let mut seen = Vec::new();
    let mut after = after.unwrap_or_default().to_owned();
    while seen.len() < limit {
        let wanted = limit - seen.len();
        let bound = i64::try_from(wanted).unwrap_or(i64::MAX);
        // Each of the three may hide what is in the next; so the next ids of all of them, and then what is seen of these.
        macro_rules! next_ids {
            ($table:ident) => {
                $table::table
                    .filter($table::collection.eq(collection).and($table::id.gt(&after)))
                    .order($table::id)
                    .limit(bound)
                    .select($table::id)
                    .load::<String>(connection)?
            };
        }
        let next = [next_ids!(records), next_ids!(edits), next_ids!(sending)];
        // Up to here nothing was left out of any of them.
        let last = next.iter().filter(|ids| ids.len() >= wanted).filter_map(|ids| ids.last()).min().cloned();
        let mut ids = next.concat();
        ids.sort_unstable();
        ids.dedup();
        if let Some(last) = &last {
            ids.retain(|id| id <= last);
        }
        for id in ids {
            if seen.len() == limit {
                break;
            }
            if let Some(data) = see(connection, collection, &id)? {
                seen.push((RecordId::from_stored(id), data));
            }
        }
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    Ok(seen)
}
