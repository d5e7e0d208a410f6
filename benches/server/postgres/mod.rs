//! PostgreSQL under the server: a durable cluster of our own, and what the same cluster does without the server, asked by
//! PostgreSQL's own programs and by its client library.

pub mod pgbench;
pub mod psql;
pub mod raw;

use std::path::Path;
use std::process::Command;

use strandline::store::{self, StoreOptions};

use crate::support::postgres::{Cluster, Database, Settings, account};
use crate::{Result, load};

/// A cluster. Its server and its data are gone when this is dropped.
pub struct Postgres {
    cluster: Cluster,
}

impl Postgres {
    /// Starts one whose data lies below `place`. It is as durable as PostgreSQL is by itself, unlike those of the tests.
    pub fn start(place: &Path) -> Result<Self> {
        // Where a cluster's directory is made. What was said before stays.
        let _ = tempfile::env::override_temp_dir(place);
        let settings = Settings::default()
            .set("fsync", "on")
            .set("synchronous_commit", "on")
            .set("full_page_writes", "on")
            .set("autovacuum", "on")
            .set("max_wal_size", "1GB")
            .set("shared_buffers", "256MB")
            .set("max_connections", "200");
        let cluster = Cluster::start(&settings).ok_or("PostgreSQL is not installed")?;
        Ok(Self { cluster })
    }

    /// An empty database.
    pub fn database(&self) -> Database {
        Database::on(&self.cluster)
    }

    /// A database with the store's own schema.
    pub fn with_schema(&self) -> Result<Database> {
        let database = self.database();
        let url = database.url().parse()?;
        load::block_on(async {
            store::open(&url, StoreOptions::default()).await?.close().await;
            Ok(())
        })?;
        Ok(database)
    }
}

/// One of PostgreSQL's programs, as a user that it runs as.
fn program(name: &str) -> Command {
    account::command(name, Path::new("/"))
}
