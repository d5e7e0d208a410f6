//! The last part of `--mirror`: live records that the file does not have are deleted.

use indicatif::ProgressBar;

use super::Place;
use super::check::Checked;
use super::push::{BATCH, Tally};
use crate::cli::CliError;
use crate::cli::target::{Pushing, Target};
use crate::domain::push::{Base, Op, Proposal};
use crate::domain::{Cursor, RecordId, Rev};

/// Deletes what is live and not in the file, if it is as it was at `start`, the head when the import began (`None`
/// where there was no space): what somebody wrote meanwhile is not this file's to delete.
pub async fn delete_missing(
    target: &dyn Target,
    place: &Place,
    start: Option<Cursor>,
    checked: &Checked,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let bar = ProgressBar::new_spinner().with_message("looking for what the file does not have");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let mut after = None;
    let mut missing = Vec::new();
    loop {
        let (ids, next) = match target.live_ids(&place.space, &place.collection, after).await {
            Ok(page) => page,
            // There was no space and nothing to push into one.
            Err(CliError::NoSpace(_)) if start.is_none() => return Ok(()),
            Err(error) => return Err(error),
        };
        missing.extend(ids.into_iter().filter(|id| !checked.lines.contains_key(id)));
        while missing.len() >= BATCH || (next.is_none() && !missing.is_empty()) {
            let batch = missing.drain(..missing.len().min(BATCH)).collect();
            delete(target, place, start, batch, &bar, tally).await?;
        }
        match next {
            Some(_) => after = next,
            None => break,
        }
    }
    bar.finish_and_clear();
    Ok(())
}

async fn delete(
    target: &dyn Target,
    place: &Place,
    start: Option<Cursor>,
    ids: Vec<RecordId>,
    bar: &ProgressBar,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let base = Base::Seen(start.map_or(Rev::ZERO, |cursor| cursor.rev));
    let change =
        |id: &RecordId| Proposal { collection: place.collection.clone(), id: id.clone(), base, op: Op::Delete };
    let changes: Vec<Proposal> = ids.iter().map(change).collect();
    // With the cursor, since a base says something in its own history only.
    let pushed = match target.push(&place.space, &changes, start).await {
        Err(CliError::Resync(_)) => Err(CliError::Failed(format!(
            "the space {} was put back to another state during the import: import the file again",
            place.space
        ))),
        other => other,
    }?;
    tally.head = tally.head.max(pushed.head);
    for (id, result) in ids.into_iter().zip(pushed.results) {
        match result {
            Pushing::Applied => tally.deleted += 1,
            // Somebody else deleted it.
            Pushing::Unchanged => {}
            Pushing::Conflict(rev) => tally.keep(id, rev, bar),
            Pushing::Rejected(why) => {
                let message = format!("{:?} could not be deleted: {why}", id.as_str());
                return Err(CliError::Failed(message));
            }
        }
    }
    Ok(())
}
