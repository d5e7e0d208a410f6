//! The rows of spaces, read from SQLite.

use diesel::prelude::*;

use super::connection::failure;
use crate::domain::SpaceName;
use crate::store::StoreError;
use crate::store::rows::{CollectionColumns, EPOCH, EpochColumns, NameRange, SPACE, SpaceColumns, SpaceRow};
use crate::store::schema::{collections, epochs, spaces};

/// Reads a space; `None` when there is none of that name.
pub(super) fn space(connection: &mut SqliteConnection, name: &SpaceName) -> Result<Option<SpaceRow>, StoreError> {
    let row = spaces::table.filter(spaces::name.eq(name.as_str())).select(SPACE).get_result::<SpaceColumns>(connection);
    row.optional().map_err(failure)?.map(|row| assemble(connection, row)).transpose()
}

/// Reads a space; an error when there is none.
pub(super) fn existing_space(connection: &mut SqliteConnection, name: &SpaceName) -> Result<SpaceRow, StoreError> {
    space(connection, name)?.ok_or_else(|| StoreError::NoSpace(name.clone()))
}

/// Reads the spaces after `after` in order of name.
pub(super) fn spaces(
    connection: &mut SqliteConnection,
    names: &NameRange,
    limit: usize,
) -> Result<Vec<SpaceRow>, StoreError> {
    let rows = spaces::table
        .filter(spaces::name.ge(&names.from).and(spaces::name.gt(&names.after)).and(spaces::name.lt(&names.to)))
        .order(spaces::name)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(SPACE)
        .load::<SpaceColumns>(connection)
        .map_err(failure)?;
    rows.into_iter().map(|row| assemble(connection, row)).collect()
}

fn assemble(connection: &mut SqliteConnection, row: SpaceColumns) -> Result<SpaceRow, StoreError> {
    let collections = collections::table
        .filter(collections::space_id.eq(row.0))
        .load::<CollectionColumns>(connection)
        .map_err(failure)?;
    let epochs = epochs::table
        .filter(epochs::space_id.eq(row.0))
        .order(epochs::ordinal)
        .select(EPOCH)
        .load::<EpochColumns>(connection)
        .map_err(failure)?;
    SpaceRow::assemble(row, collections, epochs)
}
