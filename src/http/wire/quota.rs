//! How much a space may hold.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::domain::quota::Usage;
use crate::domain::{Allowance, Quota, QuotaChange, QuotaRule, SpaceState};

/// A number, or `none` for no quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a quota is a whole number, \"none\" for no quota, or null for the server's default")]
pub enum Bound {
    /// So many.
    Limited(u64),
    /// No quota.
    Unlimited(NoBound),
}

/// No quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoBound {
    /// No quota.
    None,
}

impl Bound {
    fn of(limit: Option<u64>) -> Self {
        limit.map_or(Self::Unlimited(NoBound::None), Self::Limited)
    }

    /// What a space says; `None` where it says nothing.
    fn said(allowance: Allowance) -> Option<Self> {
        match allowance {
            Allowance::Default => None,
            Allowance::Unlimited => Some(Self::Unlimited(NoBound::None)),
            Allowance::Limited(limit) => Some(Self::Limited(limit)),
        }
    }
}

/// A space's quota.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SpaceQuota {
    /// Live records; null where the server's default counts.
    #[schema(required)]
    pub records: Option<Bound>,
    /// Bytes of the live records' ids and data; null where the server's default counts.
    #[schema(required)]
    pub bytes: Option<Bound>,
    /// Bytes of one record's data; null where the server's default counts.
    #[schema(required)]
    pub record_bytes: Option<Bound>,
    /// What counts, the server's defaults taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EffectiveQuota)]
    pub effective: Option<EffectiveQuota>,
    /// What the space holds.
    pub used: Used,
}

/// The quota that counts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EffectiveQuota {
    /// Live records.
    pub records: Bound,
    /// Bytes of their ids and data.
    pub bytes: Bound,
    /// Bytes of one record's data.
    pub record_bytes: Bound,
}

/// What a space holds.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = SpaceUsage)]
pub struct Used {
    /// Live records.
    pub records: u64,
    /// Bytes of their ids and data.
    pub bytes: u64,
}

impl SpaceQuota {
    /// That of a space, where the server has these defaults; without them, what counts is not known.
    pub fn new(state: &SpaceState, default: Option<Quota>) -> Self {
        let QuotaRule { records, bytes, record_bytes } = state.quota;
        let used = Usage::of(&state.tally(None));
        Self {
            records: Bound::said(records),
            bytes: Bound::said(bytes),
            record_bytes: Bound::said(record_bytes),
            effective: default.map(|default| EffectiveQuota::from(state.quota.under(default))),
            used: Used { records: used.records, bytes: used.bytes },
        }
    }
}

impl From<Quota> for EffectiveQuota {
    fn from(quota: Quota) -> Self {
        let Quota { records, bytes, record_bytes } = quota;
        Self { records: Bound::of(records), bytes: Bound::of(bytes), record_bytes: Bound::of(record_bytes) }
    }
}

/// What a space's quota is to become; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaSettings {
    /// Live records; null for the server's default.
    #[schema(value_type = Option<Bound>)]
    #[serde(default, deserialize_with = "allowance")]
    records: Option<Allowance>,
    /// Bytes of the live records' ids and data; null for the server's default.
    #[schema(value_type = Option<Bound>)]
    #[serde(default, deserialize_with = "allowance")]
    bytes: Option<Allowance>,
    /// Bytes of one record's data; null for the server's default.
    #[schema(value_type = Option<Bound>)]
    #[serde(default, deserialize_with = "allowance")]
    record_bytes: Option<Allowance>,
}

impl From<QuotaSettings> for QuotaChange {
    fn from(settings: QuotaSettings) -> Self {
        let QuotaSettings { records, bytes, record_bytes } = settings;
        Self { records, bytes, record_bytes }
    }
}

fn allowance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Allowance>, D::Error> {
    Ok(Some(match Option::<Bound>::deserialize(deserializer)? {
        None => Allowance::Default,
        Some(Bound::Unlimited(NoBound::None)) => Allowance::Unlimited,
        // What a database counts with.
        Some(Bound::Limited(limit)) if i64::try_from(limit).is_err() => {
            return Err(serde::de::Error::custom(format!("a quota is at most {}", i64::MAX)));
        }
        Some(Bound::Limited(limit)) => Allowance::Limited(limit),
    }))
}

/// The body that makes such a change.
pub fn body(change: QuotaChange) -> String {
    let QuotaChange { records, bytes, record_bytes } = change;
    let members = [("records", records), ("bytes", bytes), ("record_bytes", record_bytes)];
    let said = members.into_iter().filter_map(|(name, allowance)| Some((name.to_owned(), Bound::said(allowance?))));
    serde_json::json!(said.collect::<std::collections::BTreeMap<_, _>>()).to_string()
}
