//! `strandline copy`: all spaces from one database to another, as they lie, so that clients notice nothing.

mod report;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::CliError;
use super::output::{note, plural};
use crate::copier::{self, Copied, CopyError, Progress};
use crate::domain::{SpaceName, SpaceState};
use crate::store::{self, DatabaseUrl, Store, StoreError, StoreOptions};
use report::{Outcome, Report};

/// Spaces listed in one query.
const PAGE: usize = 1_000;
/// Rows removed in one transaction, so that a server on the target waits for none of them long.
const SWEEP_ROWS: usize = 1_000;

/// Copy spaces from one database to another, as from an SQLite file to PostgreSQL or back
///
/// Stop the server on the source first: what it writes to a space that is copied already is not in the copy, and is told
/// of as a failure. Revisions, epochs, horizons, times and the numbers of clients' pushes are kept, so that clients go
/// on with the target as if nothing had happened; where all spaces are copied, issued tokens are too. A space appears there when it is whole, and after every collection was
/// counted anew and found equal in records, tombstones, bytes and checksum. It is safe to interrupt: run it again, and it
/// goes on where it was.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The database to copy from: sqlite:PATH, or `postgres://USER@HOST:PORT/NAME`
    #[arg(long, value_name = "URL", hide_env_values = true)]
    from: DatabaseUrl,
    /// The database to copy to; an SQLite file is made if it is not there
    #[arg(long, value_name = "URL", hide_env_values = true)]
    to: DatabaseUrl,
    /// Only this space; may be given again [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    space: Vec<SpaceName>,
    /// Copy nothing; remove what interrupted copies of these spaces left in the target
    #[arg(long)]
    discard: bool,
}

/// Runs the command.
pub async fn run(args: CopyArgs, json: bool) -> Result<(), CliError> {
    if is_same(&args.from, &args.to) {
        return Err(CliError::Usage(format!("--from and --to are the same database, {}", args.to)));
    }
    // Opening makes a file that is not there: that is for the target alone, and only when there is something to copy.
    must_exist(&args.from, "--from")?;
    if args.discard {
        must_exist(&args.to, "--to")?;
    }
    let source = store::open(&args.from, StoreOptions::default()).await?;
    let target = match store::open(&args.to, StoreOptions::default()).await {
        Ok(target) => target,
        Err(error) => {
            source.close().await;
            return Err(error.into());
        }
    };
    let run = Run { source, target, begun: Instant::now(), args };
    let done = if run.args.discard { run.discard(json).await } else { run.copy(json).await };
    run.source.close().await;
    run.target.close().await;
    done
}

fn is_same(one: &DatabaseUrl, other: &DatabaseUrl) -> bool {
    let place =
        |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into());
    match (one, other) {
        (DatabaseUrl::Sqlite(one), DatabaseUrl::Sqlite(other)) => place(one) == place(other),
        _ => one == other,
    }
}

fn must_exist(database: &DatabaseUrl, option: &str) -> Result<(), CliError> {
    match database {
        DatabaseUrl::Sqlite(path) if !path.exists() => {
            Err(CliError::Failed(format!("there is no database at {}, which {option} names", path.display())))
        }
        _ => Ok(()),
    }
}

struct Run {
    source: Arc<dyn Store>,
    target: Arc<dyn Store>,
    begun: Instant,
    args: CopyArgs,
}

impl Run {
    async fn copy(&self, json: bool) -> Result<(), CliError> {
        let names = self.names().await?;
        let mut report = Report::new(&self.args.from, &self.args.to);
        for (number, name) in names.iter().enumerate() {
            let bar = bar(name, number + 1, names.len());
            let mut progress = |progress: Progress| {
                bar.set_length(progress.head.get());
                bar.set_position(progress.copied.get());
                bar.set_message(format!("{} rows", HumanCount(progress.rows)));
            };
            let copied = copier::copy(&*self.source, &*self.target, name, &mut progress).await;
            let outcome = self.judge(name, copied).await?;
            if let Outcome::Failed(why) = &outcome {
                note(&bar, format_args!("{name}: {why}"));
            }
            bar.finish_and_clear();
            report.add(name, outcome);
        }
        // With some of the spaces only, the target is another server, with its own people.
        if self.args.space.is_empty() {
            let copied = copier::copy_tokens(&*self.source, &*self.target).await;
            report.tokens = copied.map_err(|error| CliError::Failed(error.to_string()))?;
        }
        self.check_sources(&mut report).await?;
        // What was given up on the way goes now, as no server may ever run on the target.
        while self.target.sweep_step(SWEEP_ROWS).await? > 0 {}
        report.print(json, self.begun.elapsed())
    }

