//! `strandline clone`: a space of a server becomes a replica in a file.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::progress::Meter;
use super::{
    EXIT_CODES, FileArgs, ServerArgs, address, blocking, deeds, failed, listed, members, must_have_been_right,
};
use crate::cli::CliError;
use crate::cli::output::{plural, print};
use crate::domain::{CollectionName, Collections, SpaceName};
use crate::replica::{Origin, Replica, Report, Status};

/// Make a copy of a space on this machine, in one file
///
/// The copy can be read and edited without the server; `sync` brings the two together. It is safe to interrupt: run it
/// again, and it goes on where it was.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CloneArgs {
    /// The space, such as `http://127.0.0.1:7878/v1/spaces/demo`; `http://127.0.0.1:7878/demo` will do
    url: String,
    /// The file to make
    file: PathBuf,
    /// The space, where the URL is only the server's
    #[arg(long, value_name = "NAME")]
    space: Option<SpaceName>,
    /// Only these collections [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    collections: Vec<CollectionName>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: CloneArgs, json: bool) -> Result<(), CliError> {
    let (url, space) = address::parse(&args.url, args.space).map_err(CliError::Usage)?;
    // No name is no choice: all collections.
    let origin = Origin { url, space, collections: Collections::new(args.collections).ok() };
    let (file, options) = (FileArgs { file: args.file }, args.server.options());
    blocking(move || {
        let begun = Instant::now();
        let made = !file.file.exists();
        let replica = Replica::open_or_create(&file.file, &origin, options)?;
        let before = replica.status()?;
        let done = fill(&replica, &origin);
        let status = replica.status()?;
        let report = match done {
            Ok(report) => report,
            Err(error) => {
                drop(replica);
                if made && is_empty(&status) {
                    remove(&file);
                }
                return Err(error);
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        let mut summary = json!({
            "file": file.file.display().to_string(),
            "url": origin.url,
            "space": origin.space.as_str(),
            "collections": origin.collections.as_ref().map(|some| some.names().iter().map(CollectionName::as_str).collect::<Vec<_>>()),
            "resumed": before.cursor.is_some(),
            "cursor": status.cursor,
            "records": status.records,
            "checksum": status.checksum,
            "seconds": (seconds * 1000.0).round() / 1000.0,
        });
        if let Some(summary) = summary.as_object_mut() {
            summary.extend(members(&report));
        }
        print(json, &summary, || describe(&file, &origin, &before, &status, &report, seconds))?;
        must_have_been_right(&report)
    })
    .await
}

/// Pulls everything. A space that is not there is a mistyped one.
fn fill(replica: &Replica, origin: &Origin) -> Result<Report, CliError> {
    let mut meter = Meter::begin(&format!("cloning {}", origin.space));
    let done = replica.sync_with(&mut |progress| meter.show(progress));
    meter.end();
    let report = done.map_err(|error| failed(origin, error))?;
    if replica.status()?.cursor.is_none() {
        let Origin { url, space, .. } = origin;
        return Err(CliError::Failed(format!(
            "there is no space named {space} at {url}: `strandline spaces list --url {url}` shows those that there are"
        )));
    }
    Ok(report)
}

/// Whether nothing would be missed with the file.
fn is_empty(status: &Status) -> bool {
    status.cursor.is_none() && status.edits + status.sending + status.conflicts == 0
}

/// Leaves nothing of a replica that came to nothing. Where that does not succeed, the next clone takes it over.
fn remove(file: &FileArgs) {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = file.file.clone().into_os_string();
        path.push(suffix);
        let _ = std::fs::remove_file(path);
    }
}

fn describe(
    file: &FileArgs,
    origin: &Origin,
    before: &Status,
    status: &Status,
    report: &Report,
    seconds: f64,
) -> String {
    let records = plural(status.records, "record", "records");
    let name = file.file.display();
    let first = if before.cursor.is_some() {
        let done = deeds(report).unwrap_or_else(|| "nothing was new".into());
        format!("{name} was there and went on from where it was: {done}; {records}")
    } else {
        format!("cloned {origin} into {name}: {records}")
    };
    let first = format!("{first}, checksum {}, {seconds:.1} s\n", status.checksum);
    listed(report, file).map_or(first.clone(), |second| format!("{first}{second}\n"))
}
