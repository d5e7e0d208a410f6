//! `strandline clients`: where the clients of a space were last seen (PROTOCOL.md §7).

use clap::Subcommand;
use serde_json::json;

use super::CliError;
use super::output::{ago_text, print, table};
use super::target::{MayCreate, TargetArgs};
use crate::domain::{ClientName, Clock, SpaceName, SystemClock, Timestamp};
use crate::http::wire::retention::Known;

/// List the known clients of a space, and forget one
#[derive(Debug, Subcommand)]
pub enum ClientsCommand {
    /// List where the clients of a space were last seen
    ///
    /// Known are those that name themselves with the header `Strandline-Client`.
    List {
        /// The space
        space: SpaceName,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Forget where a client was seen: nothing is held for it any more
    ///
    /// When it comes back it is known again. Beside a running server say --url, so that the server has it in mind no more
    /// either.
    Forget {
        /// The space
        space: SpaceName,
        /// The client, as it names itself
        #[arg(value_name = "NAME", value_parser = ClientName::new)]
        client: ClientName,
        #[command(flatten)]
        target: TargetArgs,
    },
}

/// Runs the command.
pub async fn run(command: ClientsCommand, json: bool) -> Result<(), CliError> {
    match command {
        ClientsCommand::List { space, target } => list(&space, target, json).await,
        ClientsCommand::Forget { space, client, target } => forget(&space, &client, target, json).await,
    }
}

async fn list(space: &SpaceName, target: TargetArgs, json: bool) -> Result<(), CliError> {
    let target = target.open(MayCreate::No).await?;
    let clients = target.clients(space).await;
    target.close().await;
    let clients = clients?;
    print(json, &json!({ "clients": clients }), || {
        let now = SystemClock.now();
        let rows: Vec<Vec<String>> = clients.iter().map(|client| row(client, now)).collect();
        table(&["CLIENT", "BEHIND", "REV", "LAST SEEN", "COLLECTIONS", "AGENT"], &rows)
    })
}

fn row(known: &Known, now: Timestamp) -> Vec<String> {
    vec![
        known.client.clone(),
        known.behind.to_string(),
        known.rev.to_string(),
        ago_text(&known.last_seen, now),
        known.collections.as_ref().map_or_else(|| "all".into(), |names| names.join(",")),
        known.agent.clone().unwrap_or_default(),
    ]
}

async fn forget(space: &SpaceName, client: &ClientName, target: TargetArgs, json: bool) -> Result<(), CliError> {
    let target = target.open(MayCreate::No).await?;
    let forgotten = target.forget_client(space, client).await;
    target.close().await;
    let client = client.as_str();
    if !forgotten? {
        let list = format!("`strandline clients list {space}` shows those that were");
        return Err(CliError::Failed(format!("no client named {client} was seen in the space {space}: {list}")));
    }
    let done = json!({ "space": space.as_str(), "client": client, "forgotten": true });
    print(json, &done, || format!("forgot {client} in {space}"))
}
