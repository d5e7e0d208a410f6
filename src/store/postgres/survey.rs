//! A look at the whole database: see `store::survey`. What the server estimates anyway is asked, and nothing counted.

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::fault::Fault;
use crate::store::survey::{self, Room, Survey, SurveyedColumns, TableRows, Total};

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// Takes no lock on a table that somebody may be building anew.
const TABLES: &str = "
    SELECT relname::text AS name, n_live_tup AS live, n_dead_tup AS dead FROM pg_stat_user_tables
    WHERE schemaname = current_schema() AND relname IN ('spaces', 'epochs', 'collections', 'clients', 'records',
        'known_clients', 'anonymous_pulls', 'samples')
    ORDER BY relname";

/// Looks at the database, with `limit` of its spaces.
pub(super) async fn survey(mut connection: &AsyncPgConnection, limit: usize) -> Result<Survey, Fault> {
    let total = diesel::sql_query(survey::TOTAL).get_result::<Total>(&mut connection).await?;
    let question = survey::spaces(limit, "r.deleted", "strpos");
    let spaces = diesel::sql_query(question).load::<SurveyedColumns>(&mut connection).await?;
    let spaces = spaces.into_iter().map(SurveyedColumns::surveyed).collect::<Result<_, _>>()?;
    let size = "SELECT pg_database_size(current_database()) AS bytes";
    let size = diesel::sql_query(size).get_result::<Size>(&mut connection).await?;
    let tables = diesel::sql_query(TABLES).load::<TableRows>(&mut connection).await?;
    let room = Room { database_bytes: size.bytes.unsigned_abs(), free_bytes: None, wal_bytes: None, tables };
    Ok(Survey { total, spaces, room })
}
