//! From pages to an export: each record once, in the state that it has at the cursor.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use super::spool::{Spool, Spooled};
use crate::cli::CliError;
use crate::domain::pull::Page;
use crate::domain::{Change, Checksum, CollectionName, Cursor, RecordId, Rev, Since};

/// An export, complete once [`Export::finish`] has been called.
pub struct Export {
    spool: Option<Spool>,
    spooled: Option<Spooled>,
    /// The head when it began: only records written after it can come twice.
    start: Rev,
    /// The newest revision of each record written after `start`.
    late: HashMap<(CollectionName, RecordId), Rev>,
    /// Whether tombstones are nothing: the export is of what is live.
    live_only: bool,
    read: u64,
    /// Where the export ends.
    pub cursor: Cursor,
    check: Option<(u64, Checksum)>,
}

impl Export {
    /// An export whose first page is `first`; `file` is where its changes are kept.
    pub fn begin(file: File, since: Since, first: &Page) -> Self {
        Self {
            spool: Some(Spool::new(file)),
            spooled: None,
            start: first.head,
            late: HashMap::new(),
            live_only: since == Since::Nothing,
            read: 0,
            cursor: first.cursor,
            check: None,
        }
    }

    /// Takes a page in.
    pub fn add(&mut self, page: &Page) -> Result<(), CliError> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        for change in &page.changes {
            spool.add(change).map_err(|error| fault(&error))?;
            if change.rev > self.start {
                self.late.insert((change.collection.clone(), change.id.clone()), change.rev);
            }
        }
        self.read += page.changes.len() as u64;
        self.cursor = page.cursor;
        self.check = page.check;
        Ok(())
    }

    /// Changes taken in.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Ends the reading. An export of what is live is compared with the count and checksum of its last page.
    pub fn finish(mut self) -> Result<Self, CliError> {
        let spool = self.spool.take();
        self.spooled = spool.map(Spool::finish).transpose().map_err(|error| fault(&error))?;
        if let (true, Some((count, checksum))) = (self.live_only, self.check) {
            let (mut live, mut sum) = (0, Checksum::EMPTY);
            for change in self.changes()? {
                sum.toggle(change?.rev);
                live += 1;
            }
            if (live, sum) != (count, checksum) {
                return Err(CliError::Failed(format!(
                    "what was read ({live} records, checksum {sum}) is not what the space has ({count}, {checksum}): \
                     export it again, and report this if it comes again"
                )));
            }
        }
        Ok(self)
    }

    /// The changes, each record once, in order of revision.
    pub fn changes(&self) -> Result<impl Iterator<Item = Result<Change, CliError>>, CliError> {
        let spooled = self.spooled.as_ref().ok_or_else(|| CliError::Failed("the export is not complete".into()))?;
        let changes = spooled.read().map_err(|error| fault(&error))?;
        Ok(changes.filter_map(|change| match change {
            Ok(change) => self.stands(&change).then_some(Ok(change)),
            Err(error) => Some(Err(fault(&error))),
        }))
    }

    fn stands(&self, change: &Change) -> bool {
        let superseded = || {
            let key = (change.collection.clone(), change.id.clone());
            self.late.get(&key).is_some_and(|newest| *newest > change.rev)
        };
        !(self.live_only && change.is_deleted()) && (self.late.is_empty() || !superseded())
    }
}

fn fault(error: &io::Error) -> CliError {
    CliError::io("the temporary file of the export (TMPDIR says where)", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Document, State, Timestamp};

    fn change(id: &str, rev: u64, live: bool) -> Change {
        Change {
            collection: CollectionName::new("c").unwrap(),
            id: RecordId::new(id).unwrap(),
            rev: Rev::new(rev).unwrap(),
            modified_at: Timestamp::from_micros(1),
            state: if live { State::Live(Document::from_stored("{}".into())) } else { State::Deleted },
        }
    }

    fn page(changes: Vec<Change>, head: u64, check: Option<(u64, Checksum)>) -> Page {
        Page {
            changes,
            cursor: format!("e.{head}").parse().unwrap(),
            has_more: check.is_none(),
            head: Rev::new(head).unwrap(),
            horizon: Rev::ZERO,
            valid_until: None,
            check,
        }
    }

    fn export(since: Since, live: &[u64]) -> Result<Export, CliError> {
        // While it is read, `a` is written again and `b` deleted; both come again on the last page.
        let first = page(vec![change("a", 1, true), change("b", 2, true), change("c", 3, true)], 3, None);
        let sum = live.iter().map(|rev| Rev::new(*rev).unwrap()).collect();
        let last = page(vec![change("a", 4, true), change("b", 5, false)], 5, Some((live.len() as u64, sum)));
        let mut export = Export::begin(tempfile::tempfile().unwrap(), since, &first);
        export.add(&first)?;
        export.add(&last)?;
        export.finish()
    }

    fn revs(export: &Export) -> Vec<u64> {
        export.changes().unwrap().map(|change| change.unwrap().rev.get()).collect()
    }

    #[test]
    fn a_record_written_during_the_export_comes_once_in_its_newest_state() {
        assert_eq!(revs(&export(Since::Nothing, &[3, 4]).unwrap()), [3, 4]);
        assert_eq!(revs(&export(Since::Rev(Rev::ZERO), &[3, 4]).unwrap()), [3, 4, 5]);
    }

    #[test]
    fn an_export_that_is_not_what_the_space_has_fails() {
        assert!(export(Since::Nothing, &[3, 4, 5]).is_err());
    }
}
