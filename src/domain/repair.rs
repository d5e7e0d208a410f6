//! Repair: compare sets of revisions, then transfer the difference (PROTOCOL.md §6).

use super::{Change, Checksum, Collections, Cursor, Epoch, Rev, Runs, SpaceName};

/// What a manifest is asked for.
#[derive(Clone, Debug)]
pub struct ManifestRequest {
    /// The space.
    pub space: SpaceName,
    /// The collections asked for; `None` for all.
    pub collections: Option<Collections>,
    /// The first revision asked for.
    pub from: Option<Rev>,
    /// The last revision asked for.
    pub to: Option<Rev>,
}

/// The exact set of live revisions, from one snapshot.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The present epoch.
    pub epoch: Epoch,
    /// Where the replica stands once it has this set: under way at the head. `None` for a part of the set.
    pub cursor: Option<Cursor>,
    /// The space's head.
    pub head: Rev,
    /// The horizon of the collections asked for.
    pub horizon: Rev,
    /// How many revisions.
    pub count: u64,
    /// Their checksum.
    pub checksum: Checksum,
    /// The revisions.
    pub runs: Runs,
}

/// A request for the live records that have these revisions.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The space.
    pub space: SpaceName,
    /// The collections asked for; `None` for all.
    pub collections: Option<Collections>,
    /// The revisions.
    pub runs: Runs,
    /// Where to go on: the first revision of this page.
    pub from: Rev,
    /// Records in the page, at the most.
    pub limit: usize,
    /// Bytes in the page, about; it holds one record at least.
    pub max_bytes: usize,
}

/// A page of records in order of revision.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The records. One that was superseded meanwhile is absent.
    pub changes: Vec<Change>,
    /// Where the next page begins; `None` when nothing is left.
    pub next: Option<Rev>,
}
