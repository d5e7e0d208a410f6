//! The compactor: purges what retention lets go, in steps so short that no push waits long behind one (PROTOCOL.md §7).
//!
//! A step is one small transaction of the store and cannot be interrupted; the waits between steps can. Nothing is
//! kept between steps: killed at any point, the next run goes on where the last step ended.

mod pace;
mod progress;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit;
use crate::domain::purge::{self, Explanation, PurgeRule};
use crate::domain::{Clock, Retention, Rev, SpaceName, Timestamp};
use crate::feed::Feed;
use crate::store::{Costs, Purged, Store, StoreError};
use pace::Pace;
use progress::Due;

pub use progress::{Account, Progress};

/// Pages of free space given back in one step.
const STEP_PAGES: usize = 64;
/// How long bounds are used before they are looked for anew: a client may have been seen meanwhile.
const BOUNDS_LAST: Duration = Duration::from_secs(1);
/// Spaces looked at in one query.
const SPACES_PAGE: usize = 1_000;

/// What to purge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    /// Tombstones older than this; `None` for the space's own retention.
    pub older_than: Option<Retention>,
    /// Also those that are held for clients.
    pub force: bool,
    /// Only say what that would do.
    pub dry_run: bool,
}

/// What a purge did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Tombstones.
    pub tombstones: u64,
    /// Bytes of their ids.
    pub bytes: u64,
    /// The space's horizon before.
    pub horizon_before: Rev,
    /// The space's horizon after.
    pub horizon: Rev,
    /// Known clients that are behind after it.
    pub clients_behind: u64,
}

/// Purges tombstones of `space` now, or says what that would do.
///
/// # Errors
/// Those of the store. Steps that were done stay done: purging again goes on from there.
pub async fn compact(
    store: &dyn Store,
    clock: &dyn Clock,
    space: &SpaceName,
    order: Order,
    progress: &Progress,
) -> Result<Compacted, StoreError> {
    let state = store.space(space).await?;
    let rule = PurgeRule::of(state.policy, order.older_than, order.force, clock.now().max(state.modified_at));
    if order.dry_run {
        let forecast = store.forecast(space.clone(), vec![rule], Costs::LeftOut).await?.pop().unwrap_or_default();
        return Ok(Compacted {
            tombstones: forecast.tombstones,
            bytes: forecast.bytes,
            horizon_before: forecast.horizon_before,
            horizon: forecast.horizon,
            clients_behind: forecast.behind.len() as u64,
        });
    }
    let purged = purge(store, space, rule, progress).await?;
    let clients = store.clients(space.clone(), None, usize::MAX).await?;
    let state = store.space(space).await?;
    Ok(Compacted {
        tombstones: purged.tombstones,
        bytes: purged.bytes,
        horizon_before: purged.horizon_before,
        horizon: purged.horizon,
        clients_behind: purge::behind(&state, &clients) as u64,
    })
}

/// Says what holds the horizon of `space` where it is.
///
/// # Errors
/// Those of the store.
pub async fn explain(store: &dyn Store, clock: &dyn Clock, space: &SpaceName) -> Result<Explanation, StoreError> {
    let state = store.space(space).await?;
    let rule = PurgeRule::of(state.policy, None, false, clock.now().max(state.modified_at));
    let forecast = store.forecast(space.clone(), vec![rule], Costs::LeftOut).await?.pop().unwrap_or_default();
    let unheld = store.purge_bounds(space.clone(), PurgeRule { hold: None, ..rule }).await?;
    let oldest = store.oldest_tombstone(space.clone()).await?;
    let clients = store.clients(space.clone(), None, usize::MAX).await?;
    Ok(Explanation::new(&state, &rule, &unheld, &forecast, oldest, &clients))
}

/// Purges everything of `space` that `rule` lets go, step by step.
async fn purge(
    store: &dyn Store,
    space: &SpaceName,
    rule: PurgeRule,
    progress: &Progress,
) -> Result<Purged, StoreError> {
    let mut total: Option<Purged> = None;
    let mut due: Option<Due> = None;
    let mut pace = Pace::default();
    let mut bounds = store.purge_bounds(space.clone(), rule).await?;
    loop {
        let found = Instant::now();
        loop {
            let begun = Instant::now();
            let step = store.purge_step(space.clone(), &bounds, pace.rows()).await?;
            let took = begun.elapsed();
            progress.purged(&step, took);
            match &mut due {
                Some(due) => due.less(step.tombstones),
                None if step.more => due = Some(progress.due(left(store, space, rule).await)),
                None => {}
            }
            let first = total.get_or_insert(Purged { tombstones: 0, bytes: 0, ..step });
            *first = Purged {
                tombstones: first.tombstones + step.tombstones,
                bytes: first.bytes + step.bytes,
                horizon_before: first.horizon_before,
                horizon: step.horizon,
                more: step.more,
                waited: step.waited,
            };
            if !step.more {
                return Ok(*first);
            }
            progress.rest(pace.after(took, step.waited)).await;
            if found.elapsed() > BOUNDS_LAST {
                break;
            }
        }
        // Never further than at first: whoever has fallen behind by this very purge holds nothing any more, and what was
        // foretold is what goes.
        bounds = store.purge_bounds(space.clone(), rule).await?.within(&bounds);
    }
}

