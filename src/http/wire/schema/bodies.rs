//! Bodies that are read or written by hand.

use serde::Deserialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// A record as it travels.
#[derive(Deserialize, ToSchema)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub struct Change {
    /// The record's collection.
    #[schema(example = "todos")]
    collection: String,
    /// The record's id there.
    id: String,
    /// The revision of its latest change.
    rev: u64,
    /// The server's time of that change, in UTC with microseconds.
    #[schema(format = DateTime)]
    modified_at: String,
    /// Whether it is a tombstone.
    deleted: bool,
    /// The data as it was written; absent from a tombstone.
    #[schema(value_type = Option<Object>, nullable = false)]
    data: Option<serde_json::Value>,
}

/// The server's record in a conflict: a change, or where there is none its name with `rev` null.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub struct ServerRecord {
    /// The record's collection.
    collection: String,
    /// The record's id there.
    id: String,
    /// The revision of its latest change; null where there is no record.
    #[schema(required)]
    rev: Option<u64>,
    /// The time of that change; absent where there is no record.
    #[schema(format = DateTime, nullable = false)]
    modified_at: Option<String>,
    /// Whether it is a tombstone, or nothing.
    deleted: bool,
    /// The data as it was written; absent from a tombstone.
    #[schema(value_type = Option<Object>, nullable = false)]
    data: Option<serde_json::Value>,
}

/// A page of changes in ascending order of revision.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub struct Page {
    /// Each record once, in its latest state.
    changes: Vec<Change>,
    /// What to send as the next `since`.
    #[schema(example = "k3f9q2.2151")]
    cursor: String,
    /// Whether to ask again at once.
    has_more: bool,
    /// The space's newest revision.
    head: u64,
    /// The newest purged tombstone among the collections asked for.
    horizon: u64,
    /// When the compactor could leave this cursor behind, at the earliest; null for never.
    #[schema(required, format = DateTime)]
    valid_until: Option<String>,
    /// Live records at the cursor; absent while `has_more` is true.
    #[schema(nullable = false)]
    count: Option<u64>,
    /// The checksum of their revisions; absent while `has_more` is true.
    #[schema(example = "9f86d081884c7d65", nullable = false)]
    checksum: Option<String>,
}

/// One line of a stream of changes.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ChangeLine {
    /// A change.
    Change(Change),
    /// A checkpoint: everything before it is covered. The last line has more than its cursor.
    Checkpoint(Checkpoint),
}

/// A place at which a broken stream resumes.
#[derive(Deserialize, ToSchema)]
#[cfg_attr(test, serde(deny_unknown_fields))]
pub struct Checkpoint {
    /// What to send as `since`.
    cursor: String,
    /// On the last line: whether more is to be had.
    #[schema(nullable = false)]
    has_more: Option<bool>,
    /// On the last line: the space's newest revision.
    #[schema(nullable = false)]
    head: Option<u64>,
    /// On the last line: the newest purged tombstone among the collections asked for.
    #[schema(nullable = false)]
    horizon: Option<u64>,
    /// On the last line, when `has_more` is false: live records at the cursor.
    #[schema(nullable = false)]
    count: Option<u64>,
    /// On the last line, when `has_more` is false: the checksum of their revisions.
    #[schema(nullable = false)]
    checksum: Option<String>,
}

/// One event of the live feed, by the fields of its lines.
#[derive(ToSchema)]
pub struct ServerEvent {
    /// What it tells of.
    event: EventKind,
    /// The cursor to go on from, of `changes`: a browser sends it as `Last-Event-ID` when it connects again.
    #[schema(nullable = false)]
    id: Option<String>,
    /// JSON text: a page, or of `resync` the problem `resync_required`.
    data: String,
}

/// What an event tells of.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum EventKind {
    /// Something has changed.
    Changes,
    /// No delta leads on from here; the server closes the stream.
    Resync,
}

/// A client's edits.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Each record at most once.
    changes: Vec<ProposedChange>,
    /// The client's own cursor.
    #[schema(pattern = r"^[a-z0-9]{1,16}\.[0-9]{1,16}(\.(p|[0-9]{1,16}))?(~[a-z0-9]{1,64})?$")]
    cursor: Option<String>,
    /// The collections that the cursor was earned over.
    #[schema(min_items = 1)]
    collections: Option<Vec<Name>>,
    /// The push's number among those of this client; it needs the header `Strandline-Client`.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    seq: Option<u64>,
    /// Apply all or nothing.
    #[schema(default = false)]
    atomic: Option<bool>,
}

/// The name of a collection.
#[derive(Deserialize, ToSchema)]
#[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", example = "todos")]
pub struct Name(String);

/// One edit, by what it brings.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ProposedChange {
    /// The whole record.
    Put(ProposedPut),
    /// Some members of the record.
    Patch(ProposedPatch),
    /// No record.
    Delete(ProposedDelete),
}

/// The record is to be this.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposedPut {
    /// The record's collection.
    collection: Name,
    /// The record's id there: at most 256 bytes.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    id: String,
    /// Up to which revision the client had seen the record; absent for a new one, `"*"` for unconditionally.
    base_rev: Option<BaseRev>,
    /// The whole record.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

