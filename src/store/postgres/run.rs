//! Snapshots and transactions: begun with their first statement, ended in order, tried again where that is safe.
//!
//! Each is a task of its own on the runtime that drives the connections. Its caller may go away in the middle, its
//! connection may not: it would be left with an open transaction.

use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::{BoxFuture, try_join};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::fault::{Fault, closed};
use super::group::BEGIN;
use super::pool::{Pool, Session};
use crate::store::StoreError;

/// How often work is tried where trying again is safe.
const TRIES: u32 = 5;
/// The pause between two tries. It doubles.
const PAUSE: Duration = Duration::from_millis(20);

/// All statements of a read see one state.
pub(super) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What is to be done within a snapshot or a transaction. It may be done more than once.
pub(super) trait Work<T>:
    for<'c> Fn(&'c AsyncPgConnection) -> BoxFuture<'c, Result<T, Fault>> + Send + Sync + 'static
{
}

impl<T, W> Work<T> for W where
    W: for<'c> Fn(&'c AsyncPgConnection) -> BoxFuture<'c, Result<T, Fault>> + Send + Sync + 'static
{
}

/// How a transaction failed.
enum Failure {
    /// Nothing was changed.
    Undone(Fault),
    /// The connection broke while the commit was on its way.
    Unknown(Fault),
}

/// Runs `work` in one snapshot.
pub(super) async fn read<T: Send + 'static>(
    runtime: &Handle,
    pool: &Pool,
    patience: Duration,
    work: impl Work<T>,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    let pool = pool.clone();
    runtime.spawn(async move {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match snapshot(&pool, patience, &work).await {
                Ok((value, session)) => {
                    // The answer need not wait for the end of the snapshot.
                    let _ = reply.send(Ok(value));
                    session.roll_back().await;
                    return;
                }
                Err(fault @ (Fault::Lost(_) | Fault::RolledBack(_))) if attempt < TRIES => {
                    log::debug!("a read is tried again: {fault}");
                    pool.doubt(&fault);
                }
                Err(fault) => {
                    let _ = reply.send(Err(fault.into_store()));
                    return;
                }
            }
            sleep(pause).await;
            pause *= 2;
        }
    });
    answer.await.unwrap_or_else(|_| Err(closed()))
}

/// Runs `work` in a transaction and commits it; then `ended`, also where it is not known whether it was committed.
pub(super) async fn transact<T: Send + 'static>(
    runtime: &Handle,
    pool: &Pool,
    patience: Duration,
    work: impl Work<T>,
    ended: impl FnOnce() + Send + 'static,
) -> Result<T, StoreError> {
    let pool = pool.clone();
    let transaction = runtime.spawn(async move {
        let mut pause = PAUSE;
        for attempt in 1.. {
            match transaction(&pool, patience, &work).await {
                Ok(value) => {
                    ended();
                    return Ok(value);
                }
                Err(Failure::Undone(fault @ (Fault::Lost(_) | Fault::RolledBack(_)))) if attempt < TRIES => {
                    log::debug!("a transaction is tried again: {fault}");
                    pool.doubt(&fault);
                }
                Err(Failure::Undone(fault)) => return Err(fault.into_store()),
                Err(Failure::Unknown(fault)) => {
                    ended();
                    return Err(fault.into_store());
                }
            }
            sleep(pause).await;
            pause *= 2;
        }
        Err(closed())
    });
    transaction.await.map_err(StoreError::internal)?
}

/// Runs `work` in a snapshot, which is still open afterwards.
async fn snapshot<T>(pool: &Pool, patience: Duration, work: &impl Work<T>) -> Result<(T, Session), Fault> {
    let session = pool.session().await?;
    match begin(&session, SNAPSHOT, patience, work).await {
        Ok(value) => Ok((value, session)),
        Err(fault) => {
            if matches!(fault, Fault::Store(_)) {
                session.roll_back().await;
            }
            Err(fault)
        }
    }
}

/// Runs `work` in a transaction and commits it.
async fn transaction<T>(pool: &Pool, patience: Duration, work: &impl Work<T>) -> Result<T, Failure> {
    let session = pool.session().await.map_err(Failure::Undone)?;
    let value = match begin(&session, BEGIN, patience, work).await {
        Ok(value) => value,
        Err(fault) => {
            if matches!(fault, Fault::Store(_)) {
                session.roll_back().await;
            }
            return Err(Failure::Undone(fault));
        }
    };
    match commit(&session, patience).await {
        Ok(()) => {
            session.settle();
            Ok(value)
        }
        Err(fault @ Fault::Lost(_)) => Err(Failure::Unknown(fault)),
        // The server refused it, and so rolled it back.
        Err(fault) => Err(Failure::Undone(fault)),
    }
}

/// Begins, and runs `work`. `BEGIN` is one message that nothing precedes; so it is sent first, and the first statement of
/// `work` goes with it.
async fn begin<T>(session: &Session, begin: &str, patience: Duration, work: &impl Work<T>) -> Result<T, Fault> {
    let connection = session.connection()?;
    let mut beginning = connection;
    let begin = async { Ok(beginning.batch_execute(begin).await?) };
    let done = timeout(patience, try_join(begin, work(connection))).await;
    done.unwrap_or_else(|_| Err(Fault::Lost("the server did not answer".into()))).map(|((), value)| value)
}

async fn commit(session: &Session, patience: Duration) -> Result<(), Fault> {
    let mut connection = session.connection()?;
    let commit = async { Ok(connection.batch_execute("COMMIT").await?) };
    timeout(patience, commit).await.unwrap_or_else(|_| Err(Fault::Lost("the server did not answer".into())))
}
