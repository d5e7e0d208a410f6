//! Errors (PROTOCOL.md §8), and which of them the routes may answer.

#[cfg(test)]
use serde::Deserialize;
use utoipa::{IntoResponses, ToSchema};

use super::{PushResult, ServerRecord};

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
