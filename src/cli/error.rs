//! What a subcommand ends with when it does not succeed: one sentence for stderr, and the exit code.

use std::io;

use crate::domain::SpaceName;
use crate::domain::pull::Reason;
use crate::replica::ReplicaError;
use crate::store::StoreError;

/// Why a subcommand failed. Its text is a sentence for the person who typed it.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The options contradict each other, or one is missing: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Anything that went wrong while working: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// There is no such space.
    #[error("there is no space named {0}: `strandline spaces list` shows those that there are")]
    NoSpace(SpaceName),
    /// A push was larger than the server takes; a smaller one may go through.
    #[error("{0}")]
    TooLarge(String),
    /// The quota of the space stands against it.
    #[error("{0}; `strandline spaces quota` shows it and changes it")]
    OverQuota(String),
    /// A cursor is not of this history, or no delta leads on from it.
    #[error("the cursor can no longer be followed ({})", .0.as_str())]
    Resync(Reason),
    /// A replica is not what its server has, or a database not as it must be, or was not until it was mended: exit code 3.
    #[error("{0}")]
    NotRight(String),
    /// The server did not run, or ended badly.
    #[error(transparent)]
    Serve(#[from] super::serve::ServeError),
    /// Whoever read the output went away: nobody is left to tell.
    #[error("the output was closed")]
    BrokenPipe,
}

impl CliError {
    /// The exit code: 2 for usage, 3 for a replica or a database that was not right, 1 for any other failure, and 0 for a
    /// reader that has seen enough.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NotRight(_) => 3,
            Self::BrokenPipe => 0,
            _ => 1,
        }
    }

    /// A failure to read or write `what`.
    pub fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Failed(format!("{what}: {error}")),
        }
    }

    /// A task of this program that panicked: the panic has been printed.
    pub fn task(error: &tokio::task::JoinError) -> Self {
        Self::Failed(format!("a part of this program stopped: {error}"))
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace(name) => Self::NoSpace(name),
            StoreError::Busy => Self::Failed("the database is busy with other writes: try again in a moment".into()),
            StoreError::StorageFull => {
                Self::Failed("the disk that holds the database is full: make room and run this again".into())
            }
            StoreError::SpaceExists(_) | StoreError::Unavailable(_) | StoreError::Open(_) => {
                Self::Failed(error.to_string())
            }
            StoreError::Internal(error) => Self::Failed(format!("the database failed: {error}")),
        }
    }
}

impl From<ReplicaError> for CliError {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Address(_) => Self::Usage(error.to_string()),
            ReplicaError::Wrong => Self::NotRight(error.to_string()),
            ReplicaError::Denied(_) => Self::Failed(format!("{error}; give a token that may, in STRANDLINE_TOKEN")),
            ReplicaError::OtherOrigin(..) | ReplicaError::Exists(_) => {
                Self::Failed(format!("{error}: choose another file"))
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}
