//! What requests say beside their bodies: paths, queries and headers.

use utoipa::IntoParams;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};

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
