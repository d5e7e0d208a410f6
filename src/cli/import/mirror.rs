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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::cli::target::Local;
    use crate::domain::{CollectionName, Document, SpaceName};
    use crate::store::DatabaseUrl;

    /// A space with the records `ids`, and the cursor of its head.
    async fn space_of(folder: &tempfile::TempDir, ids: &[&str]) -> (Local, Place, Cursor) {
        let target = Local::open(&DatabaseUrl::Sqlite(folder.path().join("s.db"))).await.unwrap();
        let place = Place { space: SpaceName::new("s").unwrap(), collection: CollectionName::new("c").unwrap() };
        for id in ids {
            put(&target, &place, id, "{}").await;
        }
        let start = target.space(&place.space).await.unwrap().cursor().unwrap();
        (target, place, start)
    }

    async fn put(target: &Local, place: &Place, id: &str, data: &str) {
        let op = Op::Put(Document::from_stored(data.into()));
        let id = RecordId::new(id).unwrap();
        let change = Proposal { collection: place.collection.clone(), id, base: Base::Any, op };
        target.push(&place.space, &[change], None).await.unwrap();
    }

    fn file_with(ids: &[&str]) -> Checked {
        let lines: HashMap<_, _> = ids.iter().map(|id| (RecordId::new(*id).unwrap(), 1)).collect();
        Checked { lines, read: 1, live: 1 }
    }

    #[tokio::test]
    async fn what_somebody_wrote_since_the_import_began_is_kept_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let (target, place, start) = space_of(&folder, &["in-file", "stale", "edited"]).await;
        put(&target, &place, "edited", "{\"n\":1}").await;
        put(&target, &place, "new", "{}").await;
        let mut tally = Tally::new(start.rev);
        let file = file_with(&["in-file"]);
        delete_missing(&target, &place, Some(start), &file, &mut tally).await.unwrap();
        assert_eq!((tally.deleted, tally.kept, tally.head.get()), (1, 2, 6));
        let kept: Vec<_> = tally.keepings.iter().map(|one| (one.id.as_str(), one.rev.map(Rev::get))).collect();
        assert_eq!(kept, [("edited", Some(4)), ("new", Some(5))]);
        let (live, _) = target.live_ids(&place.space, &place.collection, None).await.unwrap();
        assert_eq!(live.iter().map(RecordId::as_str).collect::<Vec<_>>(), ["edited", "in-file", "new"]);
    }

    #[tokio::test]
    async fn a_space_that_was_made_meanwhile_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (target, place, _) = space_of(&folder, &["foreign"]).await;
        let mut tally = Tally::new(Rev::ZERO);
        delete_missing(&target, &place, None, &file_with(&["mine"]), &mut tally).await.unwrap();
        assert_eq!((tally.deleted, tally.kept), (0, 1));
    }

    #[tokio::test]
    async fn nothing_is_deleted_by_a_start_of_another_history() {
        let folder = tempfile::tempdir().unwrap();
        let (target, place, start) = space_of(&folder, &["a"]).await;
        // As after a restore: the space made anew, with another epoch and a head as high.
        target.delete(&place.space).await.unwrap();
        put(&target, &place, "b", "{}").await;
        let mut tally = Tally::new(start.rev);
        let error = delete_missing(&target, &place, Some(start), &file_with(&["a"]), &mut tally).await.unwrap_err();
        assert!(error.to_string().contains("another state"), "{error}");
        let (live, _) = target.live_ids(&place.space, &place.collection, None).await.unwrap();
        assert_eq!(live.len(), 1);
    }
}
