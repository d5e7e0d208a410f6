//! How a space is, in numbers, and what purges would do to it: what HTTP and the command line both tell (PROTOCOL.md §7).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::client::{AnonymousPulls, LagBucket};
use crate::domain::forecast::Forecast;
use crate::domain::purge::PurgeRule;
use crate::domain::retention::Unit;
use crate::domain::{Clock, Retention, SpaceName, SpaceState, Timestamp};
use crate::store::{Costs, Sample, Store, StoreError};

/// Windows in a plan, at the most.
pub const MOST_WINDOWS: usize = 100;

/// Ages by which tombstones are counted.
const AGES: [(u64, Unit); 18] = [
    (0, Unit::Second),
    (1, Unit::Hour),
    (3, Unit::Hour),
    (6, Unit::Hour),
    (12, Unit::Hour),
    (1, Unit::Day),
    (2, Unit::Day),
    (3, Unit::Day),
    (5, Unit::Day),
    (7, Unit::Day),
    (14, Unit::Day),
    (21, Unit::Day),
    (30, Unit::Day),
    (45, Unit::Day),
    (60, Unit::Day),
    (90, Unit::Day),
    (180, Unit::Day),
    (365, Unit::Day),
];
/// Days of anonymous pulls that are told.
const DAYS: Retention = Retention::For { count: 30, unit: Unit::Day };

/// A space's numbers.
#[derive(Clone, Debug)]
pub struct SpaceStats {
    /// The space.
    pub state: Arc<SpaceState>,
    /// When that was.
    pub at: Timestamp,
    /// When its oldest tombstone was written; `None` where there is none.
    pub oldest: Option<Timestamp>,
    /// How many tombstones are at least so old, the youngest age first.
    pub ages: Vec<(Retention, u64)>,
    /// How it went over the last hours, oldest first.
    pub samples: Vec<Sample>,
    /// How many known clients are so far behind, ascending.
    pub lags: BTreeMap<LagBucket, u64>,
    /// Pulls of the last 30 days by clients without a name, by how far behind they were, ascending.
    pub anonymous: Vec<AnonymousPulls>,
}

/// Collects the numbers of a space.
///
/// # Errors
/// Those of the store.
pub async fn collect(store: &dyn Store, clock: &dyn Clock, space: &SpaceName) -> Result<SpaceStats, StoreError> {
    let state = store.space(space).await?;
    let at = now(clock, &state);
    let ages = AGES.map(|(count, unit)| Retention::For { count, unit });
    // What a purge by age alone would take is what is that old.
    let older = ages.map(|age| PurgeRule { cut: age.cut(at), hold: None, keep: None });
    let forecasts = store.forecast(space.clone(), older.into(), Costs::LeftOut).await?;
    let ages = ages.into_iter().zip(forecasts.iter().map(|forecast| forecast.tombstones)).collect();
    let oldest = store.oldest_tombstone(space.clone()).await?;
    let samples = store.samples(space.clone()).await?;
    let mut lags = BTreeMap::new();
    for client in store.clients(space.clone(), None, usize::MAX).await? {
        *lags.entry(LagBucket::of(client.place.rev, state.head)).or_default() += 1;
    }
    let anonymous = store.anonymous_pulls(space.clone(), DAYS.cut(at).unwrap_or_default()).await?;
    Ok(SpaceStats { state, at, oldest, ages, samples, lags, anonymous })
}

/// What purges by each of these windows would do now, under the space's policy.
///
/// # Errors
/// Those of the store.
pub async fn plan(
    store: &dyn Store,
    clock: &dyn Clock,
    space: &SpaceName,
    windows: &[Retention],
) -> Result<Vec<Forecast>, StoreError> {
    let state = store.space(space).await?;
    let now = now(clock, &state);
    let rules = windows.iter().map(|window| PurgeRule::of(state.policy, Some(*window), false, now)).collect();
    store.forecast(space.clone(), rules, Costs::Told).await
}

/// Times in a space never run backwards, whatever the clock does.
fn now(clock: &dyn Clock, state: &SpaceState) -> Timestamp {
    clock.now().max(state.modified_at)
}
