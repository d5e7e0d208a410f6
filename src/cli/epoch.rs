//! `strandline epoch`: the unbroken histories of a space, and declaring one broken (PROTOCOL.md §1).

use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};

use super::CliError;
use super::output::{print, table};
use super::target::{DatabaseArgs, SpaceChoice};
use crate::domain::SpaceState;
use crate::store::Store;

/// Show epochs, and open a new one after a restore
#[derive(Debug, Subcommand)]
pub enum EpochCommand {
    /// Show the epochs of a space, or of all
    Show {
        #[command(flatten)]
        spaces: SpaceChoice,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Open a new epoch: whatever clients hold beyond the present head is no longer of this history
    ///
    /// Do it when the database was put back to an earlier state by a way that Strandline does not see. A client that
    /// is ahead of the restored head then repairs itself; all others go on with their cursors.
    New {
        #[command(flatten)]
        spaces: SpaceChoice,
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Runs the command.
pub async fn run(command: EpochCommand, json: bool) -> Result<(), CliError> {
    match command {
        EpochCommand::Show { spaces, database } => {
            let store = database.open().await?;
            let states = states(&*store, &spaces).await;
            store.close().await;
            show(&states?, json)
        }
        EpochCommand::New { spaces, database } => {
            let store = database.open().await?;
            let opened = open_all(&*store, &spaces).await;
            store.close().await;
            report(&opened?, json)
        }
    }
}

async fn states(store: &dyn Store, spaces: &SpaceChoice) -> Result<Vec<Arc<SpaceState>>, CliError> {
    /// Spaces in one query.
    const PAGE: usize = 1_000;
    if let Some(name) = spaces.one() {
        return Ok(vec![store.space(name).await?]);
    }
    let mut all: Vec<Arc<SpaceState>> = Vec::new();
    loop {
        let page = store.spaces("", all.last().map(|state| state.name.clone()), PAGE).await?;
        let full = page.len() == PAGE;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

/// Opens an epoch in each; answers each space before and after.
async fn open_all(
    store: &dyn Store,
    spaces: &SpaceChoice,
) -> Result<Vec<(Arc<SpaceState>, Arc<SpaceState>)>, CliError> {
    let mut opened = Vec::new();
    for before in states(store, spaces).await? {
        let after = store.open_epoch(before.name.clone()).await?;
        opened.push((before, after));
    }
    Ok(opened)
}

fn show(states: &[Arc<SpaceState>], json: bool) -> Result<(), CliError> {
    let value = |state: &Arc<SpaceState>| -> Value {
        let entry = |(epoch, rev): (crate::domain::Epoch, crate::domain::Rev)| json!({ "epoch": epoch.as_str(), "opened_at": rev.get() });
        json!({
            "space": state.name.as_str(),
            "epoch": state.epoch().as_str(),
            "head": state.head.get(),
            "epochs": state.lineage.entries().map(entry).collect::<Vec<_>>(),
        })
    };
    print(json, &json!({ "spaces": states.iter().map(value).collect::<Vec<_>>() }), || {
        let rows: Vec<Vec<String>> = (states.iter())
            .flat_map(|state| {
                state.lineage.entries().map(|(epoch, rev)| {
                    let present = if epoch == state.epoch() { "present" } else { "" };
                    vec![state.name.to_string(), epoch.to_string(), rev.to_string(), present.to_owned()]
                })
            })
            .collect();
        table(&["SPACE", "EPOCH", "OPENED AT", ""], &rows)
    })
}

fn report(opened: &[(Arc<SpaceState>, Arc<SpaceState>)], json: bool) -> Result<(), CliError> {
    let value = |(before, after): &(Arc<SpaceState>, Arc<SpaceState>)| -> Value {
        json!({
            "space": after.name.as_str(),
            "previous_epoch": before.epoch().as_str(),
            "epoch": after.epoch().as_str(),
            "head": after.head.get(),
        })
    };
    print(json, &json!({ "spaces": opened.iter().map(value).collect::<Vec<_>>() }), || {
        let rows: Vec<Vec<String>> = (opened.iter())
            .map(|(before, after)| {
                let epochs = [before.epoch().to_string(), after.epoch().to_string()];
                [after.name.to_string()].into_iter().chain(epochs).chain([after.head.to_string()]).collect()
            })
            .collect();
        table(&["SPACE", "EPOCH BEFORE", "EPOCH", "HEAD"], &rows)
    })
}