/// The record is to be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposedPatch {
    /// The record's collection.
    collection: Name,
    /// The record's id there: at most 256 bytes.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    id: String,
    /// Up to which revision the client had seen the record; absent for a new one, `"*"` for unconditionally.
    base_rev: Option<BaseRev>,
    /// A JSON merge patch of what the server has.
    #[schema(value_type = Object)]
    patch: serde_json::Value,
}

/// The record is to be deleted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposedDelete {
    /// The record's collection.
    collection: Name,
    /// The record's id there: at most 256 bytes.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    id: String,
    /// Up to which revision the client had seen the record; absent for a new one, `"*"` for unconditionally.
    base_rev: Option<BaseRev>,
    /// Only ever true.
    #[schema(schema_with = only_true)]
    deleted: bool,
}

fn only_true() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build()
}

/// What the client had seen.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum BaseRev {
    /// Everything up to this revision.
    Seen(Revision),
    /// Whatever is there.
    Any(Unconditional),
}

/// A revision: below 2^53.
#[derive(Deserialize, ToSchema)]
#[schema(maximum = 9_007_199_254_740_991_u64)]
pub struct Revision(u64);

/// The one word for it.
#[derive(Deserialize, ToSchema)]
pub enum Unconditional {
    /// `*`
    #[serde(rename = "*")]
    Any,
}

/// What became of a push.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub struct PushAnswer {
    /// One a change, in order.
    results: Vec<PushResult>,
    /// The head before it.
    previous_head: u64,
    /// The head after it.
    head: u64,
    /// What the client's cursor becomes; null where the space does not exist.
    #[schema(required)]
    cursor: Option<String>,
    /// Whether it had been applied before.
    duplicate: bool,
}

/// What became of one change.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub struct PushResult {
    /// The record's collection.
    collection: String,
    /// The record's id there.
    id: String,
    /// What was done.
    status: PushStatus,
    /// The record's revision, of `applied` and `unchanged`; null where there is no record.
    rev: Option<u64>,
    /// The time of that revision.
    #[schema(format = DateTime, nullable = false)]
    modified_at: Option<String>,
    /// The server's record, of a `conflict`.
    #[schema(nullable = false)]
    record: Option<ServerRecord>,
    /// The limit that was broken, of `rejected`.
    #[schema(nullable = false)]
    problem: Option<Rejection>,
}

/// What was done with a change.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushStatus {
    /// It took a revision.
    Applied,
    /// The record was that way already.
    Unchanged,
    /// The server's record stays.
    Conflict,
    /// A limit is broken.
    Rejected,
    /// It would have been applied, but the push was atomic.
    NotApplied,
}

/// Why a change alone was not taken.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub struct Rejection {
    /// `too_large`, or `quota_exceeded` where it is the space that takes none of that size
    #[schema(example = "too_large")]
    code: String,
    /// Which limit, and its value.
    detail: String,
}

/// The exact set of live revisions.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub struct Manifest {
    /// The present epoch.
    epoch: String,
    /// Becomes the replica's cursor; absent when `from` or `to` was given.
    #[schema(nullable = false)]
    cursor: Option<String>,
    /// The space's newest revision.
    head: u64,
    /// The newest purged tombstone among the collections asked for.
    horizon: u64,
    /// How many revisions.
    count: u64,
    /// Their checksum.
    checksum: String,
    /// Alternating `skip, take` counts, starting after revision 0.
    #[schema(example = json!([0, 50, 3, 100]))]
    runs: Vec<u64>,
}

/// Which records to fetch.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// Alternating `skip, take` counts, starting after revision 0.
    #[schema(example = json!([0, 50, 3, 100]))]
    runs: Vec<u64>,
    /// The collections; absent means all.
    #[schema(min_items = 1)]
    collections: Option<Vec<Name>>,
    /// Records a page, 1000 by default; not with NDJSON.
    #[schema(minimum = 1, maximum = 10_000)]
    limit: Option<u64>,
    /// The `next` of the page before.
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    from: Option<u64>,
}

/// A page of live records in order of revision.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub struct Fetched {
    /// The records; one that was superseded meanwhile is absent.
    changes: Vec<Change>,
    /// Whether to ask again, with `from`.
    has_more: bool,
    /// Where the next page begins.
    #[schema(required)]
    next: Option<u64>,
}

/// One line of a stream of records.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum FetchLine {
    /// A record.
    Record(Change),
    /// The last line.
    End(FetchEnd),
}

/// The last line of a stream of records.
#[derive(Deserialize, ToSchema)]
pub struct FetchEnd {
    /// Always true.
    end: bool,
    /// How many records there were.
    count: u64,
}

/// A page of a collection's live records in order of id, by bytes.
#[derive(ToSchema)]
pub struct RecordList {
    /// The records.
    records: Vec<Change>,
    /// What to send as `after` for the next page; null on the last one.
    #[schema(required)]
    after: Option<String>,
}

/// How the server is.
#[derive(ToSchema)]
pub struct Health {
    /// `ok` or `ready`.
    status: String,
}
