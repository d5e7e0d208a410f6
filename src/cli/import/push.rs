//! The second reading of the file: its rows go to the target in batches, read ahead by a thread of their own.

use std::sync::Arc;

use indicatif::ProgressBar;
use tokio::sync::mpsc;

use super::Place;
use super::check::Checked;
use super::rows::{Body, Row};
use super::source::Source;
use crate::cli::CliError;
use crate::cli::output::note;
use crate::cli::target::{Pushing, Target};
use crate::domain::json::MAX_DEPTH;
use crate::domain::push::{Base, Op, Oversize, Proposal};
use crate::domain::{RecordId, Rev};

/// Changes in a push, at the most.
pub const BATCH: usize = 1_000;
/// Bytes in a push, about: half of what a server takes by default (§4).
const BATCH_BYTES: usize = 8 << 20;
/// What a change takes beside its data and id.
const CHANGE_BYTES: usize = 120;
/// Batches read ahead.
const AHEAD: usize = 2;
/// As many records are listed by name for programs; people see all.
const LISTED: usize = 1_000;

/// What came of an import.
#[derive(Debug)]
pub struct Tally {
    /// Records that took a revision.
    pub applied: u64,
    /// Records that were that way already.
    pub unchanged: u64,
    /// Records deleted.
    pub deleted: u64,
    /// Records that somebody changed meanwhile, and that were therefore left alone.
    pub kept: u64,
    /// Records that break a limit.
    pub rejected: u64,
    /// The first of those kept.
    pub keepings: Vec<Kept>,
    /// The first of those rejected.
    pub rejections: Vec<Rejected>,
    /// The newest revision seen.
    pub head: Rev,
}

/// A record left alone.
#[derive(Debug)]
pub struct Kept {
    /// Its id.
    pub id: RecordId,
    /// Its revision.
    pub rev: Option<Rev>,
}

/// A record that breaks a limit.
#[derive(Debug)]
pub struct Rejected {
    /// Its id.
    pub id: RecordId,
    /// Where it stands in the file.
    pub line: u64,
    /// Which limit.
    pub why: String,
}

impl Tally {
    /// Nothing yet, at `head`.
    pub fn new(head: Rev) -> Self {
        Self {
            applied: 0,
            unchanged: 0,
            deleted: 0,
            kept: 0,
            rejected: 0,
            keepings: Vec::new(),
            rejections: Vec::new(),
            head,
        }
    }

    /// Counts a record that was left alone, and says so.
    pub fn keep(&mut self, id: RecordId, rev: Option<Rev>, bar: &ProgressBar) {
        self.kept += 1;
        note(bar, format_args!("kept {:?}: somebody changed it since the import began", id.as_str()));
        if self.keepings.len() < LISTED {
            self.keepings.push(Kept { id, rev });
        }
    }

    fn reject(&mut self, id: RecordId, line: u64, why: String, bar: &ProgressBar) {
        self.rejected += 1;
        note(bar, format_args!("line {line}: {:?} was rejected: {why}", id.as_str()));
        if self.rejections.len() < LISTED {
            self.rejections.push(Rejected { id, line, why });
        }
    }
}

/// Pushes every row of `source`, whatever the records there are now.
pub async fn push_file(
    target: &dyn Target,
    place: &Place,
    source: Source,
    checked: &Arc<Checked>,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let (send, mut batches) = mpsc::channel(AHEAD);
    let checked = Arc::clone(checked);
    let (rows, bar) = source.rows("importing")?;
    let name = source.name;
    let reader = tokio::task::spawn_blocking(move || {
        let mut batch = Batch::default();
        for row in rows {
            let row = row.ok().filter(|row| checked.lines.get(&row.id) == Some(&row.line));
            let row = row.ok_or_else(|| {
                CliError::Failed(format!("{name} was changed while it was read: import it again when it is complete"))
            })?;
            if let Some(full) = batch.add(row)
                && send.blocking_send(full).is_err()
            {
                // The push failed, and says so itself.
                return Ok(());
            }
        }
        let _ = send.blocking_send(batch.rows);
        Ok(())
    });
    while let Some(batch) = batches.recv().await {
        push_batch(target, place, batch, &bar, tally).await?;
    }
    bar.finish_and_clear();
    reader.await.map_err(|error| CliError::task(&error))?
}

/// Rows on their way into one push.
#[derive(Default)]
struct Batch {
    rows: Vec<Row>,
    bytes: usize,
}

impl Batch {
    /// Takes `row` in; gives the rows before it, when it would be too many with them.
    fn add(&mut self, row: Row) -> Option<Vec<Row>> {
        let data = match &row.body {
            Body::Data(data) => data.len(),
            Body::Deleted | Body::TooDeep => 0,
        };
        let bytes = data + row.id.as_str().len() + CHANGE_BYTES;
        let full = self.rows.len() >= BATCH || (!self.rows.is_empty() && self.bytes + bytes > BATCH_BYTES);
        let before = full.then(|| std::mem::take(self).rows);
        self.rows.push(row);
        self.bytes += bytes;
        before
    }
}

async fn push_batch(
    target: &dyn Target,
    place: &Place,
    rows: Vec<Row>,
    bar: &ProgressBar,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let mut changes = Vec::with_capacity(rows.len());
    let mut lines = Vec::with_capacity(rows.len());
    for Row { line, id, body } in rows {
        let op = match body {
            Body::Data(data) => Op::Put(data),
            Body::Deleted => Op::Delete,
            Body::TooDeep => {
                tally.reject(id, line, Oversize::Depth { limit: MAX_DEPTH }.to_string(), bar);
                continue;
            }
        };
        changes.push(Proposal { collection: place.collection.clone(), id, base: Base::Any, op });
        lines.push(line);
    }
    // Halves of a push that was too large for the server follow one another, the first one on top.
    let mut todo = vec![(changes, lines)];
    while let Some((mut changes, mut lines)) = todo.pop() {
        if changes.is_empty() {
            continue;
        }
        match target.push(&place.space, &changes, None).await {
            Ok(pushed) => {
                tally.head = tally.head.max(pushed.head);
                for ((change, line), result) in changes.into_iter().zip(lines).zip(pushed.results) {
                    count(change, line, result, bar, tally);
                }
            }
            Err(CliError::TooLarge(_)) if changes.len() > 1 => {
                let half = changes.len() / 2;
                let rest = (changes.split_off(half), lines.split_off(half));
                todo.push(rest);
                todo.push((changes, lines));
            }
            Err(CliError::TooLarge(why)) => {
                for (change, line) in changes.into_iter().zip(lines) {
                    tally.reject(change.id, line, why.clone(), bar);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn count(change: Proposal, line: u64, result: Pushing, bar: &ProgressBar, tally: &mut Tally) {
    match (result, change.op) {
        (Pushing::Applied, Op::Delete) => tally.deleted += 1,
        (Pushing::Applied, _) => tally.applied += 1,
        (Pushing::Unchanged, _) => tally.unchanged += 1,
        (Pushing::Rejected(why), _) => tally.reject(change.id, line, why, bar),
        // An unconditional change has none by the protocol: should there be one, it must not pass for done.
        (Pushing::Conflict(_), _) => tally.reject(change.id, line, "the record there stays (a conflict)".into(), bar),
    }
}
