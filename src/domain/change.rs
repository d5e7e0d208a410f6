//! A change: the one shape in which a record travels (PROTOCOL.md §2).

use super::{CollectionName, Document, RecordId, Rev, Timestamp};

/// A record as it stands: who it is, the revision of its latest change, and what it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The collection it is in.
    pub collection: CollectionName,
    /// Its id there.
    pub id: RecordId,
    /// The revision of its latest change.
    pub rev: Rev,
    /// The server's time of that change.
    pub modified_at: Timestamp,
    /// Live with data, or deleted.
    pub state: State,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// The record's data.
    Live(Document),
    /// A tombstone.
    Deleted,
}

impl Change {
    /// Whether it is a tombstone.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        matches!(self.state, State::Deleted)
    }

    /// Roughly what it takes on the wire, in bytes: for bounding pages.
    #[must_use]
    pub fn wire_size(&self) -> usize {
        let data = match &self.state {
            State::Live(data) => data.len(),
            State::Deleted => 0,
        };
        data + self.id.as_str().len() + self.collection.as_str().len() + 120
    }
}
