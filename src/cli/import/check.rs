//! The first reading of the file: every line is a record, and no id stands twice. Nothing has been written yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::rows::{Body, Fault};
use super::source::Source;
use crate::cli::CliError;
use crate::cli::output::{note, plural};
use crate::domain::RecordId;

/// As many faults are shown.
const SHOWN: u64 = 20;

/// What the first reading found.
#[derive(Debug, Default)]
pub struct Checked {
    /// The line of each id.
    pub lines: HashMap<RecordId, u64>,
    /// Rows read.
    pub read: u64,
    /// Those that are not deletions.
    pub live: u64,
}

/// Reads all of `source`; shows what is wrong with it on stderr.
pub async fn check(source: Source) -> Result<(Source, Checked), CliError> {
    let reading = tokio::task::spawn_blocking(move || {
        let checked = read(&source)?;
        Ok((source, checked))
    });
    reading.await.map_err(|error| CliError::task(&error))?
}

fn read(source: &Source) -> Result<Checked, CliError> {
    let (rows, bar) = source.rows("checking")?;
    let mut checked = Checked::default();
    let mut faults = 0;
    let mut show = |fault: Fault| {
        faults += 1;
        if faults <= SHOWN {
            note(&bar, format_args!("line {}: {}", fault.line, fault.what));
        }
    };
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(fault) => {
                show(fault);
                continue;
            }
        };
        checked.read += 1;
        checked.live += u64::from(!matches!(row.body, Body::Deleted));
        match checked.lines.entry(row.id) {
            Entry::Vacant(place) => drop(place.insert(row.line)),
            Entry::Occupied(first) => {
                let what = format!("the id {:?} stands on line {} already", first.key().as_str(), first.get());
                show(Fault { line: row.line, what });
            }
        }
    }
    bar.finish_and_clear();
    match faults {
        0 => Ok(checked),
        faults => {
            let more = if faults > SHOWN { format!(" (the first {SHOWN} are shown)") } else { String::new() };
            Err(CliError::Failed(format!(
                "{}: {} cannot be imported{more}, so nothing was written: mend the file and import it again",
                source.name,
                plural(faults, "line", "lines")
            )))
        }
    }
}
