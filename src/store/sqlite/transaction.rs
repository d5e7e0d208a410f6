//! One write transaction: the rows of spaces and collections are read once, changed in memory by every write of the
//! group, and written back before the commit. Between transactions they are kept, as long as no other program wrote.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::failure;
use super::rows;
use crate::domain::push::Existing;
use crate::domain::{
    CollectionName, CollectionState, Document, Epoch, Quota, QuotaRule, RecordId, RetentionPolicy, Rev, SpaceName,
    SpaceState, State, Timestamp,
};
use crate::store::StoreError;
use crate::store::rows::quota_values;
use crate::store::schema::{clients, collections, epochs, records, spaces};
use crate::store::writes::{Defaults, Writing, count_change, count_purge, new_epoch};

/// What the writer remembers between transactions.
pub(super) struct Cache {
    spaces: HashMap<SpaceName, Space>,
    /// SQLite's count of other connections' commits when `spaces` was right.
    data_version: Option<i64>,
    defaults: Defaults,
}

/// Spaces remembered; beyond it the cache starts anew.
const CACHED_SPACES: usize = 10_000;

impl Cache {
    /// An empty cache.
    pub fn new(defaults: Defaults) -> Self {
        Self { spaces: HashMap::new(), data_version: None, defaults }
    }

    /// Forgets everything: a transaction was rolled back.
    pub fn clear(&mut self) {
        self.spaces.clear();
        self.data_version = None;
    }
}

/// A space within a transaction.
pub(super) struct Space {
    /// `spaces.id`.
    pub id: i64,
    /// As it is in this transaction.
    pub state: SpaceState,
    collections: BTreeMap<CollectionName, i64>,
    /// Whether something of it was changed and is not written back yet.
    dirty: bool,
    dirty_collections: Vec<CollectionName>,
}

/// A write transaction that has begun.
pub(super) struct Transaction<'a> {
    /// The write connection.
    pub connection: &'a mut SqliteConnection,
    cache: &'a mut Cache,
    /// The time of this transaction: taken once.
    now: Timestamp,
    touched: Vec<SpaceName>,
    /// Whether another program has written since the last transaction.
    pub others_wrote: bool,
}

#[derive(diesel::QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

impl<'a> Transaction<'a> {
    /// Takes up a transaction that holds the write lock already.
    pub fn begin(
        connection: &'a mut SqliteConnection,
        cache: &'a mut Cache,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let version =
            diesel::sql_query("PRAGMA data_version").get_result::<DataVersion>(connection).map_err(failure)?;
        let others_wrote = cache.data_version.is_some_and(|known| known != version.data_version);
        if cache.data_version != Some(version.data_version) || cache.spaces.len() > CACHED_SPACES {
            cache.spaces.clear();
            cache.data_version = Some(version.data_version);
        }
        Ok(Self { connection, cache, now, touched: Vec::new(), others_wrote })
    }

    /// Writes back what was changed; answers the spaces whose feeds are to be woken after the commit.
    pub fn finish(self) -> Result<Vec<SpaceName>, StoreError> {
        for name in &self.touched {
            if let Some(space) = self.cache.spaces.get_mut(name) {
                space.write_back(self.connection)?;
            }
        }
        Ok(self.touched)
    }

    /// The space of that name, if there is one.
    fn load(&mut self, name: &SpaceName) -> Result<Option<&mut Space>, StoreError> {
        if !self.cache.spaces.contains_key(name) {
            let Some(row) = rows::space(self.connection, name)? else { return Ok(None) };
            let collections = row.collections.iter().map(|(id, name)| (name.clone(), *id)).collect();
            let state = SpaceState::clone(&row.state);
            let space = Space { id: row.id, state, collections, dirty: false, dirty_collections: Vec::new() };
            self.cache.spaces.insert(name.clone(), space);
        }
        Ok(self.cache.spaces.get_mut(name))
    }

    /// The space of that name.
    pub fn existing_space(&mut self, name: &SpaceName) -> Result<&mut Space, StoreError> {
        self.load(name)?.ok_or_else(|| StoreError::NoSpace(name.clone()))
    }

    /// Opens a new epoch of a space at its head.
    pub fn open_epoch(&mut self, name: &SpaceName) -> Result<(), StoreError> {
        let epoch = new_epoch();
        let space = self.existing_space(name)?;
        let ordinal = i64::try_from(space.state.lineage.entries().count()).map_err(StoreError::internal)?;
        let (id, head) = (space.id, space.state.head);
        space.state.lineage.open(epoch, head);
        insert_epoch(self.connection, id, ordinal, epoch, head)?;
        self.touch(name);
        Ok(())
    }

    /// Sets a space's policy.
    pub fn set_policy(&mut self, name: &SpaceName, policy: RetentionPolicy) -> Result<(), StoreError> {
        let space = self.existing_space(name)?;
        space.state.policy = policy;
        let id = space.id;
        diesel::update(spaces::table.find(id))
            .set((
                spaces::retention.eq(policy.retention.to_string()),
                spaces::hold_for_clients.eq(policy.hold_for_clients),
                spaces::max_retention.eq(policy.max_retention.to_string()),
                spaces::max_tombstones.eq(policy.max_tombstones.map(u64::cast_signed)),
            ))
            .execute(self.connection)
            .map_err(failure)?;
        self.touch(name);
        Ok(())
    }

