//! The compactor: purges what retention lets go, in steps so short that no push waits long behind one (PROTOCOL.md §7).
//!
//! A step is one small transaction of the store and cannot be interrupted; the waits between steps can. Nothing is
//! kept between steps: killed at any point, the next run goes on where the last step ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::{Clock, Retention, SpaceName, Timestamp};
use crate::feed::Feed;
use crate::store::{Purged, Store, StoreError};

/// Tombstones a step. A step of this size holds the writer for a few milliseconds.
const STEP_ROWS: usize = 250;
/// The compactor rests this many times as long as its last step took, so that it uses a part of the writer only.
const REST: u32 = 3;
/// Spaces looked at in one query.
const SPACES_PAGE: usize = 1_000;

/// Purges the tombstones of `space` that are older than `older_than`, or than its own retention where that is `None`;
/// with `dry_run` only says what that would do.
///
/// # Errors
/// Those of the store. Steps that were done stay done: purging again goes on from there.
pub async fn compact(
    store: &dyn Store,
    clock: &dyn Clock,
    space: &SpaceName,
    older_than: Option<Retention>,
    dry_run: bool,
) -> Result<Purged, StoreError> {
    let state = store.space(space).await?;
    let now = clock.now().max(state.modified_at);
    let Some(cut) = older_than.unwrap_or(state.policy.retention).cut(now) else {
        let horizon = state.tally(None).horizon;
        return Ok(Purged { horizon_before: horizon, horizon, ..Purged::default() });
    };
    if dry_run { store.purge_preview(space.clone(), cut).await } else { purge(store, space, cut).await }
}

/// Purges everything of `space` up to `cut`, step by step.
async fn purge(store: &dyn Store, space: &SpaceName, cut: Timestamp) -> Result<Purged, StoreError> {
    let mut total: Option<Purged> = None;
    loop {
        let begun = Instant::now();
        let step = store.purge_step(space.clone(), cut, STEP_ROWS).await?;
        let first = total.get_or_insert(Purged { tombstones: 0, bytes: 0, ..step });
        *first = Purged {
            tombstones: first.tombstones + step.tombstones,
            bytes: first.bytes + step.bytes,
            horizon_before: first.horizon_before,
            horizon: step.horizon,
            more: step.more,
        };
        if !step.more {
            return Ok(*first);
        }
        tokio::time::sleep(begun.elapsed() * REST).await;
    }
}

/// The background worker: every `interval`, until the feed is closed, purges every space by its own retention and
/// removes what deleted spaces left behind.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, feed: Feed, interval: Duration) {
    loop {
        tokio::select! {
            () = feed.closed() => return,
            () = tokio::time::sleep(interval) => {}
        }
        tokio::select! {
            () = feed.closed() => return,
            done = round(&*store, &*clock) => if let Err(error) = done {
                // The next round tries again; what this one did is done.
                log::warn!("compaction stopped short: {error}");
            },
        }
    }
}

async fn round(store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
    if !store.may_compact().await? {
        return Ok(());
    }
    let mut after = None;
    loop {
        let spaces = store.spaces(after.take(), SPACES_PAGE).await?;
        for state in &spaces {
            let Some(cut) = state.policy.retention.cut(clock.now().max(state.modified_at)) else { continue };
            if state.tally(None).tombstones == 0 {
                continue;
            }
            match purge(store, &state.name, cut).await {
                Ok(purged) if purged.tombstones > 0 => {
                    log::info!("{}: purged {} tombstones, horizon {}", state.name, purged.tombstones, purged.horizon);
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
    loop {
        let begun = Instant::now();
        if store.sweep_step(STEP_ROWS).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(begun.elapsed() * REST).await;
    }
}
