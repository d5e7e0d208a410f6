//! `strandline compact`: purge tombstones now, rather than when the server gets to it (PROTOCOL.md §7).

mod watch;

use clap::Args;
use serde_json::{Value, json};

use super::CliError;
use super::output::{bytes, print, table};
use super::target::{MayCreate, SpaceChoice, Target, TargetArgs};
use crate::compactor::{Compacted, Order};
use crate::domain::{Retention, SpaceName};

/// Purge old tombstones now, or watch how they are purged
///
/// A client whose cursor is behind a purged tombstone has to repair itself at its next pull. It is safe to interrupt:
/// tombstones go in small transactions, and the next run goes on.
#[derive(Debug, Args)]
pub struct CompactArgs {
    #[command(flatten)]
    spaces: SpaceChoice,
    /// Purge tombstones older than this, instead of the space's own retention
    #[arg(long, value_name = "DURATION")]
    older_than: Option<Retention>,
    /// Also what is held for clients that still need it
    #[arg(long)]
    force: bool,
    /// Only say what a purge would do
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    target: TargetArgs,
}

/// Whether to watch, and until when.
#[derive(Clone, Copy, Debug, Args)]
struct WatchArgs {
    /// Do not purge, but show once a second how the server's own compactor gets on, until interrupted
    #[arg(long, conflicts_with_all = ["older_than", "force", "dry_run"])]
    watch: bool,
    /// With --watch, end when nothing is left that may be purged
    #[arg(long, requires = "watch")]
    until_done: bool,
}

/// Runs the command.
pub async fn run(args: CompactArgs, json: bool) -> Result<(), CliError> {
    if args.watch.watch {
        return watch::run(args, json).await;
    }
    let target = args.target.open(MayCreate::No).await?;
    let order = Order { older_than: args.older_than, force: args.force, dry_run: args.dry_run };
    let done = compact(&*target, &args.spaces, order).await;
    target.close().await;
    let done = done?;
    let results: Vec<Value> = done.iter().map(|(name, purged)| to_json(name, purged)).collect();
    print(json, &json!({ "spaces": results, "dry_run": args.dry_run }), || {
        let purged = if args.dry_run { "WOULD PURGE" } else { "PURGED" };
        let rows: Vec<Vec<String>> = done.iter().map(|(name, purged)| row(name, purged)).collect();
        table(&["SPACE", purged, "BYTES", "HORIZON BEFORE", "HORIZON", "CLIENTS BEHIND"], &rows)
    })
}

async fn compact(
    target: &dyn Target,
    spaces: &SpaceChoice,
    order: Order,
) -> Result<Vec<(SpaceName, Compacted)>, CliError> {
    let mut done = Vec::new();
    for name in spaces.names(target).await? {
        match target.compact(&name, order).await {
            Ok(purged) => done.push((name, purged)),
            // Deleted since the list was read: nothing is left to purge.
            Err(CliError::NoSpace(_)) if spaces.all => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn row(name: &SpaceName, purged: &Compacted) -> Vec<String> {
    vec![
        name.to_string(),
        purged.tombstones.to_string(),
        bytes(purged.bytes),
        purged.horizon_before.to_string(),
        purged.horizon.to_string(),
        purged.clients_behind.to_string(),
    ]
}

fn to_json(name: &SpaceName, purged: &Compacted) -> Value {
    json!({
        "space": name.as_str(),
        "purged": purged.tombstones,
        "bytes": purged.bytes,
        "horizon_before": purged.horizon_before.get(),
        "horizon": purged.horizon.get(),
        "clients_behind": purged.clients_behind,
    })
}
