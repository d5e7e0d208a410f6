//! `strandline status`: how a replica is, as far as the file knows.

use clap::Args;
use serde_json::json;

use super::{FileArgs, blocking};
use crate::cli::CliError;
use crate::cli::output::print;
use crate::domain::CollectionName;
use crate::replica::{Origin, Status};

/// Show how a replica is, without asking the server
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    file: FileArgs,
}

/// Runs the command.
pub async fn run(args: StatusArgs, json: bool) -> Result<(), CliError> {
    blocking(move || {
        let replica = args.file.open_offline()?;
        let (origin, status) = (replica.origin(), replica.status()?);
        let collections: Option<Vec<&str>> =
            origin.collections.as_ref().map(|some| some.names().iter().map(CollectionName::as_str).collect());
        let summary = json!({
            "url": origin.url,
            "space": origin.space.as_str(),
            "collections": collections,
            "client": status.client,
            "cursor": status.cursor,
            "whole": status.whole,
            "records": status.records,
            "checksum": status.checksum,
            "stale": status.stale,
            "to_fetch": status.to_fetch,
            "edits": status.edits,
            "sending": status.sending,
            "conflicts": status.conflicts,
            "synced_at": status.synced_at.map(|time| time.to_string()),
        });
        print(json, &summary, || describe(origin, &status))
    })
    .await
}

fn describe(origin: &Origin, status: &Status) -> String {
    let state = match (status.whole, status.to_fetch) {
        (true, _) => "whole, when it last heard of the server".into(),
        (false, 0) => "not whole yet: `sync` goes on with it".into(),
        (false, missing) => format!("in a repair, {missing} to fetch: `sync` goes on with it"),
    };
    let edits = match status.sending {
        0 => status.edits.to_string(),
        sending => format!("{}, {sending} of them pushed without an answer yet", status.edits + sending),
    };
    let lines = [
        ("space", origin.space.to_string()),
        ("server", origin.url.clone()),
        ("collections", origin.collections.as_ref().map_or_else(|| "all".into(), ToString::to_string)),
        ("client", status.client.clone()),
        ("cursor", status.cursor.clone().unwrap_or_else(|| "none".into())),
        ("state", state),
        ("records", status.records.to_string()),
        ("checksum", status.checksum.clone()),
        ("edits", edits),
        ("conflicts", status.conflicts.to_string()),
        ("synced", status.synced_at.map_or_else(|| "never".into(), |time| time.to_string())),
    ];
    lines.map(|(name, value)| format!("{name:<13}{value}")).join("\n")
}
