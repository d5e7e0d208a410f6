//! Rows of a space that has no row in `spaces`.
//!
//! A space that is deleted keeps its row, without a name, until the last of its own rows is swept away, so that only
//! damage leaves orphans. Nothing can reach them; but where ids are given out anew, the next space to get this one would
//! have them. A repair gives them back a space without a name: then they are the rows of a deleted space, and the
//! compactor sweeps them away in its small steps.

use super::fault::Fault;
use super::finding::Finding;

/// The tables whose rows belong to a space. Each has an index that begins with `space_id`.
pub const TABLES: [&str; 7] =
    ["collections", "epochs", "clients", "known_clients", "anonymous_pulls", "samples", "records"];

/// The ids of spaces that have rows in `table` and none of their own. It goes from one id to the next by the index, so
/// that a table of a million rows of one space costs two looks.
pub fn ids(table: &str) -> String {
    format!(
        "WITH RECURSIVE present (id) AS (
             SELECT min(space_id) FROM {table}
             UNION ALL
             SELECT (SELECT min(space_id) FROM {table} WHERE space_id > present.id) FROM present
             WHERE present.id IS NOT NULL)
         SELECT id AS number FROM present WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM spaces)"
    )
}

/// How many rows of `table` belong to a space.
pub fn count(table: &str, space: i64) -> String {
    format!("SELECT count(*) AS number FROM {table} WHERE space_id = {space}")
}

/// Rows of one table that belong to no space.
pub fn finding(table: &str, space: i64, count: i64) -> Finding {
    Finding::of(Fault::Orphans).stored(format!("{table} of the space (id {space})")).count(count.unsigned_abs())
}
