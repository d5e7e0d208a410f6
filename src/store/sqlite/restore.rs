//! At opening: was this file put back from a backup? Then every space that lost something gets a new epoch.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::connection::failure;
use super::heads::{Heads, Seen, Verdict};
use super::rows;
use super::transaction::insert_epoch;
use crate::domain::{Epoch, Rev};
use crate::store::StoreError;
use crate::store::rows::NameRange;
use crate::store::rows::SpaceRow;
use crate::store::schema::{epochs, facts, spaces};
use crate::store::writes::new_epoch;

/// The fact that a file is a backup which nobody has opened yet.
pub(super) const COPIED: &str = "copied_at";

/// Opens new epochs where they are due, and answers the heads as they then are.
pub(super) fn check(connection: &mut SqliteConnection, database: &Path) -> Result<Heads, StoreError> {
    let mut heads = Heads::load(database);
    connection.batch_execute("BEGIN IMMEDIATE").map_err(failure)?;
    let checked = check_spaces(connection, &heads);
    let end = if checked.is_ok() { "COMMIT" } else { "ROLLBACK" };
    connection.batch_execute(end).map_err(failure)?;
    checked?;
    let now = seen(connection)?;
    heads.update(&now);
    Ok(heads)
}

fn check_spaces(connection: &mut SqliteConnection, heads: &Heads) -> Result<(), StoreError> {
    let copied = diesel::delete(facts::table.find(COPIED)).execute(connection).map_err(failure)? > 0;
    for space in rows::spaces(connection, &NameRange::all(), usize::MAX)? {
        let state = &space.state;
        let now = Seen::of(&state.lineage, state.head);
        let verdict = heads.spaces.get(state.name.as_str()).map_or(Verdict::InOrder, |seen| seen.judge(&now));
        match verdict {
            Verdict::InOrder if !copied => {}
            Verdict::InOrder => open_epoch(connection, &space, &[], "the file is a backup")?,
            Verdict::Behind(unknown) => open_epoch(connection, &space, &unknown, "it is behind what was seen of it")?,
        }
    }
    Ok(())
}

fn open_epoch(
    connection: &mut SqliteConnection,
    space: &SpaceRow,
    unknown: &[(Epoch, Rev)],
    why: &str,
) -> Result<(), StoreError> {
    let known = space.state.lineage.entries().count();
    let epoch = new_epoch();
    // What the file holds beyond the head at which an epoch unknown to it was opened is not that epoch's history, even
    // where both have the same revisions: the file may be of a branch that was left there.
    let shared = unknown.iter().map(|(_, opened_at)| *opened_at).fold(space.state.head, Rev::min);
    let due = unknown.iter().copied().chain([(epoch, shared)]);
    for (ordinal, (epoch, head)) in (known..).zip(due) {
        insert_epoch(connection, space.id, i64::try_from(ordinal).map_err(StoreError::internal)?, epoch, head)?;
    }
    log::warn!("{}: opened epoch {epoch} at revision {}: {why}", space.state.name, space.state.head);
    Ok(())
}

/// What there is to see of every space, in two queries however many there are.
pub(super) fn seen(connection: &mut SqliteConnection) -> Result<BTreeMap<String, Seen>, StoreError> {
    let mut lineages: HashMap<i64, Vec<(String, u64)>> = HashMap::new();
    let entries = epochs::table
        .order((epochs::space_id, epochs::ordinal))
        .select((epochs::space_id, epochs::epoch, epochs::opened_at))
        .load::<(i64, String, i64)>(connection)
        .map_err(failure)?;
    for (space, epoch, opened_at) in entries {
        lineages.entry(space).or_default().push((epoch, opened_at.unsigned_abs()));
    }
    let heads = spaces::table
        .select((spaces::id, spaces::name.assume_not_null(), spaces::head))
        .filter(spaces::name.is_not_null())
        .load::<(i64, String, i64)>(connection)
        .map_err(failure)?;
    let pair = |(id, name, head): (i64, String, i64)| {
        let epochs = lineages.remove(&id).unwrap_or_default();
        (name, Seen { head: head.unsigned_abs(), epochs, deleted: false })
    };
    Ok(heads.into_iter().map(pair).collect())
}
