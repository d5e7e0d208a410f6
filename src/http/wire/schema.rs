//! Schemas for the OpenAPI document: parameters, bodies that are read or written by hand, and the errors that many
//! routes share. A test reads what the writers write back as these shapes.

#![expect(dead_code, reason = "these types describe; values of them exist in tests only")]

use serde::Deserialize;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use crate::domain::Rev;

/// Whatever `since` may be.
fn since() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let cursor = text().pattern(Some(CURSOR)).description(Some("A cursor as the server gave it"));
    let revision = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(Rev::MAX.get()));
    let time = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let one = OneOfBuilder::new().item(cursor).item(revision).item(time).item(text().enum_values(Some(["now"])));
    one.into()
}

/// A cursor: `<epoch>.<rev>`, with `.p` or `.<start>` while under way, and `~<scope>` when earned over a choice of collections.
const CURSOR: &str = "^[a-z0-9]{1,16}\\.[0-9]{1,16}(\\.(p|[0-9]{1,16}))?(~[a-z0-9]{1,64})?$";

/// A window of retention.
pub fn duration() -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^([0-9]+[smhdw]|forever)$"));
    text.examples(["30d"]).description(Some("At most 1000 years")).build()
}

/// A time in the form of HTTP's headers.
fn http_date() -> Object {
    let format = SchemaFormat::Custom("http-date".to_owned());
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
}

/// The path of a space.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SpacePath {
    /// The space: `[a-z0-9][a-z0-9_-]{0,62}`.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", example = "demo")]
    space: String,
}

/// The path of a known client.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ClientPath {
    /// The client's name, percent-encoded.
    #[param(min_length = 1, max_length = 128, pattern = "^[!-~]+$", example = "phone")]
    client: String,
}

/// The path of a token.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TokenPath {
    /// The token's id, which is no secret.
    #[param(pattern = "^[0-9a-f]{16}$", example = "019ac0ffee00b33f")]
    token_id: String,
}

/// The windows of a plan.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// Durations with commas between them, at most 100: each a whole number and one of s, m, h, d and w, or `forever`.
    #[param(
        pattern = "^([0-9]+[smhdw]|forever)(,([0-9]+[smhdw]|forever)){0,99}$",
        example = "1d,7d,30d,90d",
        nullable = false
    )]
    windows: Option<String>,
}

/// The path of a collection.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct CollectionPath {
    /// The space: `[a-z0-9][a-z0-9_-]{0,62}`.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", example = "demo")]
    space: String,
    /// The collection, by the same rule.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", example = "todos")]
    collection: String,
}

/// The path of a record.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RecordPath {
    /// The space: `[a-z0-9][a-z0-9_-]{0,62}`.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", example = "demo")]
    space: String,
    /// The collection, by the same rule.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", example = "todos")]
    collection: String,
    /// The id, percent-encoded: 1 to 256 bytes of UTF-8 without control characters; not `.` or `..`.
    #[param(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$", example = "src/main.rs")]
    id: String,
}

/// Who asks.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct ClientHeader {
    /// The client's name for itself: 1 to 128 visible ASCII characters.
    #[param(rename = "Strandline-Client", min_length = 1, max_length = 128, pattern = "^[!-~]+$", nullable = false)]
    client: Option<String>,
}

/// What a pull asks for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// A cursor, a bare revision, an RFC 3339 time, or `now`; absent for an initial sync.
    #[param(schema_with = since, example = "k3f9q2.2149")]
    since: Option<String>,
    /// Changes a page, 1000 by default; not with NDJSON.
    #[param(minimum = 1, maximum = 10_000, nullable = false)]
    limit: Option<u64>,
    /// Comma-separated names; absent means all.
    #[param(
        pattern = "^[a-z0-9][a-z0-9_-]{0,62}(,[a-z0-9][a-z0-9_-]{0,62})*$",
        example = "todos,lists",
        nullable = false
    )]
    collections: Option<String>,
    /// Seconds to hold the request open while there is nothing new; not with NDJSON.
    #[param(maximum = 60, nullable = false)]
    wait: Option<u64>,
}

/// What a client of the feed holds.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct ChangesHeaders {
    /// The tag of the answer that the client holds.
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
    /// For event streams: the id of the last event seen, a cursor. It overrides `since`; empty, it says nothing.
    #[param(
        rename = "Last-Event-ID",
        pattern = r"^([a-z0-9]{1,16}\.[0-9]{1,16}(\.(p|[0-9]{1,16}))?(~[a-z0-9]{1,64})?)?$",
        nullable = false
    )]
    last_event_id: Option<String>,
}

/// What a client holds.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfNoneMatch {
    /// The tag of the answer that the client holds.
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
}