/// How many tombstones `rule` lets go, for people to look at. Where that cannot be found out, the purge goes on without.
async fn left(store: &dyn Store, space: &SpaceName, rule: PurgeRule) -> u64 {
    let forecast = store.forecast(space.clone(), vec![rule], Costs::LeftOut).await;
    forecast.ok().and_then(|forecast| forecast.first().map(|one| one.tombstones)).unwrap_or(0)
}

/// The background worker: every `interval`, until the feed is closed, purges every space by its own policy, forgets clients
/// that were not seen for `client_expiry`, and removes what deleted spaces left behind.
pub async fn run(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    feed: Feed,
    interval: Duration,
    client_expiry: Retention,
    progress: Arc<Progress>,
) {
    loop {
        tokio::select! {
            () = feed.closed() => return,
            () = tokio::time::sleep(interval) => {}
        }
        tokio::select! {
            () = feed.closed() => return,
            done = round(&*store, &*clock, client_expiry, &progress) => if let Err(error) = done {
                progress.round_failed();
                // The next round tries again; what this one did is done.
                log::warn!("compaction stopped short: {error}");
            },
        }
    }
}

async fn round(
    store: &dyn Store,
    clock: &dyn Clock,
    client_expiry: Retention,
    progress: &Progress,
) -> Result<(), StoreError> {
    let leads = store.may_compact().await;
    progress.leads(matches!(leads, Ok(true)));
    if !leads? {
        return Ok(());
    }
    let mut after = None;
    loop {
        let spaces = store.spaces("", after.take(), SPACES_PAGE).await?;
        for state in &spaces {
            let rule = PurgeRule::of(state.policy, None, false, clock.now().max(state.modified_at));
            let tombstones = state.tally(None).tombstones;
            if tombstones == 0 {
                continue;
            }
            // One look: mostly there is nothing to do.
            if rule.keep.is_none_or(|keep| tombstones <= keep) {
                let oldest = match store.oldest_tombstone(state.name.clone()).await {
                    Err(StoreError::NoSpace(_)) => None,
                    oldest => oldest?,
                };
                if oldest.zip(rule.cut).is_none_or(|(oldest, cut)| oldest > cut) {
                    continue;
                }
            }
            match purge(store, &state.name, rule, progress).await {
                Ok(purged) if purged.tombstones > 0 => {
                    audit::write(&audit::Line {
                        event: "space.compact",
                        outcome: "done",
                        who: Some("compactor"),
                        space: Some(state.name.as_str()),
                        purged: Some(purged.tombstones),
                        horizon: Some(purged.horizon.get()),
                        ..audit::Line::default()
                    });
                }
                // Deleted meanwhile: nothing left to do there.
                Ok(_) | Err(StoreError::NoSpace(_)) => {}
                Err(error) => return Err(error),
            }
        }
        match spaces.last() {
            Some(last) if spaces.len() == SPACES_PAGE => after = Some(last.name.clone()),
            _ => break,
        }
    }
    sweep(store, clock.now(), client_expiry, progress).await?;
    give_back(store, progress).await?;
    progress.round_ended(clock.now());
    Ok(())
}

/// Removes what deleted spaces left behind, what is known of clients that were not seen for longer than `client_expiry`, and
/// sessions of the page that have expired.
async fn sweep(
    store: &dyn Store,
    now: Timestamp,
    client_expiry: Retention,
    progress: &Progress,
) -> Result<(), StoreError> {
    let mut pace = Pace::default();
    let expired = client_expiry.cut(now);
    loop {
        let begun = Instant::now();
        let forgotten = match expired {
            Some(before) => store.expire_clients(before, pace.rows()).await?,
            None => 0,
        };
        let ended = store.expire_sessions(now, pace.rows()).await?;
        let swept = ended + store.sweep_step(pace.rows()).await?;
        if forgotten + swept == 0 {
            return Ok(());
        }
        let took = begun.elapsed();
        progress.swept(swept, took);
        progress.rest(pace.after(took, Duration::ZERO)).await;
    }
}

/// Gives the space of what was removed back to the system.
async fn give_back(store: &dyn Store, progress: &Progress) -> Result<(), StoreError> {
    loop {
        let begun = Instant::now();
        let given = store.give_back(STEP_PAGES).await?;
        if given.pages == 0 {
            return Ok(());
        }
        let took = begun.elapsed();
        progress.gave_back(given, took);
        progress.rest(Pace::default().after(took, given.waited)).await;
    }
}

/// How long samples are kept.
const SAMPLES_KEPT: Duration = Duration::from_secs(48 * 3600);

/// Keeps a sample of every space that changed, every `interval`, until the feed is closed.
pub async fn sample(store: Arc<dyn Store>, clock: Arc<dyn Clock>, feed: Feed, interval: Duration) {
    loop {
        tokio::select! {
            () = feed.closed() => return,
            () = tokio::time::sleep(interval) => {}
        }
        let now = clock.now();
        let taken = async {
            if store.may_compact().await? { store.take_samples(now, now.minus(SAMPLES_KEPT)).await } else { Ok(()) }
        };
        if let Err(error) = taken.await {
            log::warn!("no samples were taken: {error}");
        }
    }
}
