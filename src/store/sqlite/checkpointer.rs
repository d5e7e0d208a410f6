//! A thread that moves what was committed from the WAL into the database file, so that commits need not.
//!
//! SQLite by itself does this in the commit that makes the WAL too long, and everyone in its group waits. Here most of it
//! is done beside the writer, by passive checkpoints that wait for nobody and hold up nobody. While writes go on these
//! never come to the WAL's very end; so the writer keeps a limit of its own, finds little left to do there, and begins the
//! WAL anew.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;

use super::connection::{failure, open_reader};
use super::states::States;
use super::wal_index::frames;
use crate::store::StoreError;

/// How often it looks at the WAL's length: one small read of memory.
const LOOK: Duration = Duration::from_millis(50);
/// Frames that make a checkpoint worth while. A page that is written again among them is moved once.
const WORTH: u32 = 2_000;

/// The thread's handle.
pub(super) struct Checkpointer {
    stop: Mutex<Option<mpsc::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    /// Starts the thread.
    pub fn start(path: &Path, states: Arc<States>) -> Result<Self, StoreError> {
        let (stop, stopped) = mpsc::channel();
        let mut connection = open_reader(path)?;
        let thread = std::thread::Builder::new().name("strandline-checkpointer".into());
        let thread = thread.spawn(move || run(&mut connection, &states, &stopped)).map_err(StoreError::internal)?;
        Ok(Self { stop: Mutex::new(Some(stop)), thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the checkpointer thread panicked");
        }
    }
}

fn run(connection: &mut SqliteConnection, states: &States, stopped: &mpsc::Receiver<()>) {
    let mut moved = 0;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK) {
        // Where the header cannot be read, the writer's own limit is all there is.
        let length = states.header().as_ref().map_or(0, frames);
        if length < moved {
            // The WAL was begun anew.
            moved = 0;
        }
        if length - moved < WORTH {
            continue;
        }
        moved = length;
        if let Err(error) = connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE)").map_err(failure) {
            log::warn!("the WAL was not checkpointed, and is left to the writer: {error}");
        }
    }
}