/// What a reader of a record holds.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct ReadConditions {
    /// The tag of the record that the client holds.
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
    /// As of when the client holds it; ignored beside `If-None-Match`.
    #[param(rename = "If-Modified-Since", nullable = false)]
    if_modified_since: Option<String>,
}

/// What must hold for a write.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(clippy::struct_field_names, reason = "the names of the headers")]
pub struct WriteConditions {
    /// The record is live with one of these tags.
    #[param(rename = "If-Match", example = "\"2150\"", nullable = false)]
    if_match: Option<String>,
    /// The record is live with none of these tags; `*` for any.
    #[param(rename = "If-None-Match", example = "*", nullable = false)]
    if_none_match: Option<String>,
    /// The record has not changed since then; ignored beside `If-Match`.
    #[param(rename = "If-Unmodified-Since", schema_with = http_date)]
    if_unmodified_since: Option<String>,
}

/// How many of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListLimit {
    /// Items a page, 1000 by default.
    #[param(minimum = 1, maximum = 10_000, nullable = false)]
    limit: Option<u64>,
}

/// Which part of a list of spaces.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AfterSpace {
    /// The `after` of the page before.
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$", nullable = false)]
    after: Option<String>,
}

/// Which part of a list of records.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AfterRecord {
    /// The `after` of the page before.
    #[param(min_length = 1, max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$", nullable = false)]
    after: Option<String>,
}

/// Which part of a list of clients.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AfterClient {
    /// The `after` of the page before.
    #[param(min_length = 1, max_length = 128, pattern = "^[!-~]+$", nullable = false)]
    after: Option<String>,
}

/// Which part of a list of tokens.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AfterToken {
    /// The `after` of the page before.
    #[param(pattern = "^[0-9a-f]{16}$", nullable = false)]
    after: Option<String>,
}

/// Which part of a manifest.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ManifestQuery {
    /// Comma-separated names; absent means all.
    #[param(
        pattern = "^[a-z0-9][a-z0-9_-]{0,62}(,[a-z0-9][a-z0-9_-]{0,62})*$",
        example = "todos,lists",
        nullable = false
    )]
    collections: Option<String>,
    /// The first revision asked for; not above `to`.
    #[param(maximum = 9_007_199_254_740_991_u64, nullable = false)]
    from: Option<u64>,
    /// The last revision asked for.
    #[param(maximum = 9_007_199_254_740_991_u64, nullable = false)]
    to: Option<u64>,
}

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

/// An error (RFC 9457).
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize))]
pub struct Problem {
    /// `urn:strandline:problem:<code>`
    #[schema(example = "urn:strandline:problem:invalid_request")]
    r#type: String,
    /// The stable word for this kind of error.
    #[schema(example = "invalid_request")]
    code: String,
    /// The kind of error in words.
    title: String,
    /// The status again.
    status: u16,
    /// What is the matter here.
    detail: String,
    /// Of an `internal` error: the id under which the log has it.
    #[schema(nullable = false)]
    id: Option<String>,
}

/// No delta leads on from the client's position.
#[derive(ToSchema)]
#[cfg_attr(test, derive(Deserialize), serde(deny_unknown_fields))]
pub struct ResyncProblem {
    /// `urn:strandline:problem:resync_required`
    r#type: String,
    /// `resync_required`
    code: String,
    /// The kind of error in words.
    title: String,
    /// 410
    status: u16,
    /// What is the matter here.
    detail: String,
    /// The first of these that holds: `epoch`, `ahead`, `scope`, `purged`.
    #[schema(example = "purged")]
    reason: String,
    /// The present epoch.
    epoch: String,
    /// The space's newest revision.
    head: u64,
    /// The horizon that counts for the collections asked for.
    horizon: u64,
    /// Up to here, what the client holds is still this history.
    shared_rev: u64,
    /// Where the repair begins.
    #[schema(example = "/v1/spaces/demo/manifest")]
    manifest: String,
}

/// There is no live record.
#[derive(ToSchema)]
pub struct DeletedProblem {
    /// `urn:strandline:problem:not_found`
    r#type: String,
    /// `not_found`
    code: String,
    /// The kind of error in words.
    title: String,
    /// 404
    status: u16,
    /// What is the matter here.
    detail: String,
    /// Of a tombstone: its revision.
    #[schema(nullable = false)]
    rev: Option<u64>,
    /// Of a tombstone: its time.
    #[schema(format = DateTime, nullable = false)]
    modified_at: Option<String>,
}

/// What the caller may not do.
#[derive(ToSchema)]
pub struct QuotaProblem {
    /// `urn:strandline:problem:` and the code
    r#type: String,
    /// `quota_exceeded`, or `forbidden`
    code: String,
    /// The kind of error in words.
    title: String,
    /// 403
    status: u16,
    /// What is the matter here.
    detail: String,
    /// Of `quota_exceeded`: `records`, `bytes`, or `record_bytes`.
    #[schema(example = "records", nullable = false)]
    quota: Option<String>,
    /// The value of that quota.
    #[schema(nullable = false)]
    limit: Option<u64>,
    /// What the space, or the record, holds.
    #[schema(nullable = false)]
    held: Option<u64>,
    /// What it would have held.
    #[schema(nullable = false)]
    would_hold: Option<u64>,
}

