//! placeholder, replaced soon
use super::{StoreError, StoreOptions};
use std::path::Path;

/// The store on an SQLite file.
pub struct SqliteStore;

impl SqliteStore {
    /// Opens it.
    pub fn open(_path: &Path, _options: StoreOptions) -> Result<Self, StoreError> {
        Err(StoreError::Unavailable("not yet".into()))
    }
}

/// Copies it.
pub fn backup(_path: &Path, _target: &Path) -> Result<(), StoreError> {
    Err(StoreError::Unavailable("not yet".into()))
}
