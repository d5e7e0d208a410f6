//! `strandline sync`: pushes the edits of a replica, pulls what is new, and proves that the two are equal.

use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::progress::Meter;
use super::{EXIT_CODES, FileArgs, ServerArgs, blocking, deeds, failed, listed, members, must_have_been_right, watch};
use crate::cli::CliError;
use crate::cli::output::{plural, print};

/// Bring a replica and its server together
///
/// Pushes the edits, pulls what is new, and compares count and checksum. Edits that the server did not take are listed
/// by `conflicts`: its own record won. It is safe to interrupt: the next sync goes on where this one was.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct SyncArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Go on until SIGINT or SIGTERM: sync again as soon as there is an edit, by whichever process, or news from the
    /// server; wait for the server where it is away. Prints a line for each sync that did something
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: SyncArgs, json: bool) -> Result<(), CliError> {
    let SyncArgs { file, watch, server } = args;
    if watch {
        return watch::run(file, server.options(), json).await;
    }
    blocking(move || {
        let begun = Instant::now();
        let replica = file.open(server.options())?;
        let mut meter = Meter::begin("syncing");
        let done = replica.sync_with(&mut |progress| meter.show(progress));
        meter.end();
        let report = done.map_err(|error| failed(replica.origin(), error))?;
        let status = replica.status()?;
        let mut summary = json!({
            "cursor": status.cursor,
            "records": status.records,
            "checksum": status.checksum,
            "seconds": (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        });
        if let Some(summary) = summary.as_object_mut() {
            summary.extend(members(&report));
        }
        print(json, &summary, || {
            let done = deeds(&report).unwrap_or_else(|| "nothing was new".into());
            let records = plural(status.records, "record", "records");
            let first = format!("{done}; {records}, checksum {}\n", status.checksum);
            listed(&report, &file).map_or(first.clone(), |second| format!("{first}{second}\n"))
        })?;
        must_have_been_right(&report)
    })
    .await
}
