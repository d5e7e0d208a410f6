//! The store on PostgreSQL.

use crate::store::{PostgresUrl, Store, StoreError, StoreOptions};

/// The store on a PostgreSQL database.
pub struct PostgresStore {}

impl PostgresStore {
    /// Opens it.
    pub async fn open(_url: &PostgresUrl, _options: StoreOptions) -> Result<impl Store + use<>, StoreError> {
        Err::<crate::store::sqlite::SqliteStore, _>(StoreError::Open("not yet".into()))
    }
}
