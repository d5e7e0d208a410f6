//! Retention, what a purge would do, and clients (PROTOCOL.md §7).

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::schema;
use super::space::retention;
use crate::compactor::Compacted;
use crate::domain::client::KnownClient;
use crate::domain::forecast::Forecast;
use crate::domain::purge::Explanation;
use crate::domain::{Retention, RetentionPolicy, Rev};

/// A space's rule for its tombstones.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionRule {
    /// Tombstones older than this are purged.
    #[schema(example = "30d")]
    pub retention: String,
    /// Whether a tombstone that a known client still needs is kept beyond `retention`.
    pub hold_for_clients: bool,
    /// The age at which a hold ends.
    #[schema(example = "180d")]
    pub max_retention: String,
    /// Tombstones that are kept, at the most, whatever their age and whoever needs them; absent for no such bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tombstones: Option<u64>,
}

impl From<RetentionPolicy> for RetentionRule {
    fn from(policy: RetentionPolicy) -> Self {
        Self {
            retention: policy.retention.to_string(),
            hold_for_clients: policy.hold_for_clients,
            max_retention: policy.max_retention.to_string(),
            max_tombstones: policy.max_tombstones,
        }
    }
}

/// What a space's rule is to become; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// Tombstones older than this are purged.
    #[schema(schema_with = schema::duration)]
    #[serde(default, deserialize_with = "retention")]
    pub retention: Option<Retention>,
    /// Whether a tombstone that a known client still needs is kept beyond `retention`.
    #[serde(default)]
    pub hold_for_clients: Option<bool>,
    /// The age at which a hold ends.
    #[schema(schema_with = schema::duration)]
    #[serde(default, deserialize_with = "retention")]
    pub max_retention: Option<Retention>,
    /// Tombstones that are kept, at the most, whatever their age and whoever needs them; null takes the bound away.
    #[schema(value_type = Option<u64>, maximum = 9_223_372_036_854_775_807_u64)]
    #[serde(default, deserialize_with = "bound")]
    #[expect(clippy::option_option, reason = "absent, null and a number say three things")]
    pub max_tombstones: Option<Option<u64>>,
}

/// What to purge now.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompactOrder {
    /// Tombstones older than this; the space's own retention when it is absent.
    #[schema(schema_with = schema::duration)]
    #[serde(default, deserialize_with = "retention")]
    pub older_than: Option<Retention>,
    /// Only say what that would do.
    #[serde(default)]
    pub dry_run: bool,
    /// Also what is held for clients.
    #[serde(default)]
    pub force: bool,
}

/// What a purge did, or would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct Compaction {
    /// Tombstones.
    pub purged: u64,
    /// Bytes of their ids.
    pub bytes: u64,
    /// The space's horizon before.
    pub horizon_before: u64,
    /// The space's horizon after.
    pub horizon: u64,
    /// How many known clients are behind the horizon then, those included that were before.
    pub clients_behind: u64,
}

impl From<Compacted> for Compaction {
    fn from(purged: Compacted) -> Self {
        Self {
            purged: purged.tombstones,
            bytes: purged.bytes,
            horizon_before: purged.horizon_before.get(),
            horizon: purged.horizon.get(),
            clients_behind: purged.clients_behind,
        }
    }
}

/// A bound: a number, or null for none. Absent is neither.
#[expect(clippy::option_option, reason = "absent, null and a number say three things")]
fn bound<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    let bound = Option::<u64>::deserialize(deserializer)?;
    // What a database counts with.
    if bound.is_some_and(|bound| i64::try_from(bound).is_err()) {
        return Err(serde::de::Error::custom(format!("a bound is at most {}", i64::MAX)));
    }
    Ok(Some(bound))
}

/// What purges by several windows would do now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// One a window, in the order asked for.
    pub plan: Vec<PlannedPurge>,
}

impl Plan {
    /// The forecasts for these windows.
    pub fn new(windows: &[Retention], forecasts: &[Forecast]) -> Self {
        let planned = |(window, forecast): (&Retention, &Forecast)| PlannedPurge::new(*window, forecast);
        Self { plan: windows.iter().zip(forecasts).map(planned).collect() }
    }
}

