//! The rows of spaces, read from PostgreSQL. A space is three statements, sent together; within a snapshot they are one
//! state.

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::future::try_join;

use super::fault::Fault;
use super::states::Known;
use crate::domain::SpaceName;
use crate::store::StoreError;
use crate::store::rows::{
    CollectionColumns, EPOCH, EpochColumns, NameRange, SPACE, SpaceColumns, SpaceRow, SpaceSelection,
};
use crate::store::schema::{collections, epochs, spaces};

/// A space's own row with its version.
pub(super) type VersionedSelection = (SpaceSelection, spaces::version);
/// See [`VersionedSelection`].
pub(super) const VERSIONED: VersionedSelection = (SPACE, spaces::version);
/// A row of [`VERSIONED`].
pub(super) type VersionedColumns = (SpaceColumns, i64);

/// Reads a space; `None` when there is none of that name. Where its version is that of `remembered`, nothing more than
/// its own row is read.
pub(super) async fn space(
    mut connection: &AsyncPgConnection,
    name: &SpaceName,
    remembered: Option<&Arc<Known>>,
) -> Result<Option<Arc<Known>>, Fault> {
    let row = spaces::table
        .filter(spaces::name.eq(name.as_str()))
        .select(VERSIONED)
        .get_result::<VersionedColumns>(&mut connection)
        .await
        .optional()?;
    let Some((row, version)) = row else { return Ok(None) };
    if let Some(remembered) = remembered
        && (remembered.row.id, remembered.version) == (row.0, version)
    {
        return Ok(Some(Arc::clone(remembered)));
    }
    Ok(assemble(connection, vec![(row, version)]).await?.pop())
}

/// Reads a space; an error when there is none.
pub(super) async fn existing_space(
    connection: &AsyncPgConnection,
    name: &SpaceName,
    remembered: Option<&Arc<Known>>,
) -> Result<Arc<Known>, Fault> {
    space(connection, name, remembered).await?.ok_or_else(|| Fault::Store(StoreError::NoSpace(name.clone())))
}

/// Reads the spaces after `after` in order of name.
pub(super) async fn spaces(
    mut connection: &AsyncPgConnection,
    names: &NameRange,
    limit: usize,
) -> Result<Vec<Arc<Known>>, Fault> {
    let rows = spaces::table
        .filter(spaces::name.ge(&names.from).and(spaces::name.gt(&names.after)).and(spaces::name.lt(&names.to)))
        .order(spaces::name)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(VERSIONED)
        .load::<VersionedColumns>(&mut connection)
        .await?;
    assemble(connection, rows).await
}

/// Reads what belongs to these rows, and puts the spaces together, in the same order.
pub(super) async fn assemble(
    connection: &AsyncPgConnection,
    rows: Vec<VersionedColumns>,
) -> Result<Vec<Arc<Known>>, Fault> {
    let ids: Vec<i64> = rows.iter().map(|(row, _)| row.0).collect();
    let (mut one, mut other) = (connection, connection);
    let (of_collections, of_epochs) = try_join(
        collections::table.filter(collections::space_id.eq_any(&ids)).load::<CollectionColumns>(&mut one),
        epochs::table
            .filter(epochs::space_id.eq_any(&ids))
            .order((epochs::space_id, epochs::ordinal))
            .select(EPOCH)
            .load::<EpochColumns>(&mut other),
    )
    .await?;
    let mut belongings: HashMap<i64, (Vec<CollectionColumns>, Vec<EpochColumns>)> = HashMap::new();
    for row in of_collections {
        belongings.entry(row.1).or_default().0.push(row);
    }
    for row in of_epochs {
        belongings.entry(row.0).or_default().1.push(row);
    }
    rows.into_iter()
        .map(|(row, version)| {
            let (collections, epochs) = belongings.remove(&row.0).unwrap_or_default();
            Ok(Arc::new(Known { row: SpaceRow::assemble(row, collections, epochs)?, version }))
        })
        .collect()
}
