//! A standby that serves the rows of pulls, and is left alone for a while where it does not: what it is there for is to
//! spare the primary, and nobody is to wait for it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::pool::Pool;
use super::run::{self, Work};
use crate::store::{PoolMeters, StoreError};

/// How long it is left alone after it failed.
const REST: Duration = Duration::from_secs(5);

/// Connections to the standby.
pub(super) struct Standby {
    pool: Pool,
    /// How long an answer may take. The primary is asked then.
    patience: Duration,
    rests_until: Mutex<Option<Instant>>,
}

impl Standby {
    /// A standby that `pool` leads to.
    pub fn new(pool: Pool, patience: Duration) -> Self {
        Self { pool, patience, rests_until: Mutex::default() }
    }

    /// Runs `work` in one snapshot there; `None` where it failed, or did so a moment ago.
    pub async fn read<T: Send + 'static>(&self, runtime: &Handle, work: impl Work<T>) -> Option<T> {
        let rests = || self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        if rests().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let read = timeout(self.patience, run::read(runtime, &self.pool, self.patience, work)).await;
        match read.unwrap_or_else(|_| Err(StoreError::Unavailable("it did not answer in time".into()))) {
            Ok(value) => Some(value),
            // It has not got so far yet.
            Err(StoreError::NoSpace(_)) => None,
            Err(error) => {
                *rests() = Some(Instant::now() + REST);
                log::warn!("the standby does not serve a pull, and the primary does for {REST:?}: {error}");
                None
            }
        }
    }

    /// How its connections are used at present.
    pub fn meters(&self) -> PoolMeters {
        self.pool.meters("standby")
    }

    /// Turns away whoever asks from now on.
    pub fn close(&self) {
        self.pool.close();
    }
}