/// What a purge of all tombstones older than a window would do now, under the space's policy.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedPurge {
    /// The window.
    #[schema(example = "7d")]
    pub window: String,
    /// Tombstones that would go.
    pub tombstones: u64,
    /// Bytes of their ids.
    pub bytes: u64,
    /// The space's horizon after it.
    pub horizon: u64,
    /// How many known clients would be behind the horizon of what they ask for, those included that are now.
    pub clients_behind: u64,
    /// Their names, at most 100.
    pub clients: Vec<String>,
    /// Bytes of their repairs, manifest and fetch, uncompressed.
    pub resync_bytes: u64,
    /// Bytes of the records if each of them downloaded everything anew, uncompressed.
    pub download_bytes: u64,
}

/// Names of clients in a plan, at the most (§7).
const NAMES: usize = 100;

impl PlannedPurge {
    fn new(window: Retention, forecast: &Forecast) -> Self {
        Self {
            window: window.to_string(),
            tombstones: forecast.tombstones,
            bytes: forecast.bytes,
            horizon: forecast.horizon.get(),
            clients_behind: forecast.behind.len() as u64,
            clients: forecast.behind.iter().take(NAMES).map(|name| name.as_str().to_owned()).collect(),
            resync_bytes: forecast.repair_bytes,
            download_bytes: forecast.download_bytes,
        }
    }
}

/// A page of the known clients of a space.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ClientList {
    /// In order of name.
    pub clients: Vec<Known>,
    /// What to send as `after` for the next page; null on the last one.
    #[schema(required)]
    pub after: Option<String>,
}

/// Where a client was last seen.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = KnownClient)]
pub struct Known {
    /// Its name, as its header `Strandline-Client` says it.
    pub client: String,
    /// The last cursor that it sent, as `since` or with a push; null when what it sent last was none.
    #[schema(required)]
    pub cursor: Option<String>,
    /// The revision of the last `since` or push cursor; of an initial sync, the head at its start.
    pub rev: u64,
    /// The head less `rev`.
    pub behind: u64,
    /// When.
    #[schema(format = DateTime)]
    pub last_seen: String,
    /// Its `User-Agent`, cut short.
    #[schema(required)]
    pub agent: Option<String>,
    /// The collections that it asked for; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<String>>,
}

impl Known {
    /// A client of a space with this head.
    pub fn new(client: &KnownClient, head: Rev) -> Self {
        let choice = client.place.collections.as_ref();
        Self {
            client: client.name.as_str().to_owned(),
            cursor: client.place.cursor.map(|cursor| cursor.to_string()),
            rev: client.place.rev.get(),
            behind: head.get().saturating_sub(client.place.rev.get()),
            last_seen: client.seen_at.to_string(),
            agent: client.agent.as_deref().map(str::to_owned),
            collections: choice.map(|choice| choice.names().iter().map(ToString::to_string).collect()),
        }
    }
}

/// What holds the horizon of a space where it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RetentionState {
    /// The space's rule.
    #[serde(flatten)]
    pub policy: RetentionRule,
    /// What keeps the oldest tombstone: `retention`, `hold_for_clients`, `forever`; or what is about to let it go:
    /// `max_retention`, `max_tombstones`; or `none` when there are no tombstones.
    pub rule: String,
    /// The same in a sentence.
    pub detail: String,
    /// The head.
    pub head: u64,
    /// The horizon.
    pub horizon: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Those of them that the compactor may purge now.
    pub purgeable: u64,
    /// When the oldest tombstone was written; null when there is none.
    #[schema(required, format = DateTime)]
    pub oldest_tombstone: Option<String>,
    /// The clients for which tombstones are held beyond the window, the one furthest behind first, at most 10.
    pub pinned_by: Vec<Pin>,
}

/// A client for which tombstones are held.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// Its name.
    pub client: String,
    /// The revision that it has.
    pub rev: u64,
    /// When it was last seen.
    #[schema(format = DateTime)]
    pub last_seen: String,
}

impl From<&Explanation> for RetentionState {
    fn from(explained: &Explanation) -> Self {
        Self {
            policy: RetentionRule::from(explained.policy),
            rule: explained.rule.as_str().to_owned(),
            detail: explained.to_string(),
            head: explained.head.get(),
            horizon: explained.horizon.get(),
            tombstones: explained.tombstones,
            purgeable: explained.purgeable,
            oldest_tombstone: explained.oldest.map(|time| time.to_string()),
            pinned_by: explained.pinned_by.iter().map(Pin::from).collect(),
        }
    }
}

impl From<&KnownClient> for Pin {
    fn from(client: &KnownClient) -> Self {
        Self {
            client: client.name.as_str().to_owned(),
            rev: client.place.rev.get(),
            last_seen: client.seen_at.to_string(),
        }
    }
}
