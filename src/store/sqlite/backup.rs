//! An online copy of the database: one consistent snapshot, taken while a server may be writing.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::connection::{failure, open_reader};
use super::restore::COPIED;
use crate::domain::{Clock, SystemClock};
use crate::store::StoreError;
use crate::store::schema::facts;

/// Copies the database at `source` to `target`, which must not exist. The copy appears under its name only when it is
/// whole and on the disk. It is marked, so that the store that opens it begins a new epoch: what clients were told
/// between the backup and the restore is then never mistaken for what it holds.
///
/// # Errors
/// [`StoreError::Open`] with a sentence that names both files; nothing is left behind then.
pub fn backup(source: &Path, target: &Path) -> Result<(), StoreError> {
    let cannot = |why: &dyn std::fmt::Display| {
        StoreError::Open(format!("{} cannot be backed up to {}: {why}", source.display(), target.display()))
    };
    if !source.exists() {
        return Err(cannot(&"there is no such database"));
    }
    if target.exists() {
        return Err(cannot(&"the target exists, and is not overwritten"));
    }
    let mut draft = target.as_os_str().to_owned();
    draft.push(".partial");
    let draft = Path::new(&draft);
    // Left behind by a backup that was cut short.
    let _ = std::fs::remove_file(draft);
    let copied = copy(source, draft).and_then(|()| {
        std::fs::File::open(draft).and_then(|file| file.sync_all()).map_err(StoreError::internal)?;
        std::fs::rename(draft, target).map_err(StoreError::internal)
    });
    copied.map_err(|error| {
        let _ = std::fs::remove_file(draft);
        match error {
            StoreError::Internal(why) => cannot(&why),
            other => other,
        }
    })
}

fn copy(source: &Path, draft: &Path) -> Result<(), StoreError> {
    let text = draft.to_str().ok_or_else(|| StoreError::Open("the target's path is not UTF-8".into()))?;
    let mut connection = open_reader(source)?;
    connection.batch_execute("PRAGMA query_only = OFF").map_err(failure)?;
    diesel::sql_query("VACUUM INTO ?1").bind::<Text, _>(text).execute(&mut connection).map_err(failure)?;
    let mut copy = SqliteConnection::establish(text).map_err(StoreError::internal)?;
    diesel::replace_into(facts::table)
        .values((facts::name.eq(COPIED), facts::value.eq(SystemClock.now().to_string())))
        .execute(&mut copy)
        .map_err(failure)?;
    Ok(())
}
