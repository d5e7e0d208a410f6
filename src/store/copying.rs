//! Copying a space as it lies from one store to another, whatever backends they are (`copier` drives it).
//!
//! A copy under way is a space without a name: it holds rows, and nobody but the operations of this file sees them.
//! Only a copy whose rows, counted anew, are those of the source gets its name, and with it everything that its clients
//! know: it is there at once and whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Change, ClientName, CollectionName, CollectionState, Rev, SpaceName, SpaceState, Timestamp};

/// What one store is asked for, and another one is given. Every operation is one snapshot or one durable transaction.
#[async_trait]
pub trait Copying: Send + Sync {
    /// Rows of a space as they lie, tombstones and all, in order of revision. No horizon counts here.
    async fn rows(&self, request: RowsRequest) -> Result<Batch, StoreError>;

    /// What is remembered of the pushes of the clients after `after` in order of name, at most `limit`.
    async fn seqs(
        &self,
        space: SpaceName,
        after: Option<ClientName>,
        limit: usize,
    ) -> Result<Vec<ClientSeq>, StoreError>;

    /// Begins a copy of the space that has this state in the source, or goes on with the one that is there.
    ///
    /// One that was begun in another history is given up for a new one, even where both share a beginning: what had
    /// moved ahead of it in the old history may lie behind it in the new one.
    ///
    /// # Errors
    /// [`StoreError::SpaceExists`] when there is a space of that name, which this never touches.
    async fn begin_copy(&self, source: Arc<SpaceState>) -> Result<CopyUnderWay, StoreError>;

    /// Writes rows as they are; a record that is there already is replaced.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`], here and below, when this copy is no longer under way.
    async fn copy_rows(&self, copy: &CopyUnderWay, rows: Vec<Change>) -> Result<(), StoreError>;

    /// Writes what is remembered of clients' pushes; a client that is there already is replaced.
    async fn copy_seqs(&self, copy: &CopyUnderWay, seqs: Vec<ClientSeq>) -> Result<(), StoreError>;

    /// Counts the copy's rows anew, and makes it the space that has this state if they are what the state says. Else
    /// the copy stays under way, and the answer is where they differ.
    ///
    /// Tombstones at or below a collection's horizon are taken out first: the source has purged them since they were
    /// copied, as no other tombstones lie there.
    ///
    /// # Errors
    /// [`StoreError::SpaceExists`] when a space of that name was made meanwhile.
    async fn finish_copy(
        &self,
        copy: &CopyUnderWay,
        source: Arc<SpaceState>,
    ) -> Result<Vec<CollectionDifference>, StoreError>;

    /// Gives up the copy of that name, if one is under way, and answers whether one was. Its rows are left to
    /// [`Store::sweep_step`](super::Store::sweep_step).
    async fn discard_copy(&self, space: SpaceName) -> Result<bool, StoreError>;
}

/// A part of a space's rows.
#[derive(Clone, Debug)]
pub struct RowsRequest {
    /// The space.
    pub space: SpaceName,
    /// Rows after this revision.
    pub after: Rev,
    /// Rows, at the most.
    pub limit: usize,
    /// Bytes, about; there is one row at least, if any is left.
    pub max_bytes: usize,
}

/// Rows, and the space that they are of, from one snapshot.
#[derive(Clone, Debug)]
pub struct Batch {
    /// In order of revision.
    pub rows: Vec<Change>,
    /// Whether rows are left after these.
    pub more: bool,
    /// The space.
    pub state: Arc<SpaceState>,
}

/// The newest push of a client that numbers its pushes (PROTOCOL.md §4, `seq`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSeq {
    /// What the client calls itself.
    pub client: ClientName,
    /// The number of its last push.
    pub seq: u64,
    /// When that was.
    pub used_at: Timestamp,
}

impl ClientSeq {
    /// From the columns name, seq and `used_at`.
    pub(super) fn from_stored((name, seq, used_at): (String, i64, i64)) -> Result<Self, StoreError> {
        let client = ClientName::new(&name).map_err(StoreError::internal)?;
        Ok(Self { client, seq: seq.unsigned_abs(), used_at: Timestamp::from_micros(used_at) })
    }
}

/// A copy that was begun and is not finished.
#[derive(Clone, Debug)]
pub struct CopyUnderWay {
    /// `spaces.id`, so that who goes on with a copy that was given up meanwhile writes into no other.
    pub(super) id: i64,
    /// The name that it will have.
    pub space: SpaceName,
    /// The newest revision that it has; everything up to it needs no second copying.
    pub newest: Rev,
}

/// A collection of which the copy is not what the source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionDifference {
    /// Its name.
    pub collection: CollectionName,
    /// What the source says of it.
    pub source: CollectionState,
    /// What was counted in the copy.
    pub copy: CollectionState,
}

