//! `strandline conflicts`: what the server's win discarded, until somebody decides.

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{FileArgs, blocking};
use crate::cli::CliError;
use crate::cli::output::{plural, print};
use crate::replica::{Conflict, Replica};

/// Show the edits that the server did not take, and restore or discard them
///
/// Where two have changed a record, the server's own wins; what was written here is kept until you decide.
#[derive(Debug, Args)]
pub struct ConflictsArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    decision: Decision,
}

/// What is to be done with them; nothing is to show them.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Decision {
    /// Make what was written here an edit again, on what the server has now; may be given again
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    restore: Vec<u64>,
    /// Forget what was written here; may be given again
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    discard: Vec<u64>,
    /// Forget all of them
    #[arg(long)]
    discard_all: bool,
}

/// Runs the command.
pub async fn run(args: ConflictsArgs, json: bool) -> Result<(), CliError> {
    let ConflictsArgs { file, decision } = args;
    blocking(move || {
        let replica = file.open_offline()?;
        let conflicts = replica.conflicts()?;
        let Decision { restore, mut discard, discard_all } = decision;
        if restore.is_empty() && discard.is_empty() && !discard_all {
            return show(&conflicts, json);
        }
        if discard_all {
            discard = conflicts.iter().map(|conflict| conflict.number).collect();
        }
        decide(&replica, &file, &conflicts, &restore, &discard, json)
    })
    .await
}

fn decide(
    replica: &Replica,
    file: &FileArgs,
    conflicts: &[Conflict],
    restore: &[u64],
    discard: &[u64],
    json: bool,
) -> Result<(), CliError> {
    // A number that there is not is a mistake: so nothing is done before all are known.
    for number in restore.iter().chain(discard) {
        if !conflicts.iter().any(|conflict| conflict.number == *number) {
            return Err(crate::replica::ReplicaError::NoConflict(*number).into());
        }
    }
    for number in restore {
        replica.restore(*number)?;
    }
    for number in discard {
        replica.discard(*number)?;
    }
    let left = replica.conflicts()?.len();
    print(json, &json!({ "restored": restore, "discarded": discard, "left": left }), || {
        if restore.is_empty() {
            return format!("discarded {}", plural(discard.len() as u64, "conflict", "conflicts"));
        }
        let restored = plural(restore.len() as u64, "conflict", "conflicts");
        format!("restored {restored}: `strandline sync {}` pushes what was written", file.file.display())
    })
}

/// A conflict as programs read it.
#[derive(Serialize)]
struct Shown<'a> {
    number: u64,
    collection: &'a str,
    id: &'a str,
    /// `conflict` or `rejected`.
    reason: &'static str,
    mine: Mine<'a>,
    theirs: Option<&'a RawValue>,
    problem: Option<&'a RawValue>,
    found_at: String,
}

/// What was written here: `data`, or `"deleted": true`.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Mine<'a> {
    Data(&'a RawValue),
    Deleted(bool),
}

fn shown(conflict: &Conflict) -> Result<Shown<'_>, CliError> {
    Ok(Shown {
        number: conflict.number,
        collection: conflict.collection.as_str(),
        id: conflict.id.as_str(),
        reason: if conflict.problem.is_some() { "rejected" } else { "conflict" },
        mine: match &conflict.mine {
            Some(data) => Mine::Data(raw(data.as_str())?),
            None => Mine::Deleted(true),
        },
        theirs: conflict.theirs.as_deref().map(raw).transpose()?,
        problem: conflict.problem.as_deref().map(raw).transpose()?,
        found_at: conflict.found_at.to_string(),
    })
}

fn raw(json: &str) -> Result<&RawValue, CliError> {
    serde_json::from_str(json).map_err(|error| CliError::Failed(format!("a conflict's JSON: {error}")))
}

fn show(conflicts: &[Conflict], json: bool) -> Result<(), CliError> {
    let all = conflicts.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
    print(json, &json!({ "conflicts": all }), || match all.as_slice() {
        [] => "no conflicts".into(),
        some => some.iter().map(describe).collect(),
    })
}

fn describe(conflict: &Shown<'_>) -> String {
    let Shown { number, collection, id, found_at, .. } = conflict;
    let deleted = "(deleted)".to_owned();
    let mine = match &conflict.mine {
        Mine::Data(data) => data.get().to_owned(),
        Mine::Deleted(_) => deleted.clone(),
    };
    let theirs = match conflict.theirs.map(|theirs| serde_json::from_str::<Theirs<'_>>(theirs.get())) {
        Some(Ok(Theirs { data: Some(data) })) => data.get().to_owned(),
        Some(_) => deleted,
        None => "(nothing)".into(),
    };
    let why = match conflict.problem.map(|problem| serde_json::from_str::<Value>(problem.get())) {
        None => String::new(),
        Some(problem) => {
            let problem = problem.unwrap_or_default();
            let said = ["detail", "title", "code"].iter().find_map(|name| problem.get(name)?.as_str());
            format!("  rejected  {}\n", said.unwrap_or("the server did not say why"))
        }
    };
    format!("{number}  {collection}/{id}  {found_at}\n  mine      {mine}\n  server's  {theirs}\n{why}")
}

/// Of the server's record, its data.
#[derive(serde::Deserialize)]
struct Theirs<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}
