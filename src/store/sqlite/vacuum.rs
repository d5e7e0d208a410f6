//! Free space given back to the system, some pages at a time.
//!
//! A purge leaves free pages, which later writes use. Where far more are free than those will need, the file is made
//! shorter: SQLite moves pages from its end into the free ones. A file that an older version made cannot do that; it
//! keeps its free pages until it is vacuumed as a whole.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::failure;
use crate::store::StoreError;

/// A file may keep one free page of so many: writes will use them.
const SHARE: i64 = 10;
/// … and this many in any case: 4 MiB.
const KEPT: i64 = 1_024;

#[derive(QueryableByName)]
struct Pages {
    #[diesel(sql_type = BigInt)]
    free: i64,
    #[diesel(sql_type = BigInt)]
    held: i64,
    #[diesel(sql_type = BigInt)]
    mode: i64,
}

/// Free pages beyond those that are kept; 0 where the file cannot give any back.
pub(super) fn surplus(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let Pages { free, held, mode } = diesel::sql_query(
        "SELECT freelist_count AS free, page_count AS held, auto_vacuum AS mode
         FROM pragma_freelist_count, pragma_page_count, pragma_auto_vacuum",
    )
    .get_result(connection)
    .map_err(failure)?;
    let surplus = free - KEPT.max(held / SHARE);
    // 2 is incremental.
    Ok(if mode == 2 { surplus.max(0).unsigned_abs() } else { 0 })
}

/// Gives back at most `max_pages`; answers how many.
pub(super) fn step(connection: &mut SqliteConnection, max_pages: usize) -> Result<u64, StoreError> {
    let pages = surplus(connection)?.min(max_pages as u64);
    if pages > 0 {
        connection.batch_execute(&format!("PRAGMA incremental_vacuum({pages})")).map_err(failure)?;
    }
    Ok(pages)
}
