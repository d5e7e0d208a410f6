//! How a space is and how it went, in numbers (PROTOCOL.md §7).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::client::{AnonymousPulls, LagBucket};
use crate::domain::{CollectionName, Retention, Tally};
use crate::stats::SpaceStats;
use crate::store::Sample;

/// How a space is, and how it went.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// Its name.
    pub space: String,
    /// The whole of it.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Its collections, in order of name.
    pub collections: Vec<CollectionStats>,
    /// When the oldest tombstone was written; null when there is none.
    #[schema(required, format = DateTime)]
    pub oldest_tombstone: Option<String>,
    /// How many tombstones are at least as old as each of these, the youngest first.
    pub tombstone_ages: Vec<TombstoneAge>,
    /// How it was at times of the last 48 hours at which it had changed, the oldest first, and now.
    pub history: Vec<SpaceSample>,
    /// The known clients, by how far behind they are.
    pub clients: Vec<ClientLag>,
    /// Pulls of the last 30 days by clients without a name, by how far behind they were.
    pub anonymous: Vec<Anonymous>,
}

impl From<&SpaceStats> for Stats {
    fn from(collected: &SpaceStats) -> Self {
        let state = &collected.state;
        let collection =
            |(name, one)| CollectionStats { collection: CollectionName::to_string(name), sizes: Sizes::from(one) };
        let age = |(age, tombstones): &(Retention, u64)| TombstoneAge {
            older_than: age.to_string(),
            tombstones: *tombstones,
        };
        Self {
            space: state.name.to_string(),
            sizes: Sizes { head: state.head.get(), ..Sizes::from(&state.tally(None)) },
            collections: state.collections.iter().map(collection).collect(),
            oldest_tombstone: collected.oldest.map(|time| time.to_string()),
            tombstone_ages: collected.ages.iter().map(age).collect(),
            history: collected.samples.iter().map(SpaceSample::from).chain([SpaceSample::present(collected)]).collect(),
            clients: collected.lags.iter().map(|(bucket, clients)| ClientLag::new(*bucket, *clients)).collect(),
            anonymous: collected.anonymous.iter().map(Anonymous::from).collect(),
        }
    }
}

/// Numbers of a space or a collection.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Sizes {
    /// The newest revision.
    pub head: u64,
    /// The newest tombstone ever purged.
    pub horizon: u64,
    /// Live records.
    pub records: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Bytes of the live records' ids and data.
    pub record_bytes: u64,
    /// Bytes of the tombstones' ids.
    pub tombstone_bytes: u64,
}

impl From<&Tally> for Sizes {
    fn from(tally: &Tally) -> Self {
        Self {
            head: tally.head.get(),
            horizon: tally.horizon.get(),
            records: tally.live,
            tombstones: tally.tombstones,
            record_bytes: tally.live_bytes,
            tombstone_bytes: tally.tombstone_bytes,
        }
    }
}

/// A collection's numbers.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CollectionStats {
    /// Its name.
    pub collection: String,
    /// Them.
    #[serde(flatten)]
    pub sizes: Sizes,
}

/// How many tombstones are that old.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TombstoneAge {
    /// An age.
    #[schema(example = "1h")]
    pub older_than: String,
    /// Tombstones of that age or older.
    pub tombstones: u64,
}

/// How a space was.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SpaceSample {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Its head.
    pub head: u64,
    /// Its horizon.
    pub horizon: u64,
    /// Live records.
    pub records: u64,
    /// Tombstones.
    pub tombstones: u64,
}

impl SpaceSample {
    /// How the space is now.
    fn present(stats: &SpaceStats) -> Self {
        let tally = stats.state.tally(None);
        Self {
            at: stats.at.to_string(),
            head: stats.state.head.get(),
            horizon: tally.horizon.get(),
            records: tally.live,
            tombstones: tally.tombstones,
        }
    }
}

impl From<&Sample> for SpaceSample {
    fn from(sample: &Sample) -> Self {
        Self {
            at: sample.at.to_string(),
            head: sample.head.get(),
            horizon: sample.horizon.get(),
            records: sample.live,
            tombstones: sample.tombstones,
        }
    }
}

/// Known clients that are so far behind.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ClientLag {
    /// Revisions behind the head, at the least.
    pub behind_from: u64,
    /// At the most.
    pub behind_to: u64,
    /// How many clients.
    pub clients: u64,
}

impl ClientLag {
    fn new(bucket: LagBucket, clients: u64) -> Self {
        let (behind_from, behind_to) = bucket.range();
        Self { behind_from, behind_to, clients }
    }
}

/// Pulls by clients without a name that were so far behind.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Anonymous {
    /// Revisions behind the head, at the least.
    pub behind_from: u64,
    /// At the most.
    pub behind_to: u64,
    /// How many pulls.
    pub pulls: u64,
    /// When the last one was.
    #[schema(format = DateTime)]
    pub last_seen: String,
}

impl From<&AnonymousPulls> for Anonymous {
    fn from(pulls: &AnonymousPulls) -> Self {
        let (behind_from, behind_to) = pulls.bucket.range();
        Self { behind_from, behind_to, pulls: pulls.pulls, last_seen: pulls.seen_at.to_string() }
    }
}
