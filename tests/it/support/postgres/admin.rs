//! SQL past the store, as the superuser: through the cluster's Unix socket, where neither passwords, nor TLS, nor what
//! becomes of a port is in the way.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{Client, Config, NoTls};

/// Its own, so that a test may ask and wait whatever runtime it is on itself, or none.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());

/// A way to a database.
#[derive(Clone)]
pub struct Admin {
    pub(super) socket: PathBuf,
    pub(super) port: u16,
    pub(super) database: String,
}

impl Admin {
    /// The same cluster's database `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> Self {
        Self { database: name.to_owned(), ..self.clone() }
    }

    /// A connection, which lasts until it is dropped.
    pub async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host_path(&self.socket).port(self.port).user("postgres").dbname(&self.database);
        config.application_name("test").connect_timeout(Duration::from_secs(10));
        let (client, connection) = config.connect(NoTls).await?;
        // Its errors come out of the client's calls too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// Carries out statements, and waits for that.
    pub fn try_run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        wait_for(async { self.connect().await?.batch_execute(sql).await })
    }

    /// Carries out statements, and waits for that.
    #[track_caller]
    pub fn run(&self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }

    /// The one value that a query gives.
    #[track_caller]
    pub fn ask<T: FromSqlOwned + Send>(&self, sql: &str) -> T {
        let answer = wait_for(async { self.connect().await?.query_one(sql, &[]).await?.try_get(0) });
        answer.unwrap_or_else(|error| panic!("{error:?}: {sql}"))
    }
}

/// Waits for what happens on a runtime of its own: callable from anywhere.
pub fn wait_for<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let done = std::thread::scope(|scope| scope.spawn(|| RUNTIME.block_on(future)).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
