//! What the server's win discarded: kept until somebody decides (clients/PROTOCOL-CLIENT.md, 8).

use diesel::prelude::*;

use super::schema::conflicts;
use super::{Replica, ReplicaError, edit};
use crate::domain::{CollectionName, Document, RecordId, Timestamp};

/// What the server's win discarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// By which it is restored or discarded.
    pub number: u64,
    /// The record's collection.
    pub collection: CollectionName,
    /// The record's id.
    pub id: RecordId,
    /// What the user wrote; `None` for a deletion.
    pub mine: Option<Document>,
    /// The server's record then, as a change of PROTOCOL.md §2 in JSON; `None` where none was held.
    pub theirs: Option<String>,
    /// Why the server cannot take it at all, as JSON; `None` where its own record won.
    pub problem: Option<String>,
    /// When.
    pub found_at: Timestamp,
}

type ConflictRow = (i64, String, String, Option<String>, Option<String>, Option<String>, i64);

impl Replica {
    /// What the server's win discarded and nobody decided, oldest first.
    ///
    /// # Errors
    /// [`ReplicaError::Local`].
    pub fn conflicts(&self) -> Result<Vec<Conflict>, ReplicaError> {
        let rows = self.read(|file| Ok(conflicts::table.order(conflicts::number).load::<ConflictRow>(file)?))?;
        rows.into_iter().map(conflict).collect()
    }

    /// Makes what a conflict discarded the user's newest edit, on whatever is there now.
    ///
    /// # Errors
    /// [`ReplicaError::NoConflict`], [`ReplicaError::Local`].
    pub fn restore(&self, number: u64) -> Result<(), ReplicaError> {
        let key = self.write(|file| {
            let row = conflicts::table.find(stored(number)).first::<ConflictRow>(file).optional()?;
            let conflict = row.map(conflict).transpose()?.ok_or(ReplicaError::NoConflict(number))?;
            match &conflict.mine {
                Some(data) => edit::put(file, &conflict.collection, &conflict.id, data)?,
                None => {
                    edit::delete(file, &conflict.collection, &conflict.id)?;
                }
            }
            diesel::delete(conflicts::table.find(stored(number))).execute(file)?;
            Ok((conflict.collection.to_string(), conflict.id.to_string()))
        })?;
        self.tell(&[key]);
        Ok(())
    }

    /// Forgets what a conflict discarded.
    ///
    /// # Errors
    /// [`ReplicaError::NoConflict`], [`ReplicaError::Local`].
    pub fn discard(&self, number: u64) -> Result<(), ReplicaError> {
        let gone = self.write(|file| Ok(diesel::delete(conflicts::table.find(stored(number))).execute(file)?))?;
        if gone == 0 { Err(ReplicaError::NoConflict(number)) } else { Ok(()) }
    }
}

fn conflict(row: ConflictRow) -> Result<Conflict, ReplicaError> {
    let (number, collection, id, mine, theirs, problem, found_at) = row;
    Ok(Conflict {
        number: number.unsigned_abs(),
        collection: CollectionName::new(&collection).map_err(|fault| ReplicaError::Local(fault.to_string()))?,
        id: RecordId::from_stored(id),
        mine: mine.map(|data| Document::from_stored(data.into_boxed_str())),
        theirs,
        problem,
        found_at: Timestamp::from_micros(found_at),
    })
}

fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
