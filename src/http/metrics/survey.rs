//! The last look at the whole database. However often Prometheus asks, the database is looked at now and then only, by
//! one at a time, and never for more than a hundredth of its time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
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
    looks: Mutex<Looks>,
}

#[derive(Debug, Default)]
struct Looks {
    last: Option<Look>,
    /// One that was begun, and when. It is waited for again, and never a second one begun beside it.
    under_way: Option<(Instant, JoinHandle<Result<Survey, StoreError>>)>,
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
        Self { age, looks: Mutex::default() }
    }

    /// What a look found that is not too old; `None` where the database did not answer.
    pub async fn latest(&self, store: &Arc<dyn Store>) -> Option<Arc<Survey>> {
        let mut looks = self.looks.lock().await;
        if let Some(look) = &looks.last
            && Instant::now() < look.until
        {
            return look.found.clone();
        }
        let (begun, look) = looks.under_way.get_or_insert_with(|| {
            let store = Arc::clone(store);
            (Instant::now(), tokio::spawn(async move { store.survey(SPACES).await }))
        });
        let begun = *begun;
        let found = match timeout(PATIENCE, look).await {
            Ok(done) => {
                looks.under_way = None;
                done.unwrap_or_else(|error| Err(StoreError::internal(error)))
            }
            Err(_) => Err(StoreError::Unavailable(format!("it was not looked through in {PATIENCE:?}"))),
        };
        let found = found.map(Arc::new).inspect_err(|error| log::warn!("no metrics of the spaces: {error}")).ok();
        // Whether it is back is to be known soon.
        let rest = if found.is_some() { self.age.max(begun.elapsed() * REST) } else { self.age };
        looks.last = Some(Look { found: found.clone(), until: Instant::now() + rest });
        found
    }
}
