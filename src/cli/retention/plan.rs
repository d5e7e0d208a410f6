//! `strandline retention plan`: what purges by several windows would do, who would be left behind, and what that costs.

use clap::Args;

use super::policy_in_words;
use crate::cli::CliError;
use crate::cli::output::{bytes, print, some_names, table};
use crate::cli::target::{MayCreate, Target, TargetArgs};
use crate::domain::retention::Unit;
use crate::domain::{Retention, RetentionPolicy, SpaceName};
use crate::http::wire::retention::{Plan, PlannedPurge};
use crate::stats::MOST_WINDOWS;

/// The windows of a plan that names none, besides the space's own.
const WINDOWS: [Retention; 4] = [days(1), days(7), days(30), days(90)];

const fn days(count: u64) -> Retention {
    Retention::For { count, unit: Unit::Day }
}

/// Show what a purge now would do, for several windows
///
/// For each window: the tombstones that would go, the new horizon, the known clients that would be behind it (those
/// included that are now), and what their repairs would cost, compared with full downloads. Nothing is changed. What
/// the space holds for clients is held in the plan too.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The space
    space: SpaceName,
    /// Windows, comma-separated: each a whole number and one of s m h d w, or `forever` [default: 1d,7d,30d,90d and
    /// the space's own]
    #[arg(long, value_name = "DURATIONS", value_delimiter = ',')]
    windows: Vec<Retention>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub async fn run(args: PlanArgs, json: bool) -> Result<(), CliError> {
    let PlanArgs { space, windows, target } = args;
    if windows.len() > MOST_WINDOWS {
        return Err(CliError::Usage(format!("--windows: a plan has at most {MOST_WINDOWS} windows")));
    }
    let target = target.open(MayCreate::No).await?;
    let planned = plan(&*target, &space, windows).await;
    target.close().await;
    let (policy, windows, plan) = planned?;
    print(json, &plan, || describe(&space, policy, &windows, &plan))
}

async fn plan(
    target: &dyn Target,
    space: &SpaceName,
    mut windows: Vec<Retention>,
) -> Result<(RetentionPolicy, Vec<Retention>, Plan), CliError> {
    let policy = target.retention(space).await?;
    if windows.is_empty() {
        windows.extend(WINDOWS);
        if !windows.iter().any(|window| is_own(policy, *window)) {
            windows.push(policy.retention);
        }
        windows.sort_by_key(|window| (window.window().is_none(), window.window()));
    }
    let plan = target.plan(space, &windows).await?;
    Ok((policy, windows, plan))
}

/// Whether a window is as long as the space's own, in whatever unit.
fn is_own(policy: RetentionPolicy, window: Retention) -> bool {
    window.window() == policy.retention.window()
}

fn describe(space: &SpaceName, policy: RetentionPolicy, windows: &[Retention], plan: &Plan) -> String {
    let header = [
        "",
        "WINDOW",
        "TOMBSTONES",
        "BYTES",
        "HORIZON",
        "CLIENTS BEHIND",
        "REPAIRS",
        "FULL DOWNLOADS",
        "WHO IS BEHIND",
    ];
    let rows: Vec<Vec<String>> =
        (windows.iter().zip(&plan.plan)).map(|(window, purge)| row(is_own(policy, *window), purge)).collect();
    format!("{}\n* {space}'s own: {}", table(&header, &rows), policy_in_words(policy))
}

fn row(own: bool, purge: &PlannedPurge) -> Vec<String> {
    vec![
        if own { "*".into() } else { String::new() },
        purge.window.clone(),
        purge.tombstones.to_string(),
        bytes(purge.bytes),
        purge.horizon.to_string(),
        purge.clients_behind.to_string(),
        bytes(purge.resync_bytes),
        bytes(purge.download_bytes),
        some_names(&purge.clients, purge.clients_behind),
    ]
}
