//! A space as one row a space and one row a collection tell it: enough to answer an up-to-date poll (PROTOCOL.md §2, §3).

use std::collections::BTreeMap;

use super::{
    Checksum, CollectionName, Collections, Epoch, Lineage, QuotaRule, RetentionPolicy, Rev, SpaceName, Timestamp,
};

/// Everything about a space except its records.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceState {
    /// Its name.
    pub name: SpaceName,
    /// Its epochs.
    pub lineage: Lineage,
    /// Its newest revision.
    pub head: Rev,
    /// Its rule for tombstones.
    pub policy: RetentionPolicy,
    /// What it says of how much it may hold.
    pub quota: QuotaRule,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its newest revision was written; `created_at` before the first.
    pub modified_at: Timestamp,
    /// Its collections, those that ever held a record.
    pub collections: BTreeMap<CollectionName, CollectionState>,
}

/// A collection's counts, kept with every change in its transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectionState {
    /// The newest revision written in it.
    pub head: Rev,
    /// Live records.
    pub live: u64,
    /// Tombstones not yet purged.
    pub tombstones: u64,
    /// The checksum of the live records' revisions.
    pub checksum: Checksum,
    /// Bytes of the live records' ids and data.
    pub live_bytes: u64,
    /// Bytes of the tombstones' ids.
    pub tombstone_bytes: u64,
    /// The newest tombstone ever purged; 0 when none was.
    pub horizon: Rev,
    /// That tombstone's `modified_at`: a delta since a time is complete only after it (§3).
    pub horizon_at: Timestamp,
}

/// The same of a choice of collections taken together.
pub type Tally = CollectionState;

impl SpaceState {
    /// The history that is being written.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.lineage.present()
    }

    /// The sum over `choice`, or over the whole space. A collection that was never written counts as empty.
    #[must_use]
    pub fn tally(&self, choice: Option<&Collections>) -> Tally {
        let mut sum = Tally::default();
        match choice {
            None => self.collections.values().for_each(|one| sum.add(one)),
            Some(choice) => {
                choice.names().iter().filter_map(|name| self.collections.get(name)).for_each(|one| sum.add(one));
            }
        }
        sum
    }
}

impl CollectionState {
    fn add(&mut self, other: &Self) {
        self.head = self.head.max(other.head);
        self.live += other.live;
        self.tombstones += other.tombstones;
        self.checksum = self.checksum.combine(other.checksum);
        self.live_bytes += other.live_bytes;
        self.tombstone_bytes += other.tombstone_bytes;
        if other.horizon > self.horizon {
            self.horizon = other.horizon;
            self.horizon_at = other.horizon_at;
        }
    }
}
