//! `strandline retention set`: changes the rule for a space's tombstones, and says whom that leaves behind.

use std::str::FromStr;

use clap::{ArgAction, Args};
use serde::Serialize;
use serde_json::json;

use super::{bound, held, in_words};
use crate::cli::CliError;
use crate::cli::output::{bytes, plural, print, some_names, table};
use crate::cli::target::{MayCreate, SpaceChoice, Target, TargetArgs};
use crate::domain::{Retention, SpaceName};
use crate::http::wire::retention::{PlannedPurge, RetentionRule};
use crate::store::PolicyChange;

/// Set the retention of a space, or of all
///
/// A shorter one makes the compactor purge more at its next round; a client that was away for longer than that has to
/// repair itself. What the next purge takes by the new rule, and whom it leaves behind, is told.
#[derive(Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    spaces: SpaceChoice,
    #[command(flatten)]
    rule: RuleArgs,
    #[command(flatten)]
    target: TargetArgs,
}

/// What is to change; at least one of these.
#[derive(Clone, Copy, Debug, Args)]
#[group(required = true, multiple = true)]
struct RuleArgs {
    /// The age at which tombstones are purged: a whole number and one of s m h d w, or `forever`
    #[arg(long, value_name = "DURATION")]
    retention: Option<Retention>,
    /// Whether a tombstone that a known client still needs is kept for longer
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    hold_for_clients: Option<bool>,
    /// The age at which such a hold ends
    #[arg(long, value_name = "DURATION")]
    max_retention: Option<Retention>,
    /// Tombstones that are kept at the most, whatever their age and whoever needs them
    #[arg(long, value_name = "N|none")]
    max_tombstones: Option<Bound>,
}

/// A bound on tombstones, or none.
#[derive(Clone, Copy, Debug)]
struct Bound(Option<u64>);

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text {
            "none" => Ok(Self(None)),
            // A store keeps it in a signed column.
            _ if digits => match text.parse::<i64>() {
                Ok(bound) => Ok(Self(Some(bound.unsigned_abs()))),
                Err(_) => Err(format!("a bound is at most {}", i64::MAX)),
            },
            _ => Err("a bound is a whole number, or `none`".into()),
        }
    }
}

/// The rule of a space as it is now, and what the next purge does.
#[derive(Serialize)]
struct Ruled {
    space: String,
    #[serde(flatten)]
    rule: RetentionRule,
    next_purge: Option<PlannedPurge>,
}

/// Runs the command.
pub async fn run(args: SetArgs, json: bool) -> Result<(), CliError> {
    let RuleArgs { retention, hold_for_clients, max_retention, max_tombstones } = args.rule;
    let max_tombstones = max_tombstones.map(|bound| bound.0);
    let change = PolicyChange { retention, hold_for_clients, max_retention, max_tombstones };
    let target = args.target.open(MayCreate::No).await?;
    let ruled = set(&*target, &args.spaces, change).await;
    target.close().await;
    let ruled = ruled?;
    print(json, &json!({ "spaces": ruled }), || match (args.spaces.one(), ruled.first()) {
        (Some(space), Some(ruled)) => describe(space, ruled),
        _ => overview(&ruled),
    })
}

async fn set(target: &dyn Target, spaces: &SpaceChoice, change: PolicyChange) -> Result<Vec<Ruled>, CliError> {
    let mut all = Vec::new();
    for name in spaces.names(target).await? {
        match set_one(target, &name, change).await {
            Ok(ruled) => all.push(ruled),
            // Deleted since the list was read.
            Err(CliError::NoSpace(_)) if spaces.all => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

async fn set_one(target: &dyn Target, name: &SpaceName, change: PolicyChange) -> Result<Ruled, CliError> {
    let policy = target.set_retention(name, change).await?;
    let plan = target.plan(name, &[policy.retention]).await?;
    Ok(Ruled { space: name.to_string(), rule: RetentionRule::from(policy), next_purge: plan.plan.into_iter().next() })
}

fn describe(space: &SpaceName, ruled: &Ruled) -> String {
    let rule = format!("{space}: {}", in_words(&ruled.rule));
    let Some(purge) = &ruled.next_purge else { return rule };
    let takes = plural(purge.tombstones, "tombstone", "tombstones");
    let behind = match purge.clients_behind {
        0 => "no known client is behind after it".into(),
        count => format!(
            "{} behind after it: {} (repairs of {} instead of downloads of {})",
            plural(count, "known client is", "known clients are"),
            some_names(&purge.clients, count),
            bytes(purge.resync_bytes),
            bytes(purge.download_bytes),
        ),
    };
    format!("{rule}\nthe next purge takes {takes}; {behind}")
}

fn overview(ruled: &[Ruled]) -> String {
    let header = [
        "SPACE",
        "RETENTION",
        "HELD FOR CLIENTS",
        "MAX TOMBSTONES",
        "NEXT PURGE",
        "CLIENTS BEHIND AFTER IT",
        "WHO IS BEHIND",
    ];
    let row = |Ruled { space, rule, next_purge }: &Ruled| {
        let mut row = vec![space.clone(), rule.retention.clone(), held(rule), bound(rule)];
        if let Some(purge) = next_purge {
            let numbers = [purge.tombstones, purge.clients_behind];
            row.extend(numbers.map(|number| number.to_string()));
            row.push(some_names(&purge.clients, purge.clients_behind));
        }
        row
    };
    table(&header, &ruled.iter().map(row).collect::<Vec<_>>())
}
