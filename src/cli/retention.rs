//! `strandline retention`: how long deletions are remembered (PROTOCOL.md §7).

use clap::Subcommand;
use serde_json::{Value, json};

use super::CliError;
use super::output::{print, table};
use super::target::{MayCreate, SpaceChoice, Target, TargetArgs};
use crate::domain::{Retention, RetentionPolicy, SpaceName};

/// Show and set how long deletions are remembered
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Show the retention of a space, or of all
    Show {
        #[command(flatten)]
        spaces: SpaceChoice,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Set the retention of a space, or of all
    ///
    /// A shorter one makes the compactor purge more at its next round; a client that was away for longer than that has
    /// to repair itself.
    Set {
        #[command(flatten)]
        spaces: SpaceChoice,
        /// A whole number and one of s m h d w, or `forever`
        #[arg(long, value_name = "DURATION")]
        retention: Retention,
        #[command(flatten)]
        target: TargetArgs,
    },
}

/// Runs the command.
pub async fn run(command: RetentionCommand, json: bool) -> Result<(), CliError> {
    let (spaces, target, retention) = match command {
        RetentionCommand::Show { spaces, target } => (spaces, target, None),
        RetentionCommand::Set { spaces, retention, target } => (spaces, target, Some(retention)),
    };
    let target = target.open(MayCreate::No).await?;
    let policies = policies(&*target, &spaces, retention).await;
    target.close().await;
    let policies = policies?;
    let values: Vec<Value> = policies.iter().map(|(name, policy)| to_json(name, policy)).collect();
    print(json, &json!({ "spaces": values }), || {
        let rows: Vec<Vec<String>> = policies.iter().map(|(name, policy)| row(name, policy)).collect();
        table(&["SPACE", "RETENTION", "HELD FOR CLIENTS"], &rows)
    })
}

async fn policies(
    target: &dyn Target,
    spaces: &SpaceChoice,
    retention: Option<Retention>,
) -> Result<Vec<(SpaceName, RetentionPolicy)>, CliError> {
    let mut all = Vec::new();
    for name in spaces.names(target).await? {
        let policy = match retention {
            Some(retention) => target.set_retention(&name, retention).await,
            None => target.retention(&name).await,
        };
        match policy {
            Ok(policy) => all.push((name, policy)),
            // Deleted since the list was read.
            Err(CliError::NoSpace(_)) if spaces.all => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn row(name: &SpaceName, policy: &RetentionPolicy) -> Vec<String> {
    let held = if policy.hold_for_clients { format!("up to {}", policy.max_retention) } else { "no".into() };
    vec![name.to_string(), policy.retention.to_string(), held]
}

fn to_json(name: &SpaceName, policy: &RetentionPolicy) -> Value {
    json!({
        "space": name.as_str(),
        "retention": policy.retention.to_string(),
        "hold_for_clients": policy.hold_for_clients,
        "max_retention": policy.max_retention.to_string(),
    })
}
