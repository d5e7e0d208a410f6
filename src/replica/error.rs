//! How an operation on a replica fails.

use std::path::PathBuf;

use crate::domain::CollectionName;

/// Why a replica could not do what was asked. Its text is a sentence for people; nothing that was stored is lost by any of
/// these, and a sync that ended with one goes on where it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// There is no replica in that file.
    #[error("{} is no replica: `strandline clone URL FILE` makes one", .0.display())]
    NotAReplica(PathBuf),
    /// A file of that name is there already.
    #[error("{} is there already, and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// The replica in that file is one of something else.
    #[error("{} is a replica of {} already", .0.display(), .1)]
    OtherOrigin(PathBuf, Box<super::Origin>),
    /// The address means nothing.
    #[error("{0} is no address of a server: write it as http://127.0.0.1:7878")]
    Address(String),
    /// The token cannot be sent.
    #[error("the token has a character that no token has, such as a line break")]
    Token,
    /// The collection is none of those that are copied.
    #[error("the replica does not copy the collection {0}")]
    NotCopied(CollectionName),
    /// There is no conflict of that number.
    #[error("there is no conflict number {0}")]
    NoConflict(u64),
    /// The local file cannot be read or written.
    #[error("the replica's file failed: {0}")]
    Local(String),
    /// The commit was refused by [`Options::before_commit`](super::Options::before_commit).
    #[error("interrupted before a commit")]
    Interrupted,
    /// The server cannot be reached, or has no time at present.
    #[error("the server is not available: {0}")]
    Unavailable(String),
    /// The token is missing or no good (401), or does not reach that far (403).
    #[error("the server refuses access: {0}")]
    Denied(String),
    /// The space was deleted. What the replica holds is kept.
    #[error("the space is gone from the server; what is held here is kept")]
    Gone,
    /// The replica differs from what the server says, and a repair did not help.
    #[error("the replica is not what the server has, even after a repair")]
    Wrong,
    /// The server does not take the request: its code and what it says.
    #[error("the server refused the request ({code}): {detail}")]
    Refused {
        /// The problem's code (PROTOCOL.md §8).
        code: String,
        /// The problem's detail.
        detail: String,
    },
    /// The answer is none that a server of this protocol gives.
    #[error("what answers there does not speak this protocol: {0}")]
    Protocol(String),
}

impl From<diesel::result::Error> for ReplicaError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Local(error.to_string())
    }
}
