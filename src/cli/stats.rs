//! `strandline stats`: sizes, ages and lags, of one space in full or of all in a line each (PROTOCOL.md §7).

use clap::Args;
use serde_json::json;

use super::CliError;
use super::output::{ago_text, bytes, print, table};
use super::target::{MayCreate, SpaceChoice, Target, TargetArgs};
use crate::domain::{Clock, SystemClock, Timestamp};
use crate::http::wire::stats::{CollectionStats, Sizes, Stats, TombstoneAge};

/// Show how large a space is, how old its tombstones are, and how far its clients are behind
#[derive(Debug, Args)]
pub struct StatsArgs {
    #[command(flatten)]
    spaces: SpaceChoice,
    #[command(flatten)]
    target: TargetArgs,
}

/// Runs the command.
pub async fn run(args: StatsArgs, json: bool) -> Result<(), CliError> {
    let target = args.target.open(MayCreate::No).await?;
    let stats = collect(&*target, &args.spaces).await;
    let database_bytes = target.database_bytes();
    target.close().await;
    let stats = stats?;
    print(json, &json!({ "spaces": stats, "database_bytes": database_bytes }), || {
        let now = SystemClock.now();
        let text = match (args.spaces.one(), stats.first()) {
            (Some(_), Some(stats)) => describe(stats, now),
            _ => overview(&stats, now),
        };
        let database = database_bytes.map(|size| format!("\nthe database is {} large", bytes(size)));
        text + &database.unwrap_or_default()
    })
}

async fn collect(target: &dyn Target, spaces: &SpaceChoice) -> Result<Vec<Stats>, CliError> {
    let mut all = Vec::new();
    for name in spaces.names(target).await? {
        match target.stats(&name).await {
            Ok(stats) => all.push(stats),
            // Deleted since the list was read.
            Err(CliError::NoSpace(_)) if spaces.all => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

const SIZES: [&str; 6] = ["HEAD", "HORIZON", "RECORDS", "BYTES", "TOMBSTONES", "BYTES"];

/// The cells under [`SIZES`].
fn sizes(sizes: &Sizes) -> [String; 6] {
    [
        sizes.head.to_string(),
        sizes.horizon.to_string(),
        sizes.records.to_string(),
        bytes(sizes.record_bytes),
        sizes.tombstones.to_string(),
        bytes(sizes.tombstone_bytes),
    ]
}

fn overview(all: &[Stats], now: Timestamp) -> String {
    let header = [&["SPACE"], &SIZES[..], &["OLDEST TOMBSTONE", "CLIENTS", "UP TO DATE", "FURTHEST BEHIND"]].concat();
    let row = |stats: &Stats| {
        let clients: u64 = stats.clients.iter().map(|lag| lag.clients).sum();
        let current = stats.clients.iter().find(|lag| lag.behind_to == 0).map_or(0, |lag| lag.clients);
        let furthest = stats.clients.last().map(|lag| range(lag.behind_from, lag.behind_to));
        let mut row = vec![stats.space.clone()];
        row.extend(sizes(&stats.sizes));
        row.extend([oldest(stats, now), clients.to_string(), current.to_string(), furthest.unwrap_or_default()]);
        row
    };
    table(&header, &all.iter().map(row).collect::<Vec<_>>())
}

fn oldest(stats: &Stats, now: Timestamp) -> String {
    stats.oldest_tombstone.as_ref().map_or_else(|| "none".into(), |time| ago_text(time, now))
}

/// A number of revisions behind the head, from and to.
fn range(from: u64, to: u64) -> String {
    if from == to { from.to_string() } else { format!("{from}-{to}") }
}

fn describe(stats: &Stats, now: Timestamp) -> String {
    let header = [&["COLLECTION"], &SIZES[..]].concat();
    let collection = |one: &CollectionStats| [vec![one.collection.clone()], sizes(&one.sizes).to_vec()].concat();
    let mut rows: Vec<Vec<String>> = stats.collections.iter().map(collection).collect();
    rows.push([vec![format!("all of {}", stats.space)], sizes(&stats.sizes).to_vec()].concat());
    let parts = [table(&header, &rows), ages(stats, now), lags(stats, now)];
    parts.join("\n")
}

/// How many tombstones are how old: between two ages each, where there are any.
fn ages(stats: &Stats, now: Timestamp) -> String {
    if stats.sizes.tombstones == 0 {
        return "there are no tombstones\n".into();
    }
    let from = &stats.tombstone_ages;
    let to = from.iter().skip(1).map(Some).chain([None]);
    let row = |(from, to): (&TombstoneAge, Option<&TombstoneAge>)| {
        let count = from.tombstones.saturating_sub(to.map_or(0, |to| to.tombstones));
        let age = match to {
            Some(to) => format!("{}-{}", from.older_than, to.older_than),
            None => format!("over {}", from.older_than),
        };
        (count > 0).then(|| vec![age, count.to_string()])
    };
    let rows: Vec<Vec<String>> = from.iter().zip(to).filter_map(row).collect();
    format!("{}the oldest was written {}\n", table(&["AGE", "TOMBSTONES"], &rows), oldest(stats, now))
}

/// How many clients are how far behind, and pulls by those without a name.
fn lags(stats: &Stats, now: Timestamp) -> String {
    let mut ranges: Vec<(u64, u64)> = stats.clients.iter().map(|lag| (lag.behind_from, lag.behind_to)).collect();
    ranges.extend(stats.anonymous.iter().map(|pulls| (pulls.behind_from, pulls.behind_to)));
    ranges.sort_unstable();
    ranges.dedup();
    if ranges.is_empty() {
        return "no client was seen\n".into();
    }
    let row = |&(from, to): &(u64, u64)| {
        let named = stats.clients.iter().find(|lag| lag.behind_from == from).map_or(0, |lag| lag.clients);
        let pulls = stats.anonymous.iter().find(|pulls| pulls.behind_from == from);
        vec![
            range(from, to),
            named.to_string(),
            pulls.map_or(0, |pulls| pulls.pulls).to_string(),
            pulls.map(|pulls| ago_text(&pulls.last_seen, now)).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = ranges.iter().map(row).collect();
    table(&["REVISIONS BEHIND", "CLIENTS", "ANONYMOUS PULLS IN 30 DAYS", "THE LAST"], &rows)
}
