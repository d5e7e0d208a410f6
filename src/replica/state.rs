//! Where a replica stands: its one row, and the set of revisions that it holds.

use diesel::SqliteConnection;
use diesel::prelude::*;

use super::schema::{records, replica};
use super::wire::Remote;
use super::{ReplicaError, Sum};
use crate::domain::{Checksum, CollectionName, Document, RecordId, Rev, Runs};

/// The row of `replica`, without what never changes.
#[derive(Clone, Debug, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = replica, treat_none_as_null = true)]
pub(super) struct State {
    pub seq: i64,
    /// How many answers were applied: the number by which one that comes too late is told.
    pub answers: i64,
    pub cursor: Option<String>,
    /// The epoch of the space that a push met, while there was no cursor.
    pub met: Option<String>,
    pub whole: bool,
    pub etag: Option<String>,
    pub count: i64,
    checksum: i64,
    remaining: Option<String>,
    doubtful: Option<String>,
    pub sending_seq: Option<i64>,
    pub sending_cursor: Option<String>,
    pub synced_at: Option<i64>,
}

impl State {
    pub fn load(connection: &mut SqliteConnection) -> Result<Self, ReplicaError> {
        Ok(replica::table.select(Self::as_select()).first(connection)?)
    }

    pub fn save(&self, connection: &mut SqliteConnection) -> Result<(), ReplicaError> {
        diesel::update(replica::table).set(self).execute(connection)?;
        Ok(())
    }

    pub fn checksum(&self) -> Checksum {
        Checksum::from_stored(self.checksum)
    }

    pub fn sum(&self) -> Sum {
        Sum::new(self.count, self.checksum())
    }

    pub fn set_checksum(&mut self, checksum: Checksum) {
        self.checksum = checksum.to_stored();
    }

    /// Whether nothing was ever heard of the space.
    pub fn is_blank(&self) -> bool {
        self.cursor.is_none() && self.count == 0
    }

    /// What a repair has still to fetch; empty where there is nothing.
    pub fn remaining(&self) -> Result<Runs, ReplicaError> {
        runs(self.remaining.as_deref())
    }

    pub fn set_remaining(&mut self, runs: &Runs) {
        self.remaining = text(runs);
    }

    /// What was fetched since the manifest came, while nothing has said since that its epoch was still the present one.
    pub fn doubtful(&self) -> Result<Runs, ReplicaError> {
        runs(self.doubtful.as_deref())
    }

    pub fn set_doubtful(&mut self, runs: &Runs) {
        self.doubtful = text(runs);
    }

    fn toggle(&mut self, rev: i64, count: i64) {
        let mut checksum = self.checksum();
        checksum.toggle(Rev::from_stored(rev));
        self.set_checksum(checksum);
        self.count += count;
    }
}

fn runs(text: Option<&str>) -> Result<Runs, ReplicaError> {
    let broken = |error: &dyn std::fmt::Display| ReplicaError::Local(format!("runs of revisions: {error}"));
    let Some(text) = text else { return Ok(Runs::default()) };
    let counts = serde_json::from_str(text).map_err(|error| broken(&error))?;
    Runs::new(counts).map_err(|error| broken(&error))
}

fn text(runs: &Runs) -> Option<String> {
    (!runs.is_empty()).then(|| serde_json::to_string(runs.counts()).unwrap_or_default())
}

/// A record as it is held.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = records)]
pub(super) struct Held {
    pub rev: i64,
    pub modified_at: i64,
    pub data: String,
    pub stale: bool,
}

impl Held {
    pub fn find(connection: &mut SqliteConnection, collection: &str, id: &str) -> Result<Option<Self>, ReplicaError> {
        let held = records::table.find((collection, id)).select(Self::as_select()).first(connection);
        Ok(held.optional()?)
    }
}

/// The records while an answer is applied, with count and checksum kept up.
pub(super) struct Book<'a> {
    pub connection: &'a mut SqliteConnection,
    pub state: &'a mut State,
}

impl Book<'_> {
    /// Takes over what the server has, under the rule that a record never takes a lower revision, unless it is stale.
    /// Whether anything was changed.
    pub fn take(&mut self, change: &Remote) -> Result<bool, ReplicaError> {
        let (collection, id) = (change.collection.as_str(), change.id.as_str());
        let stored = records::table.find((collection, id)).select((records::rev, records::stale));
        let held = stored.first::<(i64, bool)>(self.connection).optional()?;
        let rev = change.rev.map(Rev::to_stored);
        match held {
            Some((old, false)) if rev.is_some_and(|rev| rev <= old) => return Ok(false),
            Some((old, false)) => self.state.toggle(old, -1),
            None if change.data.is_none() => return Ok(false),
            Some((_, true)) | None => {}
        }
        match (&change.data, rev) {
            (Some(data), Some(rev)) => {
                self.put(&change.collection, &change.id, rev, change.modified_at.micros(), data)?;
            }
            _ => {
                diesel::delete(records::table.find((collection, id))).execute(self.connection)?;
            }
        }
        Ok(true)
    }

    fn put(
        &mut self,
        collection: &CollectionName,
        id: &RecordId,
        rev: i64,
        modified_at: i64,
        data: &Document,
    ) -> Result<(), ReplicaError> {
        let row = (
            records::collection.eq(collection.as_str()),
            records::id.eq(id.as_str()),
            records::rev.eq(rev),
            records::modified_at.eq(modified_at),
            records::data.eq(data.as_str()),
            records::stale.eq(false),
        );
        diesel::replace_into(records::table).values(row).execute(self.connection)?;
        self.state.toggle(rev, 1);
        Ok(())
    }

    /// Counts anew. Whether that is what was kept up.
    pub fn recount(&mut self) -> Result<bool, ReplicaError> {
        let held = records::table.filter(records::stale.eq(false)).select(records::rev).load::<i64>(self.connection)?;
        let count = i64::try_from(held.len()).unwrap_or(i64::MAX);
        let checksum: Checksum = held.into_iter().map(Rev::from_stored).collect();
        let right = (count, checksum) == (self.state.count, self.state.checksum());
        self.state.count = count;
        self.state.set_checksum(checksum);
        Ok(right)
    }
}
