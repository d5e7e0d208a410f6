//! How much a request may carry (PROTOCOL.md §4); all of it can be configured.

/// The limits of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Changes a push.
    pub push_changes: usize,
    /// Bytes of a request's body, expanded.
    pub push_bytes: usize,
    /// Bytes of a record's data.
    pub record_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { push_changes: 10_000, push_bytes: 16 << 20, record_bytes: 1 << 20 }
    }
}

/// Changes in a page when nobody says how many (§3).
pub const PAGE_DEFAULT: usize = 1_000;
/// Changes in a page at the most (§3).
pub const PAGE_MAX: usize = 10_000;
/// Bytes in a page, about.
pub const PAGE_BYTES: usize = 4 << 20;
/// Bytes a stream reads at a time, about: what a reader that does not read holds in memory.
pub const STREAM_BYTES: usize = 256 << 10;
/// Changes a stream reads at a time.
pub const STREAM_ROWS: usize = 1_000;
