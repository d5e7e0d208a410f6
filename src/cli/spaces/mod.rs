//! `strandline spaces`: what spaces there are, what they may hold, and making and removing them.

mod quota;

use clap::{Args, Subcommand};
use serde_json::json;

use super::CliError;
use super::output::{plural, print, table};
use super::target::{MayCreate, SpaceInfo, TargetArgs};
use crate::domain::{Retention, SpaceName};

/// List, show, create and delete spaces, and bound what they hold
#[derive(Debug, Subcommand)]
pub enum SpacesCommand {
    /// List all spaces
    List {
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Show one space
    Show(Named),
    /// Create a space
    Create {
        #[command(flatten)]
        named: Named,
        /// How long it remembers deletions: a whole number and one of s m h d w, or `forever`
        #[arg(long, value_name = "DURATION")]
        retention: Option<Retention>,
    },
    Quota(quota::QuotaArgs),
    /// Delete a space with all it holds
    Delete {
        #[command(flatten)]
        named: Named,
        /// Yes, really: there is no way back
        #[arg(long)]
        yes: bool,
    },
}

/// A space by its name.
#[derive(Debug, Args)]
pub struct Named {
    /// The space
    name: SpaceName,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub async fn run(command: SpacesCommand, json: bool) -> Result<(), CliError> {
    match command {
        SpacesCommand::List { target } => list(target, json).await,
        SpacesCommand::Show(named) => show(named, json).await,
        SpacesCommand::Create { named, retention } => create(named, retention, json).await,
        SpacesCommand::Quota(args) => quota::run(args, json).await,
        SpacesCommand::Delete { named, yes } => delete(named, yes, json).await,
    }
}

async fn list(target: TargetArgs, json: bool) -> Result<(), CliError> {
    let target = target.open(MayCreate::No).await?;
    let spaces = target.spaces().await;
    target.close().await;
    let spaces = spaces?;
    print(json, &json!({ "spaces": spaces }), || {
        let header = ["SPACE", "HEAD", "RECORDS", "TOMBSTONES", "HORIZON", "RETENTION", "EPOCH", "MODIFIED"];
        let rows: Vec<Vec<String>> = spaces.iter().map(|space| row(space.clone())).collect();
        table(&header, &rows)
    })
}

fn row(space: SpaceInfo) -> Vec<String> {
    vec![
        space.space,
        space.head.to_string(),
        space.records.to_string(),
        space.tombstones.to_string(),
        space.horizon.to_string(),
        space.retention,
        space.epoch,
        space.modified_at,
    ]
}

async fn show(named: Named, json: bool) -> Result<(), CliError> {
    let target = named.target.open(MayCreate::No).await?;
    let space = target.space(&named.name).await;
    target.close().await;
    let space = space?;
    print(json, &space, || describe(&space))
}

fn describe(space: &SpaceInfo) -> String {
    let lines = [
        ("space", space.space.clone()),
        ("epoch", space.epoch.clone()),
        ("head", space.head.to_string()),
        ("horizon", space.horizon.to_string()),
        ("cursor", space.cursor.clone()),
        ("records", space.records.to_string()),
        ("tombstones", space.tombstones.to_string()),
        ("checksum", space.checksum.clone()),
        ("retention", space.retention.clone()),
        ("created", space.created_at.clone()),
        ("modified", space.modified_at.clone()),
    ];
    lines.map(|(name, value)| format!("{name:<12}{value}")).join("\n")
}

async fn create(named: Named, retention: Option<Retention>, json: bool) -> Result<(), CliError> {
    let target = named.target.open(MayCreate::Yes).await?;
    let created = match target.space(&named.name).await {
        Err(CliError::NoSpace(_)) => target.create(&named.name, retention).await,
        Ok(_) => Err(CliError::Failed(format!(
            "the space {0} is there already: change it with `strandline retention set --space {0}`",
            named.name
        ))),
        Err(error) => Err(error),
    };
    target.close().await;
    let space = created?;
    print(json, &space, || format!("created {} (epoch {}, retention {})", space.space, space.epoch, space.retention))
}

async fn delete(named: Named, yes: bool, json: bool) -> Result<(), CliError> {
    let name = named.name;
    if !yes {
        let message = format!("deleting the space {name} has no way back: say --yes if you mean it");
        return Err(CliError::Usage(message));
    }
    let target = named.target.open(MayCreate::No).await?;
    let deleted = async {
        let space = target.space(&name).await?;
        target.delete(&name).await?;
        Ok::<_, CliError>(space)
    };
    let deleted = deleted.await;
    target.close().await;
    let space = deleted?;
    print(json, &json!({ "space": space.space, "deleted": true, "records": space.records }), || {
        format!("deleted {} with {}", space.space, plural(space.records, "record", "records"))
    })
}
