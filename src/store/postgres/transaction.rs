//! A write transaction in memory: what was read under the locks of its spaces, changed by every write of the group, and
//! written back as sets of rows before the commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::states::Known;
use crate::domain::push::Existing;
use crate::domain::{
    CollectionName, CollectionState, Document, Quota, QuotaRule, RecordId, RetentionPolicy, Rev, SpaceName, SpaceState,
    State, Timestamp,
};
use crate::store::StoreError;
use crate::store::writes::{Defaults, Writing, count_change, new_epoch};

/// The spaces of a group.
pub(super) struct Transaction {
    /// The time of this transaction: taken once.
    pub now: Timestamp,
    defaults: Defaults,
    spaces: HashMap<SpaceName, Space>,
}

/// A space as the transaction has it so far.
pub(super) struct Space {
    /// `spaces.id`; `None` where this transaction makes it.
    pub id: Option<i64>,
    /// What the domain knows of it.
    pub state: SpaceState,
    /// `collections.id` of those that have one.
    pub collections: BTreeMap<CollectionName, i64>,
    records: HashMap<CollectionName, HashMap<RecordId, Slot>>,
    seqs: HashMap<String, u64>,
    /// Whether something of it is to be written back.
    pub dirty: bool,
    new_seqs: BTreeMap<String, u64>,
}

/// What is there of a record.
struct Slot {
    existing: Existing,
    /// Whether the database has a row of it.
    stored: bool,
    /// Whether this transaction wrote it.
    written: bool,
}

/// A record that is to be written.
pub(super) struct Row<'a> {
    pub collection: &'a CollectionName,
    pub id: &'a RecordId,
    pub rev: Rev,
    pub modified_at: Timestamp,
    pub data: Option<&'a Document>,
    /// Whether the database has a row of it.
    pub stored: bool,
}

impl Transaction {
    /// A transaction at `now`.
    pub fn new(now: Timestamp, defaults: Defaults) -> Self {
        Self { now, defaults, spaces: HashMap::new() }
    }

    /// Takes up a space that is locked.
    pub fn add(&mut self, known: &Known) {
        let space = Space {
            id: Some(known.row.id),
            state: SpaceState::clone(&known.row.state),
            collections: known.row.collections.iter().map(|(id, name)| (name.clone(), *id)).collect(),
            records: HashMap::new(),
            seqs: HashMap::new(),
            dirty: false,
            new_seqs: BTreeMap::new(),
        };
        self.spaces.insert(known.row.state.name.clone(), space);
    }

    /// The space of that name, where it was there or was made.
    pub fn get_mut(&mut self, name: &SpaceName) -> Option<&mut Space> {
        self.spaces.get_mut(name)
    }

    /// The spaces that are to be written back.
    pub fn dirty(&self) -> impl Iterator<Item = &Space> {
        self.spaces.values().filter(|space| space.dirty)
    }

    /// The spaces that are to be written back.
    pub fn dirty_mut(&mut self) -> impl Iterator<Item = &mut Space> {
        self.spaces.values_mut().filter(|space| space.dirty)
    }
}

impl Space {
    /// Says what is there of a record that was asked for: nothing, until [`Self::found`] says otherwise.
    pub fn asked(&mut self, collection: &CollectionName, id: &RecordId) {
        let nothing = Slot { existing: Existing::Nothing, stored: false, written: false };
        self.records_of(collection).entry(id.clone()).or_insert(nothing);
    }

    /// Says what is there of a record.
    pub fn found(&mut self, collection: &CollectionName, id: RecordId, existing: Existing) {
        self.records_of(collection).insert(id, Slot { existing, stored: true, written: false });
    }

    /// Says what a client's highest `seq` is.
    pub fn found_seq(&mut self, client: String, seq: u64) {
        self.seqs.insert(client, seq);
    }

    fn records_of(&mut self, collection: &CollectionName) -> &mut HashMap<RecordId, Slot> {
        if !self.records.contains_key(collection) {
            self.records.insert(collection.clone(), HashMap::new());
        }
        self.records.entry(collection.clone()).or_default()
    }

