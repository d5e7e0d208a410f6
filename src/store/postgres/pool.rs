//! A pool of connections to one server, and sessions: a connection on loan that comes back only if it was left tidy.

use std::sync::Arc;
use std::time::Duration;

use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::{Object, Pool as Deadpool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::GRACE;
use super::connection::Connector;
use super::fault::Fault;
use crate::store::{PoolMeters, StoreError};

/// Looks at a connection that was just opened, before its first use.
pub(super) type FirstLook =
    Arc<dyn Fn(&mut AsyncPgConnection) -> BoxFuture<'_, Result<(), Fault>> + Send + Sync + 'static>;

/// Connections to one server, opened as they are needed and kept.
#[derive(Clone)]
pub(super) struct Pool {
    pool: Deadpool<AsyncPgConnection>,
}

impl Pool {
    /// A pool of at most `size` connections. Waiting for one may take `patience`.
    pub fn new(
        connector: Connector,
        size: u32,
        patience: Duration,
        look: Option<FirstLook>,
    ) -> Result<Self, StoreError> {
        // To connect, and to look where it leads.
        let opening = connector.patience().saturating_add(patience);
        let mut config = ManagerConfig::<AsyncPgConnection>::default();
        // A connection that broke is noticed when it is used, and what it was used for is done again on another.
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(move |_| {
            let (connector, look) = (connector.clone(), look.clone());
            async move {
                let mut connection = connector.connect().await?;
                if let Some(look) = look {
                    let looked = look(&mut connection).await;
                    looked.map_err(|fault| ConnectionError::BadConnection(fault.to_string()))?;
                }
                Ok(connection)
            }
            .boxed()
        });
        // The connector knows the place.
        let manager = AsyncDieselConnectionManager::new_with_config("", config);
        let pool = Deadpool::builder(manager)
            .max_size(usize::try_from(size.max(1)).unwrap_or(1))
            .wait_timeout(Some(patience))
            .create_timeout(Some(opening))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(StoreError::internal)?;
        Ok(Self { pool })
    }

    /// A connection, when one is free.
    pub async fn session(&self) -> Result<Session, Fault> {
        Ok(Session { object: Some(self.pool.get().await?) })
    }

    /// Where a connection turned out to be broken, closes those that nobody uses: they were cut off with it, as a rule.
    pub fn doubt(&self, fault: &Fault) {
        if matches!(fault, Fault::Lost(_)) {
            self.pool.retain(|_, _| false);
        }
    }

    /// How it is used at present; `name` says what for.
    pub fn meters(&self, name: &'static str) -> PoolMeters {
        let now = self.pool.status();
        let idle = now.available.min(now.size);
        PoolMeters {
            name,
            limit: now.max_size as u64,
            in_use: (now.size - idle) as u64,
            idle: idle as u64,
            waiting: now.waiting as u64,
        }
    }

    /// Turns away whoever asks from now on.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// A connection on loan. Dropped, it is closed, whatever it was in the middle of; [`Session::settle`] gives it back.
pub(super) struct Session {
    object: Option<Object<AsyncPgConnection>>,
}

impl Session {
    /// The connection. Shared, so that statements can be sent together.
    pub fn connection(&self) -> Result<&AsyncPgConnection, Fault> {
        self.object.as_deref().ok_or_else(|| Fault::Store(StoreError::internal("a session was used after its end")))
    }

    /// Gives it back: no transaction is open on it.
    pub fn settle(mut self) {
        self.object.take();
    }

    /// Rolls back what is open and gives it back. Where the server does not do that at once, the connection is closed: who
    /// rolls back has nothing more to wait for, and a space whose write hung here would be written to no more.
    pub async fn roll_back(self) {
        let rolled_back = match self.connection() {
            Ok(mut connection) => timeout(GRACE, connection.batch_execute("ROLLBACK")).await,
            Err(_) => return,
        };
        if matches!(rolled_back, Ok(Ok(()))) {
            self.settle();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            // Out of the pool and closed.
            drop(Object::take(object));
        }
    }
}
