//! A thread that keeps an eye on the file: it notices commits of other programs and wakes those who wait, and it keeps
//! the heads beside the database.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::SqliteConnection;

use super::connection::{open_reader, snapshot};
use super::heads::Heads;
use super::restore;
use super::states::States;
use crate::feed::Feed;
use crate::store::StoreError;

/// How often it looks for commits: what another program wrote reaches long polls and event streams within this time.
const LOOK: Duration = Duration::from_millis(50);
/// How often it writes the heads at the most.
const WRITE: Duration = Duration::from_millis(500);

/// The thread's handle.
pub(super) struct Watcher {
    stop: Mutex<Option<mpsc::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watcher {
    /// Starts the thread.
    pub fn start(path: &Path, heads: Heads, states: Arc<States>, feed: Feed) -> Result<Self, StoreError> {
        let (stop, stopped) = mpsc::channel();
        let mut thread = WatcherThread { path: path.to_owned(), connection: open_reader(path)?, heads, states, feed };
        thread.write_heads();
        let thread = std::thread::Builder::new().name("strandline-watcher".into()).spawn(move || thread.run(&stopped));
        let thread = thread.map_err(StoreError::internal)?;
        Ok(Self { stop: Mutex::new(Some(stop)), thread: Mutex::new(Some(thread)) })
    }

    /// Writes the heads once more and ends the thread.
    pub fn close(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the watcher thread panicked");
        }
    }
}

struct WatcherThread {
    path: PathBuf,
    connection: SqliteConnection,
    heads: Heads,
    states: Arc<States>,
    feed: Feed,
}

impl WatcherThread {
    fn run(&mut self, stopped: &mpsc::Receiver<()>) {
        let (mut seen, mut own) = (self.states.header(), self.states.own_commit());
        let (mut written, mut dirty) = (Instant::now(), false);
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK) {
            let (now, own_now) = (self.states.header(), self.states.own_commit());
            if now.is_none() || now != seen {
                dirty = true;
                if now == own_now {
                    // The writer has woken those who wait for its own commits.
                    seen = now;
                } else if own_now == own {
                    self.feed.wake_all();
                    seen = now;
                }
                // Else both wrote since the last look, or a commit is just being noted: the next look tells.
            }
            own = own_now;
            if dirty && written.elapsed() >= WRITE {
                self.write_heads();
                (written, dirty) = (Instant::now(), false);
            }
        }
        self.write_heads();
        self.states.close();
    }

    fn write_heads(&mut self) {
        let written = snapshot(&mut self.connection, restore::seen).and_then(|now| {
            self.heads.update(&now);
            self.heads.store(&self.path).map_err(StoreError::internal)
        });
        if let Err(error) = written {
            log::warn!("the heads beside {} were not written: {error}", self.path.display());
        }
    }
}