    /// Sets what a space says of its quota.
    pub fn set_quota(&mut self, name: &SpaceName, rule: QuotaRule) -> Result<(), StoreError> {
        let space = self.existing_space(name)?;
        space.state.quota = rule;
        diesel::update(spaces::table.find(space.id))
            .set(quota_values(rule))
            .execute(self.connection)
            .map_err(failure)?;
        self.touch(name);
        Ok(())
    }

    /// Takes a space's name away: it is gone, and its rows are left to be swept.
    pub fn delete_space(&mut self, name: &SpaceName) -> Result<(), StoreError> {
        let id = self.existing_space(name)?.id;
        self.cache.spaces.remove(name);
        diesel::update(spaces::table.find(id))
            .set(spaces::name.eq(None::<String>))
            .execute(self.connection)
            .map_err(failure)?;
        self.touch(name);
        Ok(())
    }

    /// Books that tombstones were purged from a collection: counts down, horizon up.
    pub fn book_purge(
        &mut self,
        name: &SpaceName,
        collection: &CollectionName,
        tombstones: u64,
        bytes: u64,
        horizon: (Rev, Timestamp),
    ) -> Result<(), StoreError> {
        let space = self.existing_space(name)?;
        let tally = space.state.collections.entry(collection.clone()).or_default();
        count_purge(tally, tombstones, bytes, horizon);
        space.dirty = true;
        if !space.dirty_collections.contains(collection) {
            space.dirty_collections.push(collection.clone());
        }
        self.touch(name);
        Ok(())
    }

    /// The id of a collection, which is made where it is new.
    fn collection_id(&mut self, name: &SpaceName, collection: &CollectionName) -> Result<i64, StoreError> {
        let space = self.existing_space(name)?;
        if let Some(id) = space.collections.get(collection) {
            return Ok(*id);
        }
        let space_id = space.id;
        let id = diesel::insert_into(collections::table)
            .values((collections::space_id.eq(space_id), collections::name.eq(collection.as_str())))
            .returning(collections::id)
            .get_result::<i64>(self.connection)
            .map_err(failure)?;
        let space = self.existing_space(name)?;
        space.collections.insert(collection.clone(), id);
        space.state.collections.insert(collection.clone(), CollectionState::default());
        Ok(id)
    }

    /// Has the feed of a space woken after the commit.
    pub fn touch(&mut self, name: &SpaceName) {
        // The same space comes again and again in a group: mostly it is the last one.
        if self.touched.last() != Some(name) && !self.touched.contains(name) {
            self.touched.push(name.clone());
        }
    }
}

