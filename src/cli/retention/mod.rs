//! `strandline retention`: how long deletions are remembered, why, and what another rule would do (PROTOCOL.md §7).

mod plan;
mod set;
mod show;

use clap::Subcommand;

use super::CliError;
use crate::domain::RetentionPolicy;
use crate::http::wire::retention::RetentionRule;

/// Show, plan and set how long deletions are remembered
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    Show(show::ShowArgs),
    Plan(plan::PlanArgs),
    Set(set::SetArgs),
}

/// Runs the command.
pub async fn run(command: RetentionCommand, json: bool) -> Result<(), CliError> {
    match command {
        RetentionCommand::Show(args) => show::run(args, json).await,
        RetentionCommand::Plan(args) => plan::run(args, json).await,
        RetentionCommand::Set(args) => set::run(args, json).await,
    }
}

/// Whether, and how long, tombstones are held for clients, for a cell of a table.
fn held(rule: &RetentionRule) -> String {
    if rule.hold_for_clients { format!("up to {}", rule.max_retention) } else { "no".into() }
}

/// How many tombstones are kept at the most, for a cell of a table.
fn bound(rule: &RetentionRule) -> String {
    rule.max_tombstones.map_or_else(|| "none".into(), |bound| bound.to_string())
}

/// A rule in words.
fn in_words(rule: &RetentionRule) -> String {
    let max = &rule.max_retention;
    let held =
        if rule.hold_for_clients { format!("held for clients up to {max}") } else { "not held for clients".into() };
    let bound = rule.max_tombstones.map(|bound| format!(", at most {bound} tombstones")).unwrap_or_default();
    format!("retention {}, {held}{bound}", rule.retention)
}

/// The same of a policy.
fn policy_in_words(policy: RetentionPolicy) -> String {
    in_words(&RetentionRule::from(policy))
}
