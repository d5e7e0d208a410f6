//! How a replica is, as its file says: nobody is asked.

use diesel::prelude::*;

use super::schema::{conflicts, edits, records, sending};
use super::state::{Held, State};
use super::{Replica, ReplicaError};
use crate::domain::{CollectionName, RecordId, Rev, Timestamp};

/// How a replica is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The client's name in the header `Strandline-Client`.
    pub client: String,
    /// Where it stands; opaque. `None` before the first page.
    pub cursor: Option<String>,
    /// Whether it was the server's copy when it last heard of it.
    pub whole: bool,
    /// Records that it holds.
    pub records: u64,
    /// Their checksum (PROTOCOL.md §1).
    pub checksum: String,
    /// Records that a repair may drop yet.
    pub stale: u64,
    /// Records that a repair has to fetch yet.
    pub to_fetch: u64,
    /// Edits that no push holds yet.
    pub edits: u64,
    /// Edits in a push without an answer.
    pub sending: u64,
    /// Conflicts that nobody decided.
    pub conflicts: u64,
    /// When a sync last ended well.
    pub synced_at: Option<Timestamp>,
}

impl Replica {
    /// Edits that the server has not answered to.
    ///
    /// # Errors
    /// [`ReplicaError::Local`].
    pub fn waiting(&self) -> Result<u64, ReplicaError> {
        self.read(|file| {
            let edits = edits::table.count().get_result::<i64>(file)?;
            let sending = sending::table.count().get_result::<i64>(file)?;
            Ok((edits + sending).unsigned_abs())
        })
    }

    /// How it is.
    ///
    /// # Errors
    /// [`ReplicaError::Local`].
    pub fn status(&self) -> Result<Status, ReplicaError> {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        self.read(|file| {
            let state = State::load(file)?;
            Ok(Status {
                client: self.0.client.clone(),
                whole: state.whole,
                records: count(state.count),
                checksum: state.checksum().to_string(),
                stale: count(records::table.filter(records::stale).count().get_result(file)?),
                to_fetch: state.remaining()?.len(),
                edits: count(edits::table.count().get_result(file)?),
                sending: count(sending::table.count().get_result(file)?),
                conflicts: count(conflicts::table.count().get_result(file)?),
                synced_at: state.synced_at.map(Timestamp::from_micros),
                cursor: state.cursor,
            })
        })
    }

    /// The revision that is held of a record, where one counts: for tests and for the curious.
    ///
    /// # Errors
    /// [`ReplicaError::Local`].
    pub fn revision(&self, collection: &CollectionName, id: &RecordId) -> Result<Option<Rev>, ReplicaError> {
        let held = self.read(|file| Held::find(file, collection.as_str(), id.as_str()))?;
        Ok(held.filter(|held| !held.stale).map(|held| Rev::from_stored(held.rev)))
    }
}
