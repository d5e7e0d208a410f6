//! `strandline put` and `delete`: edits of a replica, which the next sync pushes.

use std::io::Read;

use clap::Args;
use serde_json::json;

use super::{FileArgs, RecordArgs, blocking};
use crate::cli::CliError;
use crate::cli::output::{plural, print};
use crate::replica::Replica;

/// Write a record of a replica
///
/// It is in the file at once, and at the server after the next `sync`.
#[derive(Debug, Args)]
pub struct PutArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    record: RecordArgs,
    /// The record's data, a JSON object [default: -, which is stdin]
    #[arg(value_name = "JSON")]
    data: Option<String>,
}

/// Delete a record of a replica
///
/// It is gone from the file at once, and from the server after the next `sync`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    record: RecordArgs,
}

/// Runs `put`.
pub async fn put(args: PutArgs, json: bool) -> Result<(), CliError> {
    let PutArgs { file, record, data } = args;
    blocking(move || {
        let replica = file.open_offline()?;
        record.must_be_of(&replica)?;
        let text = match data {
            Some(text) if text != "-" => text,
            _ => stdin()?,
        };
        let data = Replica::document(&text)
            .map_err(|fault| CliError::Failed(format!("the data is not what a record can hold: {fault}")))?;
        replica.put(&record.collection, &record.id, &data)?;
        done(&replica, &file, &record, json, "written")
    })
    .await
}

/// Runs `delete`.
pub async fn delete(args: DeleteArgs, json: bool) -> Result<(), CliError> {
    let DeleteArgs { file, record } = args;
    blocking(move || {
        let replica = file.open_offline()?;
        record.must_be_of(&replica)?;
        if !replica.delete(&record.collection, &record.id)? {
            return Err(CliError::Failed(format!("there is no record {}/{} to delete", record.collection, record.id)));
        }
        done(&replica, &file, &record, json, "deleted")
    })
    .await
}

fn done(replica: &Replica, file: &FileArgs, record: &RecordArgs, json: bool, what: &str) -> Result<(), CliError> {
    let waiting = replica.waiting()?;
    let (collection, id) = (record.collection.as_str(), record.id.as_str());
    print(json, &json!({ "collection": collection, "id": id, "waiting": waiting }), || {
        let edits = match waiting {
            0 => "nothing is left to push".into(),
            n => format!("{} for `strandline sync {}`", plural(n, "edit waits", "edits wait"), file.file.display()),
        };
        format!("{what} {collection}/{id}; {edits}")
    })
}

fn stdin() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| CliError::io("stdin", &error))?;
    Ok(text)
}
