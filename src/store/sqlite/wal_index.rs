//! Has anything been committed? The cheapest true answer: the header of the WAL index.
//!
//! Every commit to the database, by this program or another one on the same file, changes the first 48 bytes of the
//! `-shm` file (SQLite's documented WAL-index header: a change counter, the number of frames, and checksums). A reader
//! looks at the same bytes to find its snapshot. So an answer that was read when the header was X is right as long as
//! the header is X, and an up-to-date poll costs one small read of memory that the kernel has: no lock, no query.

use std::fs::File;
use std::path::Path;

/// The bytes that change with every commit.
pub(super) type Header = [u8; 48];

/// How many frames (pages of commits) the WAL held when the header was read.
pub(super) fn frames(header: &Header) -> u32 {
    // The fifth word, in the machine's own order of bytes.
    header.get(16..20).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// The `-shm` file of a database that is open.
///
/// POSIX drops all locks that a process has on a file when it closes any of its descriptors, SQLite's own included:
/// this must be dropped after the last connection of this process to the database is closed.
#[derive(Debug)]
pub(super) struct WalIndex(#[cfg_attr(not(unix), expect(dead_code, reason = "read on Unix only"))] Option<File>);

impl WalIndex {
    /// Opens it. There must be a connection already, in WAL mode. Where it cannot be opened, it knows nothing.
    pub fn open(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-shm");
        Self(File::open(path).ok())
    }

    /// The header now; `None` where it cannot be had, and every answer must be read anew.
    #[cfg(unix)]
    pub fn header(&self) -> Option<Header> {
        use std::os::unix::fs::FileExt;
        let mut header = [0; 48];
        self.0.as_ref()?.read_exact_at(&mut header, 0).ok()?;
        Some(header)
    }

    /// The header now; on this system it cannot be had.
    #[cfg(not(unix))]
    pub fn header(&self) -> Option<Header> {
        None
    }
}
