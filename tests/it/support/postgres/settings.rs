//! What a cluster is configured with.

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
}

impl Settings {
    /// A line of `postgresql.conf`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The text that goes to the end of `postgresql.conf`, where the last line of a name counts.
    pub fn text(&self) -> String {
        let own = self.lines.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        USUAL.into_iter().chain(own).map(|(name, value)| format!("{name} = {value}\n")).collect()
    }
}