impl Writing for Transaction<'_> {
    fn space(&mut self, name: &SpaceName) -> Result<Option<&SpaceState>, StoreError> {
        Ok(self.load(name)?.map(|space| &space.state))
    }

    fn create_space(&mut self, name: &SpaceName, policy: Option<RetentionPolicy>) -> Result<(), StoreError> {
        let policy = policy.unwrap_or_else(|| RetentionPolicy::of(self.cache.defaults.retention));
        let now = self.now.micros();
        let id = diesel::insert_into(spaces::table)
            .values((
                spaces::name.eq(name.as_str()),
                spaces::head.eq(0),
                spaces::retention.eq(policy.retention.to_string()),
                spaces::hold_for_clients.eq(policy.hold_for_clients),
                spaces::max_retention.eq(policy.max_retention.to_string()),
                spaces::max_tombstones.eq(policy.max_tombstones.map(u64::cast_signed)),
                spaces::created_at.eq(now),
                spaces::modified_at.eq(now),
            ))
            .returning(spaces::id)
            .get_result::<i64>(self.connection)
            .map_err(failure)?;
        insert_epoch(self.connection, id, 0, new_epoch(), Rev::ZERO)?;
        self.touch(name);
        Ok(())
    }

    fn default_quota(&self) -> Quota {
        self.cache.defaults.quota
    }

    fn existing(
        &mut self,
        space: &SpaceName,
        collection: &CollectionName,
        id: &RecordId,
    ) -> Result<Existing, StoreError> {
        let collection = self.load(space)?.and_then(|space| space.collections.get(collection).copied());
        let Some(collection) = collection else { return Ok(Existing::Nothing) };
        // Not `first`: SQLite prepares a statement with a bound LIMIT anew for each run, at the cost of the run itself.
        let row = records::table
            .filter(records::collection_id.eq(collection).and(records::id.eq(id.as_str())))
            .select((records::rev, records::modified_at, records::data))
            .get_result::<(i64, i64, Option<String>)>(self.connection)
            .optional()
            .map_err(failure)?;
        Ok(row.map_or(Existing::Nothing, |(rev, modified_at, data)| Existing::Record {
            rev: Rev::from_stored(rev),
            modified_at: Timestamp::from_micros(modified_at),
            data: data.map(|data| Document::from_stored(data.into_boxed_str())),
        }))
    }

    fn apply(
        &mut self,
        name: &SpaceName,
        collection: &CollectionName,
        id: &RecordId,
        existing: &Existing,
        state: State,
    ) -> Result<(Rev, Timestamp), StoreError> {
        let now = self.now;
        let collection_id = self.collection_id(name, collection)?;
        let connection = &mut *self.connection;
        let space = self.cache.spaces.get_mut(name).ok_or_else(|| StoreError::NoSpace(name.clone()))?;
        let document = match &state {
            State::Live(data) => Some(data),
            State::Deleted => None,
        };
        let (rev, modified_at) = count_change(&mut space.state, collection, id, existing, document, now)?;
        let data = document.map(Document::as_str);
        if let Existing::Record { rev: old, .. } = existing {
            diesel::delete(records::table.filter(records::space_id.eq(space.id).and(records::rev.eq(old.to_stored()))))
                .execute(connection)
                .map_err(failure)?;
        }
        diesel::insert_into(records::table)
            .values((
                records::space_id.eq(space.id),
                records::rev.eq(rev.to_stored()),
                records::collection_id.eq(collection_id),
                records::id.eq(id.as_str()),
                records::deleted.eq(data.is_none()),
                records::modified_at.eq(modified_at.micros()),
                records::data.eq(data),
            ))
            .execute(connection)
            .map_err(failure)?;
        space.dirty = true;
        if !space.dirty_collections.contains(collection) {
            space.dirty_collections.push(collection.clone());
        }
        self.touch(name);
        Ok((rev, modified_at))
    }

    fn seq(&mut self, space: &SpaceName, client: &str) -> Result<u64, StoreError> {
        let space = self.existing_space(space)?.id;
        let seq = clients::table.find((space, client)).select(clients::seq).get_result::<i64>(self.connection);
        Ok(seq.optional().map_err(failure)?.unwrap_or(0).unsigned_abs())
    }

    fn set_seq(&mut self, space: &SpaceName, client: &str, seq: u64) -> Result<(), StoreError> {
        let space = self.existing_space(space)?.id;
        let seq = i64::try_from(seq).map_err(StoreError::internal)?;
        diesel::insert_into(clients::table)
            .values((
                clients::space_id.eq(space),
                clients::name.eq(client),
                clients::seq.eq(seq),
                clients::used_at.eq(self.now.micros()),
            ))
            .on_conflict((clients::space_id, clients::name))
            .do_update()
            .set((clients::seq.eq(seq), clients::used_at.eq(self.now.micros())))
            .execute(self.connection)
            .map_err(failure)?;
        Ok(())
    }
}

impl Space {
    /// The id of a collection, if it was ever written.
    pub fn collection_id(&self, name: &CollectionName) -> Option<i64> {
        self.collections.get(name).copied()
    }

    fn write_back(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(());
        }
        diesel::update(spaces::table.find(self.id))
            .set((
                spaces::head.eq(self.state.head.to_stored()),
                spaces::modified_at.eq(self.state.modified_at.micros()),
            ))
            .execute(connection)
            .map_err(failure)?;
        for name in std::mem::take(&mut self.dirty_collections) {
            let (Some(id), Some(state)) = (self.collections.get(&name), self.state.collections.get(&name)) else {
                continue;
            };
            write_collection(connection, *id, state)?;
        }
        Ok(())
    }
}

/// Adds an epoch to a space's lineage.
pub(super) fn insert_epoch(
    connection: &mut SqliteConnection,
    space: i64,
    ordinal: i64,
    epoch: Epoch,
    head: Rev,
) -> Result<(), StoreError> {
    diesel::insert_into(epochs::table)
        .values((
            epochs::space_id.eq(space),
            epochs::ordinal.eq(ordinal),
            epochs::epoch.eq(epoch.as_str()),
            epochs::opened_at.eq(head.to_stored()),
        ))
        .execute(connection)
        .map_err(failure)?;
    Ok(())
}

/// Writes the counts of a collection.
pub(super) fn write_collection(
    connection: &mut SqliteConnection,
    id: i64,
    state: &CollectionState,
) -> Result<(), StoreError> {
    diesel::update(collections::table.find(id))
        .set((
            collections::head.eq(state.head.to_stored()),
            collections::live.eq(state.live.cast_signed()),
            collections::tombstones.eq(state.tombstones.cast_signed()),
            collections::checksum.eq(state.checksum.to_stored()),
            collections::live_bytes.eq(state.live_bytes.cast_signed()),
            collections::tombstone_bytes.eq(state.tombstone_bytes.cast_signed()),
            collections::horizon.eq(state.horizon.to_stored()),
            collections::horizon_at.eq(state.horizon_at.micros()),
        ))
        .execute(connection)
        .map_err(failure)?;
    Ok(())
}
