//! `strandline retention show`: which rule holds the horizon where it is, and who pins it.

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{bound, held, in_words};
use crate::cli::CliError;
use crate::cli::output::{ago_text, print, table};
use crate::cli::target::{MayCreate, SpaceChoice, Target, TargetArgs};
use crate::domain::{Clock, SpaceName, SystemClock};
use crate::http::wire::retention::RetentionState;

/// Show the retention of a space, or of all, and what holds the horizon
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    spaces: SpaceChoice,
    #[command(flatten)]
    target: TargetArgs,
}

/// What is told of a space.
#[derive(Serialize)]
struct Shown {
    space: String,
    #[serde(flatten)]
    state: RetentionState,
}

/// Runs the command.
pub async fn run(args: ShowArgs, json: bool) -> Result<(), CliError> {
    let target = args.target.open(MayCreate::No).await?;
    let shown = explain(&*target, &args.spaces).await;
    target.close().await;
    let shown = shown?;
    print(json, &json!({ "spaces": shown }), || match (args.spaces.one(), shown.first()) {
        (Some(space), Some(shown)) => describe(space, &shown.state),
        _ => overview(&shown),
    })
}

async fn explain(target: &dyn Target, spaces: &SpaceChoice) -> Result<Vec<Shown>, CliError> {
    let mut all = Vec::new();
    for name in spaces.names(target).await? {
        match target.explain(&name).await {
            Ok(state) => all.push(Shown { space: name.to_string(), state }),
            // Deleted since the list was read.
            Err(CliError::NoSpace(_)) if spaces.all => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn overview(shown: &[Shown]) -> String {
    let header = [
        "SPACE",
        "RETENTION",
        "HELD FOR CLIENTS",
        "MAX TOMBSTONES",
        "TOMBSTONES",
        "PURGEABLE",
        "HORIZON",
        "RULE",
        "PINS",
    ];
    let row = |Shown { space, state }: &Shown| {
        vec![
            space.clone(),
            state.policy.retention.clone(),
            held(&state.policy),
            bound(&state.policy),
            state.tombstones.to_string(),
            state.purgeable.to_string(),
            state.horizon.to_string(),
            state.rule.clone(),
            state.pinned_by.len().to_string(),
        ]
    };
    table(&header, &shown.iter().map(row).collect::<Vec<_>>())
}

fn describe(space: &SpaceName, state: &RetentionState) -> String {
    let now = SystemClock.now();
    let oldest = match &state.oldest_tombstone {
        Some(time) => format!("{time} ({})", ago_text(time, now)),
        None => "none".into(),
    };
    let lines = [
        ("space", space.to_string()),
        ("policy", in_words(&state.policy)),
        ("head", state.head.to_string()),
        ("horizon", state.horizon.to_string()),
        ("tombstones", format!("{}, of which {} may be purged now", state.tombstones, state.purgeable)),
        ("oldest", oldest),
        ("rule", format!("{}: {}", state.rule, state.detail)),
    ];
    let mut text = lines.map(|(name, value)| format!("{name:<12}{value}")).join("\n");
    if !state.pinned_by.is_empty() {
        let pins: Vec<Vec<String>> = (state.pinned_by.iter())
            .map(|pin| vec![pin.client.clone(), pin.rev.to_string(), ago_text(&pin.last_seen, now)])
            .collect();
        text.push_str("\n\n");
        text.push_str(&table(&["PINNED BY", "REV", "LAST SEEN"], &pins));
    }
    text
}
