//! A look at the whole file: see `store::survey`.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::failure;
use crate::store::StoreError;
use crate::store::survey::{self, Room, Survey, SurveyedColumns, Total};

#[derive(QueryableByName)]
struct Pages {
    #[diesel(sql_type = BigInt)]
    size: i64,
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    free: i64,
}

/// Looks at the database, with `limit` of its spaces.
pub(super) fn survey(connection: &mut SqliteConnection, path: &Path, limit: usize) -> Result<Survey, StoreError> {
    let total = diesel::sql_query(survey::TOTAL).get_result::<Total>(connection).map_err(failure)?;
    let question = survey::spaces(limit, "r.deleted = 1", "instr");
    let spaces = diesel::sql_query(question).load::<SurveyedColumns>(connection).map_err(failure)?;
    let spaces = spaces.into_iter().map(SurveyedColumns::surveyed).collect::<Result<_, _>>()?;
    let question = "SELECT page_size AS size, page_count AS \"all\", freelist_count AS free \
        FROM pragma_page_size, pragma_page_count, pragma_freelist_count";
    let pages = diesel::sql_query(question).get_result::<Pages>(connection).map_err(failure)?;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let room = Room {
        database_bytes: (pages.all * pages.size).unsigned_abs(),
        free_bytes: Some((pages.free * pages.size).unsigned_abs()),
        wal_bytes: Some(std::fs::metadata(wal).map_or(0, |wal| wal.len())),
        tables: Vec::new(),
    };
    Ok(Survey { total, spaces, room })
}
