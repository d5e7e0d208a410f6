//! `strandline verify`: whether a replica is what the server has.

use clap::Args;
use serde_json::json;

use super::progress::Meter;
use super::{FileArgs, ServerArgs, blocking, failed};
use crate::cli::CliError;
use crate::cli::output::{plural, print};
use crate::replica::{Sum, Verdict};

const EXIT_CODES: &str = "Exit codes: 0 the replica was right; 1 failed; 2 usage; 3 it was not, also where --repair has \
                          mended it now.";

/// Compare a replica with its server
///
/// Counts the records in the file anew, pulls what is new, and compares count and checksum with the server's. Edits are
/// neither pushed nor touched. The checksum is over the records' revisions: what another program wrote into a record's
/// data, under the same revision, it does not see.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct VerifyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Mend what differs at once, by comparing all revisions and fetching those that are missing; without this, the
    /// next `sync` does it
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub async fn run(args: VerifyArgs, json: bool) -> Result<(), CliError> {
    let VerifyArgs { file, repair, server } = args;
    blocking(move || {
        let replica = file.open(server.options())?;
        let mut meter = Meter::begin("verifying");
        let done = replica.verify(repair, &mut |progress| meter.show(progress));
        meter.end();
        let verdict = done.map_err(|error| failed(replica.origin(), error))?;
        let right = verdict.was_right();
        // To count anew mends what the file says of itself.
        let repaired = !right && (repair || verdict.same);
        let summary = json!({
            "right": right,
            "sound": verdict.sound,
            "same": verdict.same,
            "repaired": repaired,
            "here": verdict.here,
            "server": verdict.server,
            "report": verdict.report,
        });
        print(json, &summary, || describe(&verdict))?;
        let file = file.file.display();
        match (right, verdict.same) {
            (true, _) => Ok(()),
            (_, true) => Err(CliError::NotRight(
                "what the file said of its records was wrong, and is mended; they are what the server has".into(),
            )),
            _ if repaired => {
                Err(CliError::NotRight("the replica was not what the server has; it is mended now".into()))
            }
            _ => Err(CliError::NotRight(format!(
                "the replica is not what the server has: `strandline verify {file} --repair` mends it"
            ))),
        }
    })
    .await
}

fn describe(verdict: &Verdict) -> String {
    let sum = |sum: &Sum| format!("{}, checksum {}", plural(sum.records, "record", "records"), sum.checksum);
    match &verdict.server {
        Some(_) if verdict.was_right() => format!("right: {}, as the server has them", sum(&verdict.here)),
        Some(server) => {
            let kept = if verdict.sound { "" } else { " (not what the file said of itself)" };
            let fetched = match verdict.report.fetched {
                0 => String::new(),
                fetched => format!("\nfetched  {}", plural(fetched, "record", "records")),
            };
            format!("here     {}{kept}\nserver   {}{fetched}", sum(&verdict.here), sum(server))
        }
        None => format!("here     {}\nserver   has no such space yet", sum(&verdict.here)),
    }
}
