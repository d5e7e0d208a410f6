//! The read connections: as many reads run at once, further ones wait without holding a thread.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use diesel::SqliteConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{open_reader, snapshot};
use crate::store::{PoolMeters, StoreError};

/// A small pool. Reads are short, so that who waits does not wait long.
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
    limit: usize,
    waiting: AtomicU64,
}

impl Readers {
    /// Opens `count` connections.
    pub fn open(path: &Path, count: u32) -> Result<Self, StoreError> {
        let idle = (0..count.max(1)).map(|_| open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        let (limit, waiting) = (idle.len(), AtomicU64::default());
        Ok(Self { permits: Arc::new(Semaphore::new(limit)), idle: Arc::new(Mutex::new(idle)), limit, waiting })
    }

    /// Runs `work` in a snapshot, on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.permit().await?;
        let idle = Arc::clone(&self.idle);
        let read = tokio::task::spawn_blocking(move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            // Each permit stands for one connection, unless a read panicked and took its own along.
            let mut connection = taken.ok_or_else(closed)?;
            let result = snapshot(&mut connection, work);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            result
        });
        read.await.map_err(StoreError::internal)?
    }

    /// The right to a connection. Only who has to wait for one is counted.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::enter(&self.waiting);
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())
    }

    /// How they are used at present.
    pub fn meters(&self) -> PoolMeters {
        let idle = self.permits.available_permits().min(self.limit);
        PoolMeters {
            name: "read",
            limit: self.limit as u64,
            in_use: (self.limit - idle) as u64,
            idle: idle as u64,
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// Turns away reads from now on, and closes what is idle.
    pub fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Somebody who waits, until it is dropped: also where he goes away.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is being closed".into())
}
