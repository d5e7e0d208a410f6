//! The last look at the whole database. However often Prometheus asks, the database is looked at now and then only, by
//! one at a time, and never for more than a hundredth of its time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::store::{Store, StoreError, Survey};

/// Spaces that `/metrics` tells apart, those with the most tombstones: every one costs some lines a scrape.
pub(super) const SPACES: usize = 100;
/// How long a look may take, so that the rest is told in time: Prometheus waits ten seconds by default.
const PATIENCE: Duration = Duration::from_secs(3);
/// The database is left alone for so many times as long as it was looked at.
const REST: u32 = 100;

/// Who looks.
#[derive(Debug)]
pub(super) struct Surveyor {
    age: Duration,
    last: Mutex<Option<Look>>,
}

#[derive(Debug)]
struct Look {
    /// What it found; nothing where the database did not answer.
    found: Option<Arc<Survey>>,
    /// Until when it is good enough.
    until: Instant,
}

impl Surveyor {
    /// One whose looks are good for `age`.
    pub fn new(age: Duration) -> Self {
        Self { age, last: Mutex::default() }
    }

    /// What a look found that is not too old; `None` where the database did not answer.
    pub async fn latest(&self, store: &Arc<dyn Store>) -> Option<Arc<Survey>> {
        let mut last = self.last.lock().await;
        if let Some(look) = &*last
            && Instant::now() < look.until
        {
            return look.found.clone();
        }
        let begun = Instant::now();
        // On its own: it goes on to the end when nobody waits any more.
        let (store, (answer, answered)) = (Arc::clone(store), tokio::sync::oneshot::channel());
        tokio::spawn(async move {
            // Nobody may wait any more.
            let _ = answer.send(store.survey(SPACES).await);
        });
        let found = match timeout(PATIENCE, answered).await {
            Ok(answered) => answered.unwrap_or_else(|error| Err(StoreError::internal(error))),
            Err(_) => Err(StoreError::Unavailable(format!("it was not looked through in {PATIENCE:?}"))),
        };
        let found = found.map(Arc::new).inspect_err(|error| log::warn!("no metrics of the spaces: {error}")).ok();
        // Whether it is back is to be known soon.
        let rest = if found.is_some() { self.age.max(begun.elapsed() * REST) } else { self.age };
        *last = Some(Look { found: found.clone(), until: Instant::now() + rest });
        found
    }
}
