//! A look at the whole database: what it holds, what that takes, and which spaces have the most tombstones. It reads
//! counts and looks into indexes, never records one by one.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::StoreError;
use super::rows::quota_rule;
use crate::domain::{QuotaRule, Retention, Rev, SpaceName, Timestamp};

/// What a look found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// All spaces together.
    pub total: Total,
    /// Some of the spaces, those with the most tombstones first.
    pub spaces: Vec<SurveyedSpace>,
    /// What the database takes.
    pub room: Room,
}

/// What all spaces hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct Total {
    /// How many there are.
    #[diesel(sql_type = BigInt)]
    pub spaces: i64,
    /// Live records.
    #[diesel(sql_type = BigInt)]
    pub records: i64,
    /// Bytes of their ids and data.
    #[diesel(sql_type = BigInt)]
    pub record_bytes: i64,
    /// Tombstones.
    #[diesel(sql_type = BigInt)]
    pub tombstones: i64,
    /// Bytes of their ids.
    #[diesel(sql_type = BigInt)]
    pub tombstone_bytes: i64,
}

/// A space, without what only a pull has need of.
#[derive(Clone, Debug)]
pub struct SurveyedSpace {
    /// Its name.
    pub name: SpaceName,
    /// Its newest revision.
    pub head: Rev,
    /// The revision of the newest tombstone purged.
    pub horizon: Rev,
    /// How long its tombstones are kept.
    pub retention: Retention,
    /// Live records.
    pub records: u64,
    /// Bytes of their ids and data.
    pub record_bytes: u64,
    /// What it says of how much it may hold.
    pub quota: QuotaRule,
    /// Tombstones.
    pub tombstones: u64,
    /// When the oldest of them was made.
    pub oldest_tombstone: Option<Timestamp>,
    /// Clients that name themselves.
    pub clients: u64,
    /// Those of them that are behind the horizon of what they ask for.
    pub clients_behind: u64,
}

/// What the database takes; `None` where that is not for this kind of database to say.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// Bytes of the database, its indexes included.
    pub database_bytes: u64,
    /// Bytes of it that are free to be filled again.
    pub free_bytes: Option<u64>,
    /// Bytes of the file of commits that are not in the database's own file yet.
    pub wal_bytes: Option<u64>,
    /// Of each table, where the dead rows are counted.
    pub tables: Vec<TableRows>,
}

/// The rows of a table, as its database estimates them.
#[derive(Clone, Debug, QueryableByName)]
pub struct TableRows {
    /// The table.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Those that are there.
    #[diesel(sql_type = BigInt)]
    pub live: i64,
    /// Former versions, whose room was not given back yet.
    #[diesel(sql_type = BigInt)]
    pub dead: i64,
}

/// The question for [`Total`], for both backends.
pub(super) const TOTAL: &str = "
    SELECT (SELECT COUNT(*) FROM spaces WHERE name IS NOT NULL) AS spaces,
        CAST(COALESCE(SUM(c.live), 0) AS BIGINT) AS records,
        CAST(COALESCE(SUM(c.live_bytes), 0) AS BIGINT) AS record_bytes,
        CAST(COALESCE(SUM(c.tombstones), 0) AS BIGINT) AS tombstones,
        CAST(COALESCE(SUM(c.tombstone_bytes), 0) AS BIGINT) AS tombstone_bytes
    FROM spaces s JOIN collections c ON c.space_id = s.id WHERE s.name IS NOT NULL";

/// The question for `limit` spaces as [`SurveyedColumns`]. `deleted` is the condition of the index of tombstones, in
/// the backend's own words.
///
/// The oldest tombstone of a collection is the first one after its horizon: one look into the index, which does not pass
/// what was purged and is perhaps not swept up yet. `place` is the name of the function that finds a text in another one.
pub(super) fn spaces(limit: usize, deleted: &str, place: &str) -> String {
    format!(
        "SELECT t.name, t.head, t.retention, t.records, t.record_bytes, t.dead, t.horizon,
            t.quota_records, t.quota_bytes, t.quota_record_bytes,
            (SELECT MIN((SELECT r.modified_at FROM records r
                WHERE r.collection_id = c.id AND {deleted} AND r.rev > c.horizon ORDER BY r.rev LIMIT 1))
            FROM collections c WHERE c.space_id = t.id AND c.tombstones > 0) AS oldest,
            (SELECT COUNT(*) FROM known_clients k WHERE k.space_id = t.id) AS clients,
            (SELECT COUNT(*) FROM known_clients k WHERE k.space_id = t.id AND k.rev < t.horizon
                AND k.rev < (SELECT MAX(c.horizon) FROM collections c WHERE c.space_id = t.id AND (k.collections IS NULL
                    OR {place}(',' || k.collections || ',', ',' || c.name || ',') > 0))) AS behind
        FROM (
            SELECT s.id, s.name, s.head, s.retention, s.quota_records, s.quota_bytes, s.quota_record_bytes,
                CAST(COALESCE(SUM(c.live), 0) AS BIGINT) AS records,
                CAST(COALESCE(SUM(c.live_bytes), 0) AS BIGINT) AS record_bytes,
                CAST(COALESCE(SUM(c.tombstones), 0) AS BIGINT) AS dead,
                COALESCE(MAX(c.horizon), 0) AS horizon
            FROM spaces s LEFT JOIN collections c ON c.space_id = s.id
            WHERE s.name IS NOT NULL
            GROUP BY s.id, s.name, s.head, s.retention, s.quota_records, s.quota_bytes, s.quota_record_bytes
            ORDER BY dead DESC, s.name LIMIT {limit}) t
        ORDER BY t.dead DESC, t.name"
    )
}

/// A row of [`spaces`].
#[derive(QueryableByName)]
pub(super) struct SurveyedColumns {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    head: i64,
    #[diesel(sql_type = Text)]
    retention: String,
    #[diesel(sql_type = BigInt)]
    records: i64,
    #[diesel(sql_type = BigInt)]
    record_bytes: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    quota_records: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    quota_bytes: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    quota_record_bytes: Option<i64>,
    #[diesel(sql_type = BigInt)]
    dead: i64,
    #[diesel(sql_type = BigInt)]
    horizon: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    oldest: Option<i64>,
    #[diesel(sql_type = BigInt)]
    clients: i64,
    #[diesel(sql_type = BigInt)]
    behind: i64,
}

impl SurveyedColumns {
    /// The row in the domain's words.
    pub fn surveyed(self) -> Result<SurveyedSpace, StoreError> {
        Ok(SurveyedSpace {
            name: SpaceName::new(&self.name).map_err(StoreError::internal)?,
            head: Rev::from_stored(self.head),
            horizon: Rev::from_stored(self.horizon),
            retention: self.retention.parse().map_err(StoreError::internal)?,
            records: self.records.unsigned_abs(),
            record_bytes: self.record_bytes.unsigned_abs(),
            quota: quota_rule((self.quota_records, self.quota_bytes, self.quota_record_bytes)),
            tombstones: self.dead.unsigned_abs(),
            oldest_tombstone: self.oldest.map(Timestamp::from_micros),
            clients: self.clients.unsigned_abs(),
            clients_behind: self.behind.unsigned_abs(),
        })
    }
}
