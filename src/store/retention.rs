//! What a store keeps and tells of retention: where clients were seen, what a purge would do, how spaces went.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::client::{AnonymousPulls, KnownClient};
use crate::domain::forecast::Forecast;
use crate::domain::purge::{PurgeBounds, PurgeRule};
use crate::domain::{ClientName, Rev, SpaceName, Timestamp};

/// The part of a store that deals with tombstones and those who still need them (PROTOCOL.md §7).
///
/// Every operation on a space that does not exist answers [`StoreError::NoSpace`], save where it says otherwise.
#[async_trait]
pub trait RetentionStore {
    /// Remembers where clients were seen. What is older than what is known is passed over, and so is what is about a
    /// space that is not there.
    async fn note_clients(&self, sightings: Sightings) -> Result<(), StoreError>;

    /// The known clients of a space in order of name, by bytes, those after `after`, at most `limit`.
    async fn clients(
        &self,
        space: SpaceName,
        after: Option<ClientName>,
        limit: usize,
    ) -> Result<Vec<KnownClient>, StoreError>;

    /// Forgets where a client was seen; whether it was known. Its push numbers stay.
    async fn forget_client(&self, space: SpaceName, client: ClientName) -> Result<bool, StoreError>;

    /// Pulls of a space by clients without a name since `since`, by how far behind they were, ascending.
    async fn anonymous_pulls(&self, space: SpaceName, since: Timestamp) -> Result<Vec<AnonymousPulls>, StoreError>;

    /// Forgets where clients were seen, and counts of pulls, from before `before`; at most `max_rows`. Answers how many
    /// rows went.
    async fn expire_clients(&self, before: Timestamp, max_rows: usize) -> Result<usize, StoreError>;

    /// What a purge by each of these rules would do now, all from one snapshot. What repairs cost takes a look at every
    /// live record, where somebody falls behind.
    async fn forecast(
        &self,
        space: SpaceName,
        rules: Vec<PurgeRule>,
        costs: Costs,
    ) -> Result<Vec<Forecast>, StoreError>;

    /// Up to where a purge by this rule may go now.
    async fn purge_bounds(&self, space: SpaceName, rule: PurgeRule) -> Result<PurgeBounds, StoreError>;

    /// Purges some tombstones within these bounds, the oldest of each collection first, at most `max_rows`, and raises
    /// the horizon with them in one short transaction. `more` says to come again. In another history than that of
    /// the bounds it does nothing.
    async fn purge_step(&self, space: SpaceName, bounds: &PurgeBounds, max_rows: usize) -> Result<Purged, StoreError>;

    /// Gives some pages of free space back to the system, at most `max_pages`, where the store does that itself.
    async fn give_back(&self, max_pages: usize) -> Result<GivenBack, StoreError>;

    /// When the oldest tombstone of a space was written; `None` where there is none.
    async fn oldest_tombstone(&self, space: SpaceName) -> Result<Option<Timestamp>, StoreError>;

    /// Keeps a sample of every space that is not as its last one says, and drops those from before `before`.
    async fn take_samples(&self, now: Timestamp, before: Timestamp) -> Result<(), StoreError>;

    /// The samples of a space, oldest first.
    async fn samples(&self, space: SpaceName) -> Result<Vec<Sample>, StoreError>;
}

/// Where clients were seen since the last batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sightings {
    /// Clients that name themselves; each once a space.
    pub clients: Vec<(SpaceName, KnownClient)>,
    /// Pulls by others, to be added to those that are known. `seen_at` tells the day.
    pub anonymous: Vec<(SpaceName, AnonymousPulls)>,
}

/// Whether a forecast is to say what repairs cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Costs {
    /// It is.
    Told,
    /// They are 0.
    LeftOut,
}

/// What a purge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Tombstones.
    pub tombstones: u64,
    /// Bytes of their ids.
    pub bytes: u64,
    /// The space's horizon before.
    pub horizon_before: Rev,
    /// The space's horizon after.
    pub horizon: Rev,
    /// Whether tombstones that may be purged are left.
    pub more: bool,
    /// How long the step waited for its turn among writes.
    pub waited: Duration,
}

/// Space that was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenBack {
    /// Pages; 0 when there is nothing worth giving back.
    pub pages: u64,
    /// How long the step waited for its turn among writes.
    pub waited: Duration,
}

/// How a space was at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Its head.
    pub head: Rev,
    /// Its horizon.
    pub horizon: Rev,
    /// Live records.
    pub live: u64,
    /// Tombstones.
    pub tombstones: u64,
}

/// A day in microseconds: anonymous pulls are counted by the day.
pub(super) const DAY: i64 = 86_400 * 1_000_000;
