//! The same server over PostgreSQL, beside what its own programs and its client library get out of the same cluster.

pub mod push;
pub mod read;

use std::rc::Rc;

use super::{Bench, LARGE, purge as sqlite, push_all};
use crate::Result;
use crate::children::Server;
use crate::postgres::Postgres;
use crate::report::Aim;
use crate::support::postgres::Database;
use crate::workload::Kind;

/// What the names of these measurements begin with, in the table.
const STORE: &str = "PostgreSQL: ";

/// A server with its records. What comes first here goes first.
pub struct Filled {
    server: Server,
    database: Database,
    _cluster: Rc<Postgres>,
}

impl Bench {
    /// The server with the large space, filled when it is first asked for.
    fn filled_postgres(&mut self) -> Result<Rc<Filled>> {
        if let Some(filled) = &self.filled_postgres {
            return Ok(Rc::clone(filled));
        }
        let (cluster, records) = (self.postgres()?, self.scale.records);
        let database = cluster.database();
        let server = Server::strandline(database.url())?;
        let outcome = push_all(server.address(), LARGE, Kind::Insert, 0, records)?;
        eprintln!("  filled {LARGE} with {records} records in {:.1} s", outcome.elapsed.as_secs_f64());
        // As it is after a while anyhow; so that no measurement meets the moment.
        database.admin().run("VACUUM (ANALYZE)");
        database.admin().run("CHECKPOINT");
        let filled = Filled { server, database, _cluster: cluster };
        Ok(Rc::clone(self.filled_postgres.insert(Rc::new(filled))))
    }
}

/// What clients feel of a purge.
pub fn purge(bench: &mut Bench) -> Result<()> {
    let address = bench.filled_postgres()?.server.address();
    sqlite::beside_pushes(bench, address, STORE, Aim::None)
}
