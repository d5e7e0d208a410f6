//! A database of a test's own, gone when the test is.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use strandline::store::{self, StoreOptions};

use super::admin::wait_for;
use super::cluster::{BLANK, USER};
use super::{Admin, Cluster};

pub struct Database {
    cluster: Admin,
    name: String,
    url: String,
}

impl Database {
    /// An empty one on the cluster that all tests share. `None` when PostgreSQL is not installed.
    pub fn empty() -> Option<Self> {
        Cluster::shared().map(Self::on)
    }

    /// One with a store's schema on the cluster that all tests share. `None` when PostgreSQL is not installed.
    pub fn migrated() -> Option<Self> {
        static TEMPLATE: LazyLock<Option<String>> = LazyLock::new(|| Database::empty().map(Database::into_template));
        let cluster = Cluster::shared()?;
        Some(Self::copy_of(TEMPLATE.as_ref()?, &cluster.admin(), |name| cluster.url(name)))
    }

    /// An empty one on `cluster`.
    pub fn on(cluster: &Cluster) -> Self {
        Self::copy_of(BLANK, &cluster.admin(), |name| cluster.url(name))
    }

    /// A copy of the database `template`, to which nobody may be connected.
    fn copy_of(template: &str, cluster: &Admin, url: impl Fn(&str) -> String) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let database = Self { cluster: cluster.clone(), url: url(&name), name };
        database.create(template);
        database
    }

    /// File by file: page by page, which is the usual way, takes ten times as long where no flush is waited for.
    fn create(&self, template: &str) {
        let name = &self.name;
        self.cluster.run(&format!("CREATE DATABASE {name} OWNER {USER} TEMPLATE {template} STRATEGY FILE_COPY"));
    }

    /// Opens a store on it once, for its schema, and keeps it as long as there is the cluster.
    fn into_template(self) -> String {
        wait_for(async {
            let store = store::open(&self.url.parse().unwrap(), StoreOptions::default()).await.unwrap();
            store.close().await;
        });
        let name = self.name.clone();
        std::mem::forget(self);
        name
    }

    /// Its name, which its copy on a standby has too.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What names it to a store.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A way to it past the store.
    pub fn admin(&self) -> Admin {
        self.cluster.of(&self.name)
    }

    /// A copy. Nobody may be connected.
    pub fn copy(&self) -> Self {
        Self::copy_of(&self.name, &self.cluster, |name| self.url.replace(&self.name, name))
    }

    /// Drops it and makes it anew from a copy. Nobody may be connected.
    pub fn put_back(&self, copy: &Self) {
        self.cluster.run(&format!("DROP DATABASE {}", self.name));
        self.create(&copy.name);
    }

    /// Has every table and index compared, row by row.
    pub fn check_integrity(&self) {
        let admin = self.admin();
        admin.run("CREATE EXTENSION amcheck");
        let damaged: i64 = admin.ask(
            "SELECT count(*) FROM pg_class, verify_heapam(oid) \
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        );
        assert_eq!(damaged, 0);
        admin.run(
            "SELECT bt_index_check(indexrelid, heapallindexed => true) FROM pg_index JOIN pg_class ON oid = indrelid \
             WHERE relnamespace = 'public'::regnamespace",
        );
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may be gone already, with all its databases.
        let _ = self.cluster.try_run(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