/// The record is not as the request's conditions say.
#[derive(ToSchema)]
pub struct PreconditionProblem {
    /// `urn:strandline:problem:precondition_failed`
    r#type: String,
    /// `precondition_failed`
    code: String,
    /// The kind of error in words.
    title: String,
    /// 412
    status: u16,
    /// What is the matter here.
    detail: String,
    /// The server's record.
    record: ServerRecord,
}

/// An atomic push that was refused.
#[derive(ToSchema)]
pub struct PushRefused {
    /// `urn:strandline:problem:push_refused`
    r#type: String,
    /// `push_refused`
    code: String,
    /// The kind of error in words.
    title: String,
    /// 409
    status: u16,
    /// What is the matter here.
    detail: String,
    /// One a change, in order; what would have been applied says `not_applied`.
    results: Vec<PushResult>,
    /// The head before it.
    previous_head: u64,
    /// The head, the same.
    head: u64,
}

/// What a route may answer that is open to everybody.
#[derive(IntoResponses)]
pub enum PublicRefusals {
    /// `invalid_request`: what is wrong, and where
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// `internal`: the log says more under the same id
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// `unavailable`: try again after `Retry-After` seconds
    #[response(status = 503, content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds")))]
    Unavailable(Problem),
}

/// What any other route may answer.
#[derive(IntoResponses)]
pub enum Refusals {
    /// `invalid_request` or `invalid_cursor`: what is wrong, and where
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// `unauthorized`: there is no token, or it is worth nothing
    #[response(status = 401, content_type = "application/problem+json", headers(("WWW-Authenticate" = String, description = "`Bearer`")))]
    Unauthorized(Problem),
    /// `forbidden`: the token does not reach that far
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// `too_large`: the target is longer than it may be
    #[response(status = 414, content_type = "application/problem+json")]
    LongTarget(Problem),
    /// `rate_limited`: more than this client may take; try again after `Retry-After` seconds
    #[response(status = 429, content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds")))]
    RateLimited(Problem),
    /// `too_large`: the headers are longer than they may be
    #[response(status = 431, content_type = "application/problem+json")]
    LongHead(Problem),
    /// `internal`: the log says more under the same id
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
    /// `unavailable`: try again after `Retry-After` seconds
    #[response(status = 503, content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds")))]
    Unavailable(Problem),
}

/// What a route on a space that must exist may answer.
#[derive(IntoResponses)]
pub enum UnknownSpace {
    /// `not_found`: there is no such space
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// What a route that looks at `Accept` may answer.
#[derive(IntoResponses)]
pub enum NoAcceptableForm {
    /// `not_acceptable`: no form of the answer is acceptable
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(Problem),
}

/// What a route that takes a body may answer.
#[derive(IntoResponses)]
pub enum BodyRefusals {
    /// `invalid_request`: the body does not arrive in the time that it has
    #[response(status = 408, content_type = "application/problem+json")]
    Late(Problem),
    /// `too_large`: which limit, and its value
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// `unsupported_media_type`: the detail says what to send
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Problem),
}

/// What a route that writes may answer.
#[derive(IntoResponses)]
pub enum WriteRefusals {
    /// `storage_full`: nothing was applied, reads go on
    #[response(status = 507, content_type = "application/problem+json")]
    StorageFull(Problem),
}

/// What a route that adds to a space may answer.
#[derive(IntoResponses)]
pub enum QuotaRefusals {
    /// `quota_exceeded`: the space is not to hold that much, and nothing was applied; or `forbidden`
    #[response(status = 403, content_type = "application/problem+json")]
    Exceeded(QuotaProblem),
}

#[cfg(test)]
mod tests {
    use super::super::{page, push_answer};
    use super::*;
    use crate::http::problem::Problem as Refusal;

    #[test]
    fn what_is_written_has_the_shapes_described() {
        let written = page::tests::page();
        serde_json::from_slice::<Page>(&page::to_json(&written)).unwrap();
        let lines = String::from_utf8(page::to_lines(&written, true)).unwrap();
        for line in lines.lines() {
            serde_json::from_str::<ChangeLine>(line).unwrap();
        }
        let (answer, subjects) = push_answer::tests::answer();
        serde_json::from_slice::<PushAnswer>(&push_answer::to_json(&answer, &subjects)).unwrap();
        serde_json::from_slice::<Problem>(&Refusal::invalid("no").to_json()).unwrap();
    }
}