/// The history of `source` as rows of `epochs` have it, oldest first: that of its copy must be the same.
pub(super) fn epochs_of(source: &SpaceState) -> Vec<(String, i64)> {
    source.lineage.entries().map(|(epoch, opened_at)| (epoch.to_string(), opened_at.to_stored())).collect()
}

/// Collections counted from their rows.
#[derive(Debug, Default)]
pub(super) struct Recount(BTreeMap<CollectionName, CollectionState>);

impl Recount {
    /// Counts a row: of a live record with the bytes of its data, of a tombstone without.
    pub fn add(&mut self, collection: &CollectionName, rev: Rev, id_bytes: u64, data_bytes: Option<u64>) {
        let tally = match self.0.get_mut(collection) {
            Some(tally) => tally,
            None => self.0.entry(collection.clone()).or_default(),
        };
        tally.head = tally.head.max(rev);
        if let Some(data_bytes) = data_bytes {
            tally.live += 1;
            tally.live_bytes += id_bytes + data_bytes;
            tally.checksum.toggle(rev);
        } else {
            tally.tombstones += 1;
            tally.tombstone_bytes += id_bytes;
        }
    }

    /// Where these are not the collections of `source`.
    pub fn differences(mut self, source: &SpaceState) -> Vec<CollectionDifference> {
        let names: BTreeSet<CollectionName> = self.0.keys().chain(source.collections.keys()).cloned().collect();
        let compare = |collection: CollectionName| {
            let source = source.collections.get(&collection).copied().unwrap_or_default();
            let counted = self.0.remove(&collection).unwrap_or_default();
            // No row tells a horizon, nor a head whose record was purged.
            let copy = CollectionState {
                head: counted.head.max(source.head),
                horizon: source.horizon,
                horizon_at: source.horizon_at,
                ..counted
            };
            (copy != source).then_some(CollectionDifference { collection, source, copy })
        };
        names.into_iter().filter_map(compare).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Epoch, Lineage, QuotaRule, Retention, RetentionPolicy};

    fn rev(value: u64) -> Rev {
        Rev::new(value).unwrap()
    }

    fn name(text: &str) -> CollectionName {
        CollectionName::new(text).unwrap()
    }

    /// Two live records of `a`, a tombstone of `a`, and `gone`, of which all is purged.
    fn source() -> SpaceState {
        let a = CollectionState {
            head: rev(9),
            live: 2,
            tombstones: 1,
            checksum: [rev(2), rev(5)].into_iter().collect(),
            live_bytes: 14,
            tombstone_bytes: 3,
            ..CollectionState::default()
        };
        let gone = CollectionState { head: rev(7), horizon: rev(7), ..CollectionState::default() };
        SpaceState {
            name: SpaceName::new("s").unwrap(),
            lineage: Lineage::new(Epoch::from_random(1)),
            head: rev(9),
            policy: RetentionPolicy::of(Retention::DEFAULT),
            quota: QuotaRule::default(),
            created_at: Timestamp::default(),
            modified_at: Timestamp::default(),
            collections: [(name("a"), a), (name("gone"), gone)].into(),
        }
    }

    fn counted(rows: &[(&str, u64, u64, Option<u64>)]) -> Vec<String> {
        let mut recount = Recount::default();
        for (collection, at, id_bytes, data_bytes) in rows {
            recount.add(&name(collection), rev(*at), *id_bytes, *data_bytes);
        }
        let differences = recount.differences(&source());
        differences.into_iter().map(|difference| difference.collection.to_string()).collect()
    }

    #[test]
    fn rows_are_the_sources_when_nothing_about_them_differs() {
        let (one, two, dead) = (("a", 2, 1, Some(2)), ("a", 5, 1, Some(10)), ("a", 9, 3, None));
        assert_eq!(counted(&[one, two, dead]), [""; 0]);
        for (what, rows) in [
            ("a record is missing", &[one, dead][..]),
            ("a tombstone is missing", &[one, two]),
            ("another revision", &[("a", 3, 1, Some(2)), two, dead]),
            ("other data", &[("a", 2, 1, Some(3)), two, dead]),
            ("a record that is dead", &[("a", 2, 1, None), two, dead]),
            ("a revision beyond the head", &[one, two, ("a", 10, 3, None)]),
        ] {
            assert_eq!(counted(rows), ["a"], "{what}");
        }
        assert_eq!(counted(&[one, two, dead, ("gone", 6, 1, None)]), ["gone"]);
        assert_eq!(counted(&[one, two, dead, ("never", 4, 1, Some(2))]), ["never"]);
    }
}
