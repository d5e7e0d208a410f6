//! Rows to domain values: what both backends read, and what it means.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::ExpressionMethods;
use diesel::dsl::Eq;

use super::schema::{epochs, records, spaces};
use super::{Sample, StoreError};
use crate::domain::client::{KnownClient, Place};
use crate::domain::cursor::CursorFault;
use crate::domain::{
    Allowance, Change, Checksum, ClientName, CollectionName, CollectionState, Collections, Document, Epoch, Lineage,
    QuotaRule, RecordId, RetentionPolicy, Rev, SpaceName, SpaceState, State, Timestamp,
};

/// Names of spaces: from one on, after another one, and before a third.
#[derive(Clone, Debug)]
pub(super) struct NameRange {
    pub from: String,
    pub after: String,
    pub to: String,
}

impl NameRange {
    /// All names.
    pub fn all() -> Self {
        Self::new("", None)
    }

    /// The names that begin with `prefix` and come after `after`.
    pub fn new(prefix: &str, after: Option<&SpaceName>) -> Self {
        // Every byte of a name is below this one, so that no name with the prefix comes after it.
        let to = format!("{prefix}\u{7f}");
        Self { from: prefix.to_owned(), after: after.map_or(String::new(), ToString::to_string), to }
    }
}

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
    /// Puts a space together from its own row, those of its collections and those of its epochs, oldest first.
    pub fn assemble(
        space: SpaceColumns,
        collections: Vec<CollectionColumns>,
        epochs: Vec<EpochColumns>,
    ) -> Result<Self, StoreError> {
        let (
            id,
            name,
            head,
            retention,
            hold_for_clients,
            max_retention,
            max_tombstones,
            quota,
            created_at,
            modified_at,
        ) = space;
        let name = SpaceName::new(&name.unwrap_or_default()).map_err(|fault| corrupt(id, "name", fault))?;
        let policy = RetentionPolicy {
            retention: retention.parse().map_err(|fault| corrupt(id, "retention", fault))?,
            hold_for_clients,
            max_retention: max_retention.parse().map_err(|fault| corrupt(id, "max_retention", fault))?,
            max_tombstones: max_tombstones.map(i64::unsigned_abs),
        };
        let mut states = BTreeMap::new();
        let mut ids = Vec::with_capacity(collections.len());
        for row in collections {
            let (collection_id, _, name, head, live, tombstones, checksum, live_bytes, tombstone_bytes, horizon, at) =
                row;
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
            lineage: lineage(id, epochs)?,
            head: Rev::from_stored(head),
            policy,
            quota: quota_rule(quota),
            created_at: Timestamp::from_micros(created_at),
            modified_at: Timestamp::from_micros(modified_at),
            collections: states,
        };
        Ok(Self { id, state: Arc::new(state), collections: ids })
    }

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

    /// Makes a change of a row of this space.
    pub fn change(&self, row: ChangeColumns) -> Result<Change, StoreError> {
        let (rev, collection, id, modified_at, data) = row;
        Ok(Change {
            collection: self.collection_name(collection)?,
            id: RecordId::from_stored(id),
            rev: Rev::from_stored(rev),
            modified_at: Timestamp::from_micros(modified_at),
            state: data.map_or(State::Deleted, |data| State::Live(Document::from_stored(data.into_boxed_str()))),
        })
    }
}

/// The lineage of the epochs of a space.
fn lineage(space: i64, rows: Vec<EpochColumns>) -> Result<Lineage, StoreError> {
    let entries = rows
        .into_iter()
        .map(|(_, epoch, at)| Ok((epoch.parse::<Epoch>()?, Rev::from_stored(at))))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|fault: crate::domain::epoch::EpochFault| corrupt(space, "epoch", fault))?;
    Lineage::from_entries(entries).ok_or_else(|| StoreError::internal(format!("space {space} has no epoch")))
}

fn corrupt(space: i64, what: &str, fault: impl std::fmt::Display) -> StoreError {
    StoreError::internal(format!("the {what} of space {space} is corrupt: {fault}"))
}

