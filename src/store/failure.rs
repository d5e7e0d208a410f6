//! What can go wrong in a store, in words that no transport has a part in.

use crate::domain::SpaceName;

/// Why a store did not do what it was asked. Nothing was changed, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such space.
    #[error("there is no space named {0}")]
    NoSpace(SpaceName),
    /// There is such a space, and what was asked would have to make it.
    #[error("there is a space named {0} already")]
    SpaceExists(SpaceName),
    /// Too many writes wait already: try again soon.
    #[error("too many writes are waiting")]
    Busy,
    /// The database cannot be reached at present, or is being closed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The disk is full. Reads go on.
    #[error("the disk that holds the database is full")]
    StorageFull,
    /// The database cannot be opened as asked; the sentence is for the person who started the program.
    #[error("{0}")]
    Open(String),
    /// Anything else: a fault of the server.
    #[error("{0}")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// An unexpected error.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// The same error for each of several who share its cause.
    #[must_use]
    pub fn copy(&self) -> Self {
        match self {
            Self::NoSpace(name) => Self::NoSpace(name.clone()),
            Self::SpaceExists(name) => Self::SpaceExists(name.clone()),
            Self::Busy => Self::Busy,
            Self::Unavailable(why) => Self::Unavailable(why.clone()),
            Self::StorageFull => Self::StorageFull,
            Self::Open(why) => Self::Open(why.clone()),
            Self::Internal(error) => Self::internal(error.to_string()),
        }
    }
}