    /// What became of a space. What keeps one space from being copied is no reason not to copy the others; a store that
    /// fails is.
    async fn judge(&self, name: &SpaceName, copied: Result<Copied, CopyError>) -> Result<Outcome, CliError> {
        let again = "what was copied is kept: run this again, and it goes on from there";
        match copied {
            Ok(copied) => Ok(Outcome::Copied(copied)),
            Err(CopyError::Source(StoreError::NoSpace(_))) => {
                // What an earlier run copied of it will never become a space.
                self.target.discard_copy(name.clone()).await?;
                Ok(Outcome::Failed("the source has no such space".into()))
            }
            Err(error @ (CopyError::Source(_) | CopyError::Target(_))) => {
                Err(CliError::Failed(format!("{error}; {again}")))
            }
            Err(error @ CopyError::Occupied(_)) => Ok(Outcome::Failed(format!(
                "{error}; delete it with `strandline spaces delete {name} --yes --database {}`, or choose others with \
                 --space",
                self.args.to
            ))),
            Err(error) => Ok(Outcome::Failed(error.to_string())),
        }
    }

    /// A server that still runs on the source may have written to a space after it was copied, and its clients will miss
    /// that when they come to the target: that must not pass for success.
    async fn check_sources(&self, report: &mut Report) -> Result<(), CliError> {
        for outcome in report.outcomes_mut() {
            let Outcome::Copied(Copied { state, .. }) = outcome else { continue };
            let moved = match self.source.space(&state.name).await {
                Ok(now) => !copier::is_copy_of(state, &now),
                Err(StoreError::NoSpace(_)) => true,
                Err(error) => return Err(error.into()),
            };
            if moved {
                let why = format!(
                    "it was written in the source after it was copied: stop the server there, delete the copy with \
                     `strandline spaces delete {} --yes --database {}`, and copy it again",
                    state.name, self.args.to
                );
                note(&ProgressBar::hidden(), format_args!("{}: {why}", state.name));
                *outcome = Outcome::Failed(why);
            }
        }
        Ok(())
    }

    async fn discard(&self, json: bool) -> Result<(), CliError> {
        let mut discarded = Vec::new();
        for name in self.names().await? {
            if self.target.discard_copy(name.clone()).await? {
                discarded.push(name);
            }
        }
        while self.target.sweep_step(SWEEP_ROWS).await? > 0 {}
        let names: Vec<&str> = discarded.iter().map(SpaceName::as_str).collect();
        super::output::print(json, &serde_json::json!({ "discarded": names }), || {
            let count = plural(names.len() as u64, "unfinished copy", "unfinished copies");
            format!("discarded {count}{}{}", if names.is_empty() { "" } else { ": " }, names.join(", "))
        })
    }

    /// The spaces chosen, or all that the source has.
    async fn names(&self) -> Result<Vec<SpaceName>, CliError> {
        if !self.args.space.is_empty() {
            return Ok(self.args.space.clone());
        }
        let mut names: Vec<SpaceName> = Vec::new();
        loop {
            let page: Vec<Arc<SpaceState>> = self.source.spaces("", names.last().cloned(), PAGE).await?;
            names.extend(page.iter().map(|state| state.name.clone()));
            if page.len() < PAGE {
                return Ok(names);
            }
        }
    }
}

/// A progress bar on a terminal, and nothing anywhere else. It measures revisions, so that it is right from the start
/// where a copy goes on.
fn bar(space: &SpaceName, number: usize, of: usize) -> ProgressBar {
    let bar = ProgressBar::new(0).with_prefix(format!("{space} ({number} of {of})"));
    if let Ok(style) = ProgressStyle::with_template("copying {prefix} [{wide_bar}] {percent}% {msg} {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
