//! Spaces in memory: what an up-to-date poll is answered from, without a query.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use diesel::SqliteConnection;

use super::connection::{open_reader, snapshot};
use super::rows;
use super::wal_index::{Header, WalIndex};
use crate::domain::{SpaceName, SpaceState};
use crate::store::StoreError;
use crate::store::rows::NameRange;

/// Spaces remembered; beyond it the memory starts anew.
const REMEMBERED: usize = 50_000;

/// The memory of spaces. What it says is as fresh as any read that begins now.
pub(super) struct States {
    // Closed before `index` is dropped, for the sake of SQLite's locks.
    connection: Mutex<Option<SqliteConnection>>,
    known: RwLock<HashMap<SpaceName, (Header, Arc<SpaceState>)>>,
    /// The header as this process's last commit left it.
    own: Mutex<Option<Header>>,
    index: WalIndex,
}

impl States {
    /// Opens the memory of a database that is open already.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = open_reader(path)?;
        // The first read makes the WAL index, so that there is a file to watch.
        snapshot(&mut connection, |connection| rows::spaces(connection, &NameRange::all(), 1))?;
        let index = WalIndex::open(path);
        Ok(Self { connection: Mutex::new(Some(connection)), known: RwLock::default(), own: Mutex::default(), index })
    }

    /// The WAL index's header now: it changes with every commit.
    pub fn header(&self) -> Option<Header> {
        self.index.header()
    }

    /// Remembers the header that this process's own commit has just left.
    pub fn note_own_commit(&self) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = self.header();
    }

    /// The header as this process's last commit left it.
    pub fn own_commit(&self) -> Option<Header> {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The space, as the newest commit left it.
    pub fn get(&self, name: &SpaceName) -> Result<Option<Arc<SpaceState>>, StoreError> {
        // Taken before the read below: what is committed in between makes the entry look stale, never fresh.
        let header = self.header();
        if let Some(header) = &header {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, state)) = known.get(name)
                && of == header
            {
                return Ok(Some(Arc::clone(state)));
            }
        }
        let state = {
            let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = connection.as_mut().ok_or_else(|| StoreError::Unavailable("it is being closed".into()))?;
            snapshot(connection, |connection| rows::space(connection, name))?.map(|row| row.state)
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match (&state, header) {
            (Some(state), Some(header)) => {
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(name.clone(), (header, Arc::clone(state)));
            }
            _ => {
                known.remove(name);
            }
        }
        Ok(state)
    }

    /// Closes the connection. Later questions are answered by an error.
    pub fn close(&self) {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