/// The columns of a space that both backends have.
pub(super) type SpaceSelection = (
    spaces::id,
    spaces::name,
    spaces::head,
    spaces::retention,
    spaces::hold_for_clients,
    spaces::max_retention,
    spaces::max_tombstones,
    QuotaSelection,
    spaces::created_at,
    spaces::modified_at,
);
/// See [`SpaceSelection`].
pub(super) const SPACE: SpaceSelection = (
    spaces::id,
    spaces::name,
    spaces::head,
    spaces::retention,
    spaces::hold_for_clients,
    spaces::max_retention,
    spaces::max_tombstones,
    (spaces::quota_records, spaces::quota_bytes, spaces::quota_record_bytes),
    spaces::created_at,
    spaces::modified_at,
);
/// A row of [`SPACE`].
pub(super) type SpaceColumns = (i64, Option<String>, i64, String, bool, String, Option<i64>, QuotaColumns, i64, i64);

type QuotaSelection = (spaces::quota_records, spaces::quota_bytes, spaces::quota_record_bytes);
type QuotaColumns = (Option<i64>, Option<i64>, Option<i64>);

/// The columns of a quota with their values, to be written.
pub(super) type QuotaValues = (
    Eq<spaces::quota_records, Option<i64>>,
    Eq<spaces::quota_bytes, Option<i64>>,
    Eq<spaces::quota_record_bytes, Option<i64>>,
);

/// See [`QuotaValues`].
pub(super) fn quota_values(rule: QuotaRule) -> QuotaValues {
    (
        spaces::quota_records.eq(rule.records.to_stored()),
        spaces::quota_bytes.eq(rule.bytes.to_stored()),
        spaces::quota_record_bytes.eq(rule.record_bytes.to_stored()),
    )
}

/// The quota that a space's columns say.
pub(super) fn quota_rule((records, bytes, record_bytes): QuotaColumns) -> QuotaRule {
    let allowance = Allowance::from_stored;
    QuotaRule { records: allowance(records), bytes: allowance(bytes), record_bytes: allowance(record_bytes) }
}

/// A whole row of `collections`.
pub(super) type CollectionColumns = (i64, i64, String, i64, i64, i64, i64, i64, i64, i64, i64);

/// The columns of an epoch in the order of [`EpochColumns`].
pub(super) const EPOCH: (epochs::space_id, epochs::epoch, epochs::opened_at) =
    (epochs::space_id, epochs::epoch, epochs::opened_at);
/// A row of [`EPOCH`].
pub(super) type EpochColumns = (i64, String, i64);

/// The columns of a record that make a change, in the order of [`ChangeColumns`].
pub(super) type ChangeSelection =
    (records::rev, records::collection_id, records::id, records::modified_at, records::data);
/// See [`ChangeSelection`].
pub(super) const CHANGE: ChangeSelection =
    (records::rev, records::collection_id, records::id, records::modified_at, records::data);
/// A row of [`CHANGE`]: no data means deleted.
pub(super) type ChangeColumns = (i64, i64, String, i64, Option<String>);

/// A whole row of `known_clients`.
pub(super) type ClientColumns = (i64, String, i64, Option<String>, Option<String>, Option<String>, i64);

/// Makes a known client of its row.
pub(super) fn known_client(row: ClientColumns) -> Result<KnownClient, StoreError> {
    let (space, name, rev, cursor, collections, agent, seen_at) = row;
    let name = ClientName::new(&name).map_err(|fault| corrupt(space, "client", fault))?;
    let cursor = cursor.map(|cursor| cursor.parse()).transpose();
    let collections = collections.map(|names| Collections::parse(&names)).transpose();
    Ok(KnownClient {
        name,
        place: Place {
            rev: Rev::from_stored(rev),
            cursor: cursor.map_err(|fault: CursorFault| corrupt(space, "client's cursor", fault))?,
            collections: collections.map_err(|fault| corrupt(space, "client's collections", fault))?,
        },
        agent: agent.map(String::into_boxed_str),
        seen_at: Timestamp::from_micros(seen_at),
    })
}

/// Makes a sample of its row: the time, the head, the horizon, live records and tombstones.
pub(super) fn sample((at, head, horizon, live, tombstones): (i64, i64, i64, i64, i64)) -> Sample {
    Sample {
        at: Timestamp::from_micros(at),
        head: Rev::from_stored(head),
        horizon: Rev::from_stored(horizon),
        live: live.unsigned_abs(),
        tombstones: tombstones.unsigned_abs(),
    }
}
