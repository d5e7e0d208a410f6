//! What is measured. Each measurement takes turns with its floor, so that both see the same minute of the machine.

mod poll;
mod postgres;
mod purge;
mod push;
mod read;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tempfile::TempDir;

use crate::children::Server;
use crate::load::{self, Outcome};
use crate::postgres::Postgres;
use crate::report::{self, Line};
use crate::workload::{Batches, Kind};
use crate::{Result, Scale};

/// A measurement, by the name that selects it.
pub type Measurement = (&'static str, fn(&mut Bench) -> Result<()>);

/// All measurements over SQLite. The last one leaves no record behind.
pub const SQLITE: &[Measurement] = &[
    ("poll", poll::up_to_date),
    ("page", read::pages),
    ("pull", read::changes_by_size),
    ("sync", read::full_sync),
    ("manifest", read::manifest),
    ("push-single", push::single),
    ("push-batch", push::batches),
    ("purge", purge::purge),
];

/// All measurements over PostgreSQL. The last one leaves no record behind.
pub const POSTGRES: &[Measurement] = &[
    ("postgres-poll", postgres::read::polls),
    ("postgres-page", postgres::read::pages),
    ("postgres-sync", postgres::read::full_sync),
    ("postgres-manifest", postgres::read::manifest),
    ("postgres-push-many", postgres::push::many_spaces),
    ("postgres-push-one", postgres::push::one_space),
    ("postgres-push-batch", postgres::push::batches),
    ("postgres-purge", postgres::purge),
];

/// The space with all the records.
const LARGE: &str = "large";
/// A space with few, in the same file.
const SMALL: &str = "small";
const SMALL_RECORDS: u64 = 10_000;
/// Connections that fill a space; more than one, so that a batch is read while the one before is committed.
const FILLERS: usize = 3;

/// What the measurements share.
pub struct Bench {
    scale: Scale,
    filled: Option<Filled>,
    filled_postgres: Option<Rc<postgres::Filled>>,
    postgres: Option<Rc<Postgres>>,
    lines: Vec<Line>,
}

/// A server with its records.
pub struct Filled {
    server: Server,
    directory: TempDir,
}

impl Bench {
    /// With nothing running yet.
    pub fn new(scale: Scale) -> Self {
        Self { scale, filled: None, filled_postgres: None, postgres: None, lines: Vec::new() }
    }

    /// What was measured.
    pub fn report(&self) -> String {
        report::table(&self.lines)
    }

    fn add(&mut self, line: Line) {
        eprintln!("  {line}");
        self.lines.push(line);
    }

    /// The server with both spaces, filled when it is first asked for.
    fn filled(&mut self) -> Result<&mut Filled> {
        if self.filled.is_none() {
            let directory = directory()?;
            let server = Server::strandline(&url(&database(directory.path())))?;
            for (space, records) in [(SMALL, SMALL_RECORDS), (LARGE, self.scale.records)] {
                let outcome = push_all(server.address(), space, Kind::Insert, 0, records)?;
                eprintln!("  filled {space} with {records} records in {:.1} s", outcome.elapsed.as_secs_f64());
            }
            self.filled = Some(Filled { server, directory });
        }
        self.filled.as_mut().ok_or_else(|| "a server that was just started is gone".into())
    }

    /// The PostgreSQL cluster, started when it is first asked for. A run that is not to be timed has it where its user
    /// can get at it for certain; else it is on a real disk.
    fn postgres(&mut self) -> Result<Rc<Postgres>> {
        if let Some(postgres) = &self.postgres {
            return Ok(Rc::clone(postgres));
        }
        let place = if self.scale.quick { env::temp_dir() } else { env!("CARGO_TARGET_TMPDIR").into() };
        Ok(Rc::clone(self.postgres.insert(Rc::new(Postgres::start(&place)?))))
    }

    /// Runs both in turn, the floor first; answers the median of each, ours first. One more round before warms up.
    fn take_turns(
        &self,
        mut ours: impl FnMut() -> Result<f64>,
        mut floor: impl FnMut() -> Result<f64>,
    ) -> Result<(f64, f64)> {
        let (mut our, mut its) = (Vec::new(), Vec::new());
        for round in 0..=self.scale.rounds {
            let pair = (floor()?, ours()?);
            if round > 0 {
                its.push(pair.0);
                our.push(pair.1);
            }
        }
        Ok((median(our), median(its)))
    }
}

impl Filled {
    fn database(&self) -> PathBuf {
        database(self.directory.path())
    }

    /// The server anew on the same file, so that its memory is that of a process that has done nothing.
    fn restart(&mut self) -> Result<()> {
        let database = self.database();
        self.server.stop()?;
        self.server = Server::strandline(&url(&database))?;
        Ok(())
    }
}

/// A directory on a real disk, gone when it is dropped.
fn directory() -> Result<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn database(directory: &Path) -> PathBuf {
    directory.join("bench.db")
}

fn url(database: &Path) -> String {
    format!("sqlite:{}", database.display())
}

/// Pushes `count` records from the `first`, 1,000 at a time.
fn push_all(address: SocketAddr, space: &str, kind: Kind, first: u64, count: u64) -> Result<Outcome> {
    let batches = Batches::new(first, count, 1_000);
    load::run(address, 200, batches.pushes(space, kind, FILLERS))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
