//! `strandline get` and `list`: what a replica shows, edits that nobody was told of yet included.

use std::io::{self, BufWriter, Write};

use clap::Args;
use serde_json::json;
use serde_json::value::RawValue;

use super::{FileArgs, RecordArgs, blocking};
use crate::cli::CliError;
use crate::cli::output::print;
use crate::domain::{CollectionName, Document, RecordId};
use crate::replica::Replica;

/// Records read at once.
const PAGE: usize = 1_000;

/// Print a record of a replica
#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    record: RecordArgs,
}

/// List the records of a collection, or the collections
///
/// In order of id, a line a record: its id and its data; with --json an object a line, with collection, id and data.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    file: FileArgs,
    /// The collection [default: list the collections]
    collection: Option<CollectionName>,
}

/// Runs `get`.
pub async fn get(args: GetArgs, json: bool) -> Result<(), CliError> {
    let GetArgs { file, record } = args;
    blocking(move || {
        let replica = file.open_offline()?;
        record.must_be_of(&replica)?;
        let RecordArgs { collection, id } = &record;
        let data = replica.get(collection, id)?;
        let data = data.ok_or_else(|| CliError::Failed(format!("there is no record {collection}/{id}")))?;
        print(json, &line(collection, id, &data)?, || data.as_str().to_owned())
    })
    .await
}

/// Runs `list`.
pub async fn list(args: ListArgs, json: bool) -> Result<(), CliError> {
    let ListArgs { file, collection } = args;
    blocking(move || {
        let replica = file.open_offline()?;
        match collection {
            Some(collection) => list_records(&replica, &collection, json),
            None => list_collections(&replica, json),
        }
    })
    .await
}

fn list_collections(replica: &Replica, json: bool) -> Result<(), CliError> {
    let names = replica.collection_names()?;
    let names: Vec<&str> = names.iter().map(CollectionName::as_str).collect();
    if names.is_empty() && !json {
        return Ok(());
    }
    print(json, &json!({ "collections": names }), || names.join("\n"))
}

/// A page at a time, so that it makes no difference how many there are.
fn list_records(replica: &Replica, collection: &CollectionName, json: bool) -> Result<(), CliError> {
    let cannot = |error: io::Error| CliError::io("the output", &error);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut after: Option<RecordId> = None;
    loop {
        let mut page = replica.list(collection, after.as_ref(), PAGE)?;
        let width = page.iter().map(|(id, _)| id.as_str().chars().count()).max().unwrap_or(0);
        for (id, data) in &page {
            if json {
                serde_json::to_writer(&mut out, &line(collection, id, data)?).map_err(|error| cannot(error.into()))?;
                writeln!(out).map_err(cannot)?;
            } else {
                writeln!(out, "{:<width$}  {}", id.as_str(), data.as_str()).map_err(cannot)?;
            }
        }
        match page.pop() {
            Some((last, _)) => after = Some(last),
            None => return out.flush().map_err(cannot),
        }
    }
}

/// A record as programs read it; its data as it was written.
#[derive(serde::Serialize)]
struct Line<'a> {
    collection: &'a str,
    id: &'a str,
    data: &'a RawValue,
}

fn line<'a>(collection: &'a CollectionName, id: &'a RecordId, data: &'a Document) -> Result<Line<'a>, CliError> {
    let raw = serde_json::from_str(data.as_str());
    let data = raw.map_err(|error| CliError::Failed(format!("the data of {collection}/{id}: {error}")))?;
    Ok(Line { collection: collection.as_str(), id: id.as_str(), data })
}
