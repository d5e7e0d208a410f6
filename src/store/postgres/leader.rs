//! One node compacts at a time: the one that holds an advisory lock, on a connection that does nothing else. When the node
//! dies, or loses the connection, the lock is free, and the next node to ask has it.

use diesel::sql_types::{BigInt, Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::sync::Mutex;

use super::connection::Connector;
use super::fault::Fault;
use super::migrate::locks;

/// This node's claim.
pub(super) struct Leader {
    connector: Connector,
    held: Mutex<Option<AsyncPgConnection>>,
}

#[derive(diesel::QueryableByName)]
struct Held {
    #[diesel(sql_type = Bool)]
    held: bool,
}

impl Leader {
    /// A claim that was not made yet.
    pub fn new(connector: Connector) -> Self {
        Self { connector, held: Mutex::new(None) }
    }

    /// Whether this node holds the lock; it takes it where it is free.
    pub async fn leads(&self) -> Result<bool, Fault> {
        let mut held = self.held.lock().await;
        if let Some(mut connection) = held.take()
            && ask(
                &mut connection,
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted \
                AND pid = pg_backend_pid() AND ((classid::bigint << 32) | objid::bigint) = $1) AS held",
            )
            .await
            .unwrap_or(false)
        {
            *held = Some(connection);
            return Ok(true);
        }
        let mut connection = self.connector.connect().await.map_err(|error| Fault::Lost(error.to_string()))?;
        let got = ask(&mut connection, "SELECT pg_try_advisory_lock($1) AS held").await?;
        if got {
            *held = Some(connection);
        }
        Ok(got)
    }

    /// Gives the lock up.
    pub async fn resign(&self) {
        self.held.lock().await.take();
    }
}

async fn ask(connection: &mut AsyncPgConnection, question: &str) -> Result<bool, Fault> {
    let answer = diesel::sql_query(question).bind::<BigInt, _>(locks::COMPACT).get_result::<Held>(connection).await?;
    Ok(answer.held)
}
