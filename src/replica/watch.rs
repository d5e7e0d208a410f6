//! Who watches a replica is told which records it shows otherwise from now on.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::apply::Key;
use crate::domain::{CollectionName, RecordId};

/// Changes that may wait for a watcher, before all that come are one [`LocalChange::Many`].
const WAITING: usize = 1024;

/// Something that a replica shows otherwise than before, through this handle or a clone of it: by an edit of the user or by
/// a sync. What it is now, [`Replica::get`](super::Replica::get) tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalChange {
    /// This record.
    Record(CollectionName, RecordId),
    /// More records than there was room for: read anew what is shown.
    Many,
}

/// The changes of a replica as they come, from when it was made. An iterator that waits, and ends with the replica.
pub struct Watch {
    changes: Receiver<LocalChange>,
    missed: Arc<Mutex<bool>>,
}

impl Watch {
    /// The next change; `None` when none came in time.
    pub fn next_within(&mut self, patience: Duration) -> Option<LocalChange> {
        if self.has_missed() {
            return Some(LocalChange::Many);
        }
        self.changes.recv_timeout(patience).ok()
    }

    /// Whether changes were left out since the last call. Those that still wait are among what is to be read anew.
    fn has_missed(&mut self) -> bool {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if *missed {
            while self.changes.try_recv().is_ok() {}
        }
        std::mem::take(&mut *missed)
    }
}

impl Iterator for Watch {
    type Item = LocalChange;

    fn next(&mut self) -> Option<LocalChange> {
        if self.has_missed() {
            return Some(LocalChange::Many);
        }
        self.changes.recv().ok()
    }
}

/// Those who watch.
#[derive(Default)]
pub(super) struct Watchers(Mutex<Vec<Watcher>>);

struct Watcher {
    changes: SyncSender<LocalChange>,
    missed: Arc<Mutex<bool>>,
}

impl Watchers {
    pub fn watch(&self) -> Watch {
        let (sender, changes) = sync_channel(WAITING);
        let missed = Arc::new(Mutex::new(false));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Watcher { changes: sender, missed: Arc::clone(&missed) });
        Watch { changes, missed }
    }

    /// Tells all of these records. Never waits for a watcher.
    pub fn tell(&self, keys: &[Key]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|Watcher { changes, missed }| {
            for (collection, id) in keys {
                let Ok(collection) = CollectionName::new(collection) else { continue };
                let change = LocalChange::Record(collection, RecordId::from_stored(id.clone()));
                // Between the two, nobody may empty the queue and then overlook what was missed.
                let mut missed = missed.lock().unwrap_or_else(PoisonError::into_inner);
                match changes.try_send(change) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => *missed = true,
                    Err(TrySendError::Disconnected(_)) => return false,
                }
            }
            true
        });
    }
}
