//! `strandline export`: the live records, or what changed since a cursor, and the cursor for the next run.
//!
//! Changes are first kept in an unnamed temporary file. Records that are written while the export pages come again
//! with their newest state, and only when all is read is it known which of them that is: so that an export has each
//! record once, and is the space at its cursor exactly. Memory holds what was written meanwhile, not the data.

mod place;
mod render;
mod settle;
mod spool;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::CliError;
use super::output::{plural, print_to};
use super::target::{MayCreate, Target, TargetArgs};
use crate::domain::pull::Reason;
use crate::domain::{CollectionName, Collections, Since, SpaceName};
use place::{CursorFile, Output};
use settle::Export;

/// Export live records, or what changed since a cursor
///
/// Prints the cursor for the next run: on stderr when the records go to stdout, else on stdout. It is safe to
/// interrupt: an output or cursor file is replaced only when all is done.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The space
    #[arg(long, value_name = "NAME")]
    space: SpaceName,
    /// Only this collection; may be given again [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    collection: Vec<CollectionName>,
    /// Only what changed since this cursor (or revision, or RFC 3339 time), with deletions
    #[arg(long, value_name = "CURSOR", value_parser = Since::parse)]
    since: Option<Since>,
    /// Begin at the cursor in this file, if it is there, and replace it at the end: for a job that runs every night
    #[arg(long, value_name = "FILE", conflicts_with = "since")]
    cursor_file: Option<PathBuf>,
    /// The form of the output [default: by the name of the output file, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only the records' data, as `import` takes it, of one collection: bare objects, or in CSV a column a member
    /// (there null becomes an empty cell, and what is no text its JSON)
    #[arg(long, conflicts_with_all = ["since", "cursor_file"])]
    data_only: bool,
    /// The file to write [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A change object a line, as the protocol has it
    Ndjson,
    /// Columns collection, id, `rev`, `modified_at`, deleted and data, which is JSON
    Csv,
}

/// Runs the command.
pub async fn run(args: ExportArgs, json: bool) -> Result<(), CliError> {
    if args.data_only && args.collection.len() != 1 {
        return Err(CliError::Usage("--data-only tells no collections apart: name one with --collection".into()));
    }
    let cursor_file = args.cursor_file.map(CursorFile::new);
    let kept = match &cursor_file {
        Some(file) => file.read()?.map(Since::Cursor),
        None => None,
    };
    let since = args.since.or(kept).unwrap_or(Since::Nothing);
    // No name is no choice: all collections.
    let collections = Collections::new(args.collection).ok();
    let output = Output::new(args.output);
    let format = args.format.unwrap_or_else(|| output.format());
    let target = args.target.open(MayCreate::No).await?;
    let export = collect(&*target, &args.space, since, collections.as_ref(), &output).await;
    target.close().await;
    let export = export.map_err(|error| match error {
        CliError::Resync(reason) => behind(reason, cursor_file.as_ref()),
        other => other,
    })?;
    let written = tokio::task::spawn_blocking(move || {
        let counts = output.write(|out| render::write(&export, format, args.data_only, out))?;
        Ok::<_, CliError>((counts, export.cursor, output))
    });
    let (counts, cursor, output) = written.await.map_err(|error| CliError::task(&error))??;
    if let Some(file) = cursor_file {
        file.replace(&cursor)?;
    }
    let cursor = cursor.to_string();
    let summary = json!({
        "space": args.space.as_str(),
        "cursor": cursor,
        "records": counts.live,
        "deleted": counts.deleted,
        "output": output.name(),
    });
    print_to(&mut *output.reports(), json, &summary, || {
        let records = plural(counts.live, "record", "records");
        let deletions = match since {
            Since::Nothing => String::new(),
            _ => format!(" and {}", plural(counts.deleted, "deletion", "deletions")),
        };
        format!("exported {records}{deletions}\ncursor: {cursor}\n")
    })
}

async fn collect(
    target: &dyn Target,
    space: &SpaceName,
    since: Since,
    collections: Option<&Collections>,
    output: &Output,
) -> Result<Export, CliError> {
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let mut export: Option<Export> = None;
    let mut next = since;
    loop {
        let page = target.pull(space, next, collections).await?;
        let export_so_far = match &mut export {
            Some(export) => export,
            None => export.insert(Export::begin(output.spool()?, since, &page)),
        };
        export_so_far.add(&page)?;
        bar.set_message(format!("reading: {}", plural(export_so_far.read(), "change", "changes")));
        if !page.has_more {
            break;
        }
        next = Since::Cursor(page.cursor);
    }
    bar.finish_and_clear();
    let export = export.ok_or_else(|| CliError::Failed("nothing was read".into()))?;
    export.finish()
}

/// A sentence for a cursor that leads nowhere.
fn behind(reason: Reason, cursor_file: Option<&CursorFile>) -> CliError {
    let why = match reason {
        Reason::Purged => "deletions after the cursor have been purged",
        Reason::Epoch => "the space was put back to an earlier state after the cursor was given",
        Reason::Ahead => "the cursor is ahead of the space",
        Reason::Scope => "the cursor was given for another choice of --collection",
    };
    let how = match cursor_file {
        Some(file) => format!("delete {} and export everything again", file.name()),
        None => "export everything again, without --since".into(),
    };
    CliError::Failed(format!("{why}, so what changed since cannot be told: {how}"))
}
