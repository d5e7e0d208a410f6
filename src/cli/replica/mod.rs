//! `strandline clone`, `sync`, `status`, `verify`, `put`, `delete`, `get`, `list`, `conflicts`: a copy of a space in a
//! local file, kept by [`crate::replica`].
//!
//! The replica's calls are blocking, so that each command runs on a thread where that does no harm. A command that asks the
//! server ends with exit code 3 where the replica was not what the server has, mended or not.

mod address;
mod clone;
mod conflicts;
mod edit;
mod progress;
mod read;
mod status;
mod sync;
mod verify;
mod watch;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::CliError;
use super::output::plural;
use crate::domain::{CollectionName, RecordId};
use crate::replica::{Options, Origin, Replica, ReplicaError, Report};

pub use clone::{CloneArgs, run as clone};
pub use conflicts::{ConflictsArgs, run as conflicts};
pub use edit::{DeleteArgs, PutArgs, delete, put};
pub use read::{GetArgs, ListArgs, get, list};
pub use status::{StatusArgs, run as status};
pub use sync::{SyncArgs, run as sync};
pub use verify::{VerifyArgs, run as verify};

/// What stands under the help of a command that asks the server.
const EXIT_CODES: &str = "Exit codes: 0 done, and the replica is what the server has; 1 failed; 2 usage; 3 the replica \
                          was not what the server has, though it had heard of everything (also where that is mended now).";

/// How the server is asked. Nothing of it is kept in the file.
#[derive(Debug, Args)]
struct ServerArgs {
    /// The token that the server asks for; safer in the environment than typed, and never kept in the file
    #[arg(long, env = "STRANDLINE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How often a request is made before the command gives up, with growing pauses between
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
}

impl ServerArgs {
    fn options(self) -> Options {
        // A variable that is set to nothing is no token.
        Options { token: self.token.filter(|token| !token.is_empty()), tries: self.tries, ..Options::default() }
    }
}

/// A replica by its file.
#[derive(Debug, Args)]
struct FileArgs {
    /// The replica's file
    file: PathBuf,
}

impl FileArgs {
    fn open(&self, options: Options) -> Result<Replica, CliError> {
        if self.file.exists() {
            return Ok(Replica::open(&self.file, options)?);
        }
        let file = self.file.display();
        Err(CliError::Failed(format!("there is no file {file}: `strandline clone URL {file}` makes a replica")))
    }

    /// Opens it for what needs no server.
    fn open_offline(&self) -> Result<Replica, CliError> {
        self.open(Options::default())
    }
}

/// A record by its name.
#[derive(Debug, Args)]
struct RecordArgs {
    /// The collection
    collection: CollectionName,
    /// The record's id
    #[arg(value_parser = record_id)]
    id: RecordId,
}

fn record_id(text: &str) -> Result<RecordId, crate::domain::NameFault> {
    RecordId::new(text)
}

impl RecordArgs {
    /// What is not copied cannot be edited: the server would have the record, and the replica not.
    fn must_be_of(&self, replica: &Replica) -> Result<(), CliError> {
        match &replica.origin().collections {
            Some(copied) if !copied.contains(&self.collection) => Err(CliError::Failed(format!(
                "the replica is of the collections {copied} alone, and {} is none of them",
                self.collection
            ))),
            _ => Ok(()),
        }
    }
}

/// Runs what blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| CliError::task(&error))?
}

/// A sentence for a replica that could not be synced with its origin.
fn failed(origin: &Origin, error: ReplicaError) -> CliError {
    match error {
        ReplicaError::Unavailable(why) => CliError::Failed(format!(
            "the server at {} is not available ({why}): nothing is lost, run this again when it is",
            origin.url
        )),
        ReplicaError::Gone => CliError::Failed(format!(
            "there is no space named {} at {} any more: what is here is kept",
            origin.space, origin.url
        )),
        other => other.into(),
    }
}

/// What a sync did, in a few words; `None` where that is nothing.
fn deeds(report: &Report) -> Option<String> {
    let counts = [
        ("pushed", report.pushed),
        ("pulled", report.pulled),
        ("fetched", report.fetched),
        ("conflicts:", report.conflicts),
        ("rejected", report.rejected),
    ];
    let mut deeds: Vec<String> =
        (counts.iter().filter(|(_, count)| *count > 0)).map(|(what, count)| format!("{what} {count}")).collect();
    if !report.repairs.is_empty() {
        deeds.push(format!("repaired ({})", report.repairs.join(", ")));
    }
    (!deeds.is_empty()).then(|| deeds.join(", "))
}

/// A report as members of a JSON object.
fn members(report: &Report) -> Map<String, Value> {
    match serde_json::to_value(report) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// What is said of conflicts that a sync found, so that nobody overlooks them.
fn listed(report: &Report, file: &FileArgs) -> Option<String> {
    let found = report.conflicts + report.rejected;
    (found > 0).then(|| {
        let edits = plural(found, "edit was", "edits were");
        format!("{edits} not taken: `strandline conflicts {}` shows what and why", file.file.display())
    })
}

/// That a sync had to mend the replica is no success, though all is well now.
fn must_have_been_right(report: &Report) -> Result<(), CliError> {
    if report.is_mended() {
        return Err(CliError::NotRight("the replica was not what the server has, and is mended now".into()));
    }
    Ok(())
}
