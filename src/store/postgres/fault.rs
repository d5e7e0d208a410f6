//! What an error of PostgreSQL means for the work at hand: done again, given up, or not known.

use deadpool::managed::TimeoutType;
use diesel::result::{DatabaseErrorKind as Kind, Error};
use diesel_async::pooled_connection::PoolError as ConnectError;
use diesel_async::pooled_connection::deadpool::PoolError;

use crate::store::StoreError;

/// Why a statement or a transaction did not go through.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The server rolled the transaction back for the sake of another one: doing it again is safe and may succeed.
    #[error("the transaction was rolled back: {0}")]
    RolledBack(String),
    /// The connection is gone, or could not be had. What had not been committed is rolled back; of a commit that was on
    /// its way nothing is known.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// An answer: doing it again would bring the same.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fault {
    /// What the caller of the store is told when nothing more is tried.
    pub fn into_store(self) -> StoreError {
        match self {
            Self::RolledBack(why) | Self::Lost(why) => StoreError::Unavailable(why),
            Self::Store(error) => error,
        }
    }
}

/// diesel-async hands on a kind and the server's sentence, but not its code (SQLSTATE). Where the kind does not tell, the
/// sentence must; `docs/postgres.md` says to keep `lc_messages` English for that. One in another language costs a
/// better answer (a 500 in place of a 503), never a change: what is not known was rolled back.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let (kind, said) = match &error {
            Error::DatabaseError(kind, information) => (kind, information.message().to_owned()),
            _ => return Self::Store(StoreError::internal(error)),
        };
        let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
        match kind {
            // Unique names: two nodes made the same space at once, and the second one finds it made.
            Kind::SerializationFailure | Kind::UniqueViolation => Self::RolledBack(said),
            // Read-only: a server that became a standby, or a connection that was led to one.
            Kind::UnableToSendCommand | Kind::ClosedConnection | Kind::ReadOnlyTransaction => Self::Lost(said),
            _ if has(&["deadlock detected"]) => Self::RolledBack(said),
            _ if has(&["terminating connection", "the database system is", "terminating walreceiver"]) => {
                Self::Lost(said)
            }
            // A standby's query stood in the way of what it has to replay.
            _ if has(&["conflict with recovery"]) => Self::RolledBack(said),
            _ if has(&["No space left on device", "could not extend file", "disk full"]) => {
                Self::Store(StoreError::StorageFull)
            }
            _ if has(&[
                "statement timeout",
                "lock timeout",
                "canceling statement",
                "too many clients",
                "connection slots",
            ]) =>
            {
                Self::Store(StoreError::Unavailable(said))
            }
            _ => Self::Store(StoreError::internal(said)),
        }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::Store(StoreError::Unavailable("all its connections are in use".into()))
            }
            PoolError::Closed => Self::Store(closed()),
            PoolError::Backend(ConnectError::ConnectionError(error)) => Self::Lost(error.to_string()),
            PoolError::Backend(ConnectError::QueryError(error)) => error.into(),
            other => Self::Lost(other.to_string()),
        }
    }
}

/// The store is being closed, or is.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is being closed".into())
}
