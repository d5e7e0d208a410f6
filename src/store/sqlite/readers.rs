//! The read connections: as many reads run at once, further ones wait without holding a thread.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::SqliteConnection;
use tokio::sync::Semaphore;

use super::connection::{open_reader, snapshot};
use crate::store::StoreError;

/// A small pool. Reads are short, so that who waits does not wait long.
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
}

impl Readers {
    /// Opens `count` connections.
    pub fn open(path: &Path, count: u32) -> Result<Self, StoreError> {
        let idle = (0..count.max(1)).map(|_| open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { permits: Arc::new(Semaphore::new(idle.len())), idle: Arc::new(Mutex::new(idle)) })
    }

    /// Runs `work` in a snapshot, on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
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

    /// Turns away reads from now on, and closes what is idle.
    pub fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is being closed".into())
}
