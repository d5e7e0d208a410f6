//! What a cluster is configured with.

use std::fmt::Write;

/// What every cluster of the tests has, unless its own settings differ: quick, small, and no more durable than a process
/// that dies needs. Shared memory lies in the data directory, so that nothing is left when that is removed.
const USUAL: [(&str, &str); 11] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "replica"),
    ("max_connections", "300"),
    ("shared_buffers", "32MB"),
    ("dynamic_shared_memory_type", "mmap"),
    ("max_wal_size", "128MB"),
    ("autovacuum", "off"),
    ("jit", "off"),
    ("log_checkpoints", "off"),
    ("log_line_prefix", "'%m [%p] %d '"),
];

/// Settings of a cluster beside or instead of the usual ones.
#[derive(Clone, Default)]
pub struct Settings {
    lines: Vec<(String, String)>,
    pub(super) password: Option<String>,
    pub(super) certified: Vec<String>,
}

impl Settings {
    /// A line of `postgresql.conf`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whoever connects over TCP must say this password (SCRAM-SHA-256).
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Whoever connects over TCP must use TLS. The server's certificate is for these names and addresses.
    #[must_use]
    pub fn tls(mut self, names: &[&str]) -> Self {
        self.certified = names.iter().map(|&name| name.to_owned()).collect();
        self.set("ssl", "on")
    }

    /// The text that goes to the end of `postgresql.conf`, where the last line of a name counts.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let own = self.lines.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in USUAL.into_iter().chain(own) {
            writeln!(text, "{name} = {value}").unwrap();
        }
        text
    }

    /// `pg_hba.conf`: who may connect, and how. The Unix socket is the tests' own.
    pub(super) fn doors(&self) -> String {
        let door = if self.certified.is_empty() { "host" } else { "hostssl" };
        let method = if self.password.is_some() { "scram-sha-256" } else { "trust" };
        format!("local all all trust\nlocal replication all trust\n{door} all all 127.0.0.1/32 {method}\n")
    }
}