    /// The records that are to be written, each once, in its last version.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.records.iter().flat_map(|(collection, records)| {
            records.iter().filter(|(_, slot)| slot.written).filter_map(move |(id, slot)| match &slot.existing {
                Existing::Record { rev, modified_at, data } => {
                    let (rev, modified_at, data, stored) = (*rev, *modified_at, data.as_ref(), slot.stored);
                    Some(Row { collection, id, rev, modified_at, data, stored })
                }
                Existing::Nothing => None,
            })
        })
    }

    /// The collections that are to be written back.
    pub fn written(&self) -> impl Iterator<Item = (&CollectionName, &CollectionState)> {
        let written = |name: &CollectionName| {
            self.records.get(name).is_some_and(|records| records.values().any(|slot| slot.written))
        };
        self.state.collections.iter().filter(move |(name, _)| written(name))
    }

    /// The clients whose `seq` is to be remembered.
    pub fn new_seqs(&self) -> impl Iterator<Item = (&str, u64)> {
        self.new_seqs.iter().map(|(name, seq)| (name.as_str(), *seq))
    }

    /// The space as it will be once the transaction is committed, under `version`.
    pub fn into_known(self, version: i64) -> Option<Known> {
        let collections = self.collections.into_iter().map(|(name, id)| (id, name)).collect();
        let row = crate::store::rows::SpaceRow { id: self.id?, state: Arc::new(self.state), collections };
        Some(Known { row, version })
    }
}

impl Transaction {
    /// Ends it: the spaces that were written back.
    pub fn into_dirty(self) -> impl Iterator<Item = Space> {
        self.spaces.into_values().filter(|space| space.dirty)
    }

    fn existing_space(&mut self, name: &SpaceName) -> Result<&mut Space, StoreError> {
        self.spaces.get_mut(name).ok_or_else(|| StoreError::NoSpace(name.clone()))
    }
}

impl Writing for Transaction {
    fn space(&mut self, name: &SpaceName) -> Result<Option<&SpaceState>, StoreError> {
        Ok(self.spaces.get(name).map(|space| &space.state))
    }

    fn create_space(&mut self, name: &SpaceName, policy: Option<RetentionPolicy>) -> Result<(), StoreError> {
        let state = SpaceState {
            name: name.clone(),
            lineage: crate::domain::Lineage::new(new_epoch()),
            head: Rev::ZERO,
            policy: policy.unwrap_or_else(|| RetentionPolicy::of(self.defaults.retention)),
            quota: QuotaRule::default(),
            created_at: self.now,
            modified_at: self.now,
            collections: BTreeMap::new(),
        };
        let space = Space {
            id: None,
            state,
            collections: BTreeMap::new(),
            records: HashMap::new(),
            seqs: HashMap::new(),
            dirty: true,
            new_seqs: BTreeMap::new(),
        };
        self.spaces.insert(name.clone(), space);
        Ok(())
    }

    fn default_quota(&self) -> Quota {
        self.defaults.quota
    }

    fn existing(
        &mut self,
        space: &SpaceName,
        collection: &CollectionName,
        id: &RecordId,
    ) -> Result<Existing, StoreError> {
        let Some(space) = self.spaces.get(space) else { return Ok(Existing::Nothing) };
        match space.records.get(collection).and_then(|records| records.get(id)) {
            Some(slot) => Ok(slot.existing.clone()),
            // In a collection, or a space, that was never written there is nothing to read.
            None if !space.collections.contains_key(collection) => Ok(Existing::Nothing),
            None => Err(StoreError::internal("a record was not read before it was to be judged")),
        }
    }

    fn apply(
        &mut self,
        space: &SpaceName,
        collection: &CollectionName,
        id: &RecordId,
        existing: &Existing,
        state: State,
    ) -> Result<(Rev, Timestamp), StoreError> {
        let now = self.now;
        let space = self.existing_space(space)?;
        let data = match state {
            State::Live(data) => Some(data),
            State::Deleted => None,
        };
        let (rev, modified_at) = count_change(&mut space.state, collection, id, existing, data.as_ref(), now)?;
        space.dirty = true;
        let existing = Existing::Record { rev, modified_at, data };
        let records = space.records_of(collection);
        match records.get_mut(id) {
            Some(slot) => (slot.existing, slot.written) = (existing, true),
            None => {
                records.insert(id.clone(), Slot { existing, stored: false, written: true });
            }
        }
        Ok((rev, modified_at))
    }

    fn seq(&mut self, space: &SpaceName, client: &str) -> Result<u64, StoreError> {
        Ok(self.existing_space(space)?.seqs.get(client).copied().unwrap_or(0))
    }

    fn set_seq(&mut self, space: &SpaceName, client: &str, seq: u64) -> Result<(), StoreError> {
        let space = self.existing_space(space)?;
        space.seqs.insert(client.to_owned(), seq);
        space.new_seqs.insert(client.to_owned(), seq);
        space.dirty = true;
        Ok(())
    }
}
