//! Spaces (PROTOCOL.md §2).

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::schema;
use crate::domain::{Collections, Cursor, Retention, SpaceState};

/// A space: "what revision should I have?"
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
pub struct Space {
    /// Its name.
    #[schema(example = "demo")]
    pub space: String,
    /// Names its unbroken history.
    #[schema(example = "k3f9q2")]
    pub epoch: String,
    /// Its newest revision; 0 when nothing was ever written.
    pub head: u64,
    /// The revision of the newest tombstone ever purged; 0 when none was.
    pub horizon: u64,
    /// The whole cursor of the head.
    #[schema(example = "k3f9q2.2151")]
    pub cursor: String,
    /// Live records.
    pub records: u64,
    /// Deleted records that are still remembered.
    pub tombstones: u64,
    /// The checksum of the live records' revisions.
    #[schema(example = "9f86d081884c7d65")]
    pub checksum: String,
    /// How long tombstones are remembered.
    #[schema(example = "30d")]
    pub retention: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When its newest revision was written.
    #[schema(format = DateTime)]
    pub modified_at: String,
}

impl Space {
    /// A space, or the choice of its collections that a caller may see: counts, horizon and cursor are then of these (§10).
    pub fn new(state: &SpaceState, choice: Option<&Collections>) -> Self {
        let tally = state.tally(choice);
        Self {
            space: state.name.to_string(),
            epoch: state.epoch().to_string(),
            head: state.head.get(),
            horizon: tally.horizon.get(),
            cursor: Cursor::whole(state.epoch(), state.head, choice.map(Collections::scope)).to_string(),
            records: tally.live,
            tombstones: tally.tombstones,
            checksum: tally.checksum.to_string(),
            retention: state.policy.retention.to_string(),
            created_at: state.created_at.to_string(),
            modified_at: state.modified_at.to_string(),
        }
    }
}

/// A space's entity tag, without its quotes: everything in the answer that can change is in it.
pub fn tag(state: &SpaceState, choice: Option<&Collections>) -> String {
    let tally = state.tally(choice);
    let (epoch, head, retention) = (state.epoch(), state.head, state.policy.retention);
    // Of a narrowed answer the checksum says which part it is of.
    let part = choice.map(|_| format!(".{}", tally.checksum)).unwrap_or_default();
    format!("{epoch}.{head}.{}.{}.{retention}{part}", tally.horizon, tally.tombstones)
}

/// A page of the list of spaces.
#[derive(Debug, Serialize, ToSchema)]
pub struct SpaceList {
    /// In order of name.
    pub spaces: Vec<Space>,
    /// What to send as `after` for the next page; null on the last one.
    #[schema(required)]
    pub after: Option<String>,
}

/// What a space is to be configured as.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceSettings {
    /// How long tombstones are remembered: a whole number and one of s, m, h, d and w, or `forever`.
    #[schema(schema_with = schema::duration)]
    #[serde(default, deserialize_with = "retention")]
    pub retention: Option<Retention>,
}

/// Reads a duration. An absent one is none; null is not a duration.
///
/// # Errors
/// That the text is none.
pub fn retention<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Retention>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(serde::de::Error::custom)
}
