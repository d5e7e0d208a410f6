//! `strandline import`: a file becomes changes. With `--mirror` the collection becomes the file, and only what differs
//! takes revisions: that is how a nightly dump of another system becomes deltas.
//!
//! The file is read twice: first checked as a whole, then pushed in batches. So nothing is written of a file with a
//! fault in it, and memory holds its ids only.

mod check;
pub mod csv_rows;
mod mirror;
mod push;
pub mod rows;
mod source;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::CliError;
use super::output::{plural, print};
use super::target::{MayCreate, Target, TargetArgs};
use crate::domain::{CollectionName, SpaceName};
use push::Tally;
use source::Source;

/// Import NDJSON or CSV, or make a collection equal to a file
///
/// A record that is there already with equal data takes no revision, so importing a file again changes nothing. The
/// file is checked first: a line that is no record, or an id that stands twice, and nothing is written. It is safe to
/// interrupt: what was pushed stays, and running it again goes on.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// NDJSON (.ndjson, .jsonl) or CSV (.csv), also gzip (.gz); - is stdin
    file: PathBuf,
    /// The space; it is made if it is not there
    #[arg(long, value_name = "NAME")]
    space: SpaceName,
    /// The collection
    #[arg(long, value_name = "NAME")]
    collection: CollectionName,
    /// The member, or CSV column, that is the record's id; it stays in the data
    #[arg(long, value_name = "MEMBER", default_value = "id")]
    id_field: String,
    /// What the file is, where its name does not say
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Make the collection equal to the file: records that are not in it are deleted, unless someone changed them
    /// since the import began
    #[arg(long)]
    mirror: bool,
    /// Let --mirror empty the collection by an empty file
    #[arg(long, requires = "mirror")]
    allow_empty: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A record's data object a line
    Ndjson,
    /// A header row with the names of the members; all values are strings, an empty cell is ""
    Csv,
    /// A change object a line, as `export` writes them: the id stands beside the data
    Changes,
}

/// Where the records go.
#[derive(Clone, Debug)]
struct Place {
    space: SpaceName,
    collection: CollectionName,
}

/// Runs the command.
pub async fn run(args: ImportArgs, json: bool) -> Result<(), CliError> {
    let begun = Instant::now();
    let place = Place { space: args.space, collection: args.collection };
    let source = Source::open(&args.file, args.format, args.id_field, place.collection.clone())?;
    let (source, checked) = check::check(source).await?;
    if args.mirror && checked.live == 0 && !args.allow_empty {
        return Err(CliError::Failed(format!(
            "{} has no records, and mirroring it would delete all of {}: say --allow-empty if you mean it",
            source.name, place.collection
        )));
    }
    let checked = Arc::new(checked);
    let target = args.target.open(MayCreate::Yes).await?;
    let name = source.name.clone();
    let tally = import(&*target, &place, source, &checked, args.mirror).await;
    target.close().await;
    let tally = tally?;
    let seconds = begun.elapsed().as_secs_f64();
    print(json, &to_json(&place, checked.read, &tally, seconds), || {
        describe(&name, &place, checked.read, &tally, seconds)
    })?;
    match tally.rejected {
        0 => Ok(()),
        n => Err(CliError::Failed(format!(
            "{} rejected (see above), all others are in: mend the file and import it again",
            plural(n, "record was", "records were")
        ))),
    }
}

async fn import(
    target: &dyn Target,
    place: &Place,
    source: Source,
    checked: &Arc<check::Checked>,
    mirror: bool,
) -> Result<Tally, CliError> {
    let start = match target.space(&place.space).await {
        Ok(space) => Some(space.cursor()?),
        Err(CliError::NoSpace(_)) => None,
        Err(error) => return Err(error),
    };
    let mut tally = Tally::new(start.map(|cursor| cursor.rev).unwrap_or_default());
    push::push_file(target, place, source, checked, &mut tally).await?;
    if mirror {
        mirror::delete_missing(target, place, start, checked, &mut tally).await?;
    }
    Ok(tally)
}

fn to_json(place: &Place, read: u64, tally: &Tally, seconds: f64) -> Value {
    let rejected: Vec<Value> = (tally.rejections.iter())
        .map(|one| json!({ "id": one.id.as_str(), "line": one.line, "detail": one.why }))
        .collect();
    let kept: Vec<Value> = (tally.keepings.iter())
        .map(|one| json!({ "id": one.id.as_str(), "rev": one.rev.map(crate::domain::Rev::get) }))
        .collect();
    json!({
        "space": place.space.as_str(),
        "collection": place.collection.as_str(),
        "read": read,
        "applied": tally.applied,
        "unchanged": tally.unchanged,
        "deleted": tally.deleted,
        "kept": tally.kept,
        "rejected": tally.rejected,
        "kept_records": kept,
        "rejected_records": rejected,
        "head": tally.head.get(),
        "seconds": (seconds * 1000.0).round() / 1000.0,
    })
}

fn describe(name: &str, place: &Place, read: u64, tally: &Tally, seconds: f64) -> String {
    let counts = [
        ("read", read),
        ("applied", tally.applied),
        ("unchanged", tally.unchanged),
        ("deleted", tally.deleted),
        ("kept", tally.kept),
        ("rejected", tally.rejected),
        ("head", tally.head.get()),
    ];
    let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{what:<10}{count:>12}")).collect();
    let Place { space, collection } = place;
    format!(
        "imported {name} into {space}, collection {collection}\n{}\ntime      {seconds:>10.1} s\n",
        counts.join("\n")
    )
}
