//! A database of a test's own, gone when the test is.

use std::sync::atomic::{AtomicUsize, Ordering};

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

    /// An empty one on `cluster`.
    pub fn on(cluster: &Cluster) -> Self {
        Self::copy_of(BLANK, cluster)
    }

    /// A copy of the database `template`, to which nobody may be connected.
    fn copy_of(template: &str, cluster: &Cluster) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (url, cluster) = (cluster.url(&name), cluster.admin());
        cluster.run(&format!("CREATE DATABASE {name} OWNER {USER} TEMPLATE {template}"));
        Self { cluster, name, url }
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
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may be gone already, with all its databases.
        let _ = self.cluster.try_run(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
