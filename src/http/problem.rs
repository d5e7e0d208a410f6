//! Every error as the client sees it: `application/problem+json` (PROTOCOL.md §8). The one place that turns what went
//! wrong inside into a status.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use uuid::Uuid;

use super::wire::write;
use crate::domain::pull::{Reason, Resync};
use crate::domain::push::Oversize;
use crate::domain::quota::Excess;
use crate::domain::{Collections, NameFault, SpaceName};
use crate::store::StoreError;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The stable word for a kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is not one of the protocol.
    InvalidRequest,
    /// A cursor is expected, and this is none.
    InvalidCursor,
    /// There is no credential, or it is worth nothing.
    Unauthorized,
    /// The credential does not reach that far.
    Forbidden,
    /// There is nothing here.
    NotFound,
    /// The resource does not have this method.
    MethodNotAllowed,
    /// No form of the answer is acceptable.
    NotAcceptable,
    /// The body is in a form that is not understood.
    UnsupportedMediaType,
    /// An atomic push was refused.
    PushRefused,
    /// The client has to resync.
    ResyncRequired,
    /// A precondition does not hold.
    PreconditionFailed,
    /// A limit is broken.
    TooLarge,
    /// The space's quota stands against it.
    QuotaExceeded,
    /// More than this client may take.
    RateLimited,
    /// Try again later.
    Unavailable,
    /// The disk is full.
    StorageFull,
    /// A fault of the server.
    Internal,
}

impl Code {
    /// The word on the wire, the status, and the title.
    fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => ("invalid_request", StatusCode::BAD_REQUEST, "The request is not valid"),
            Self::InvalidCursor => ("invalid_cursor", StatusCode::BAD_REQUEST, "The cursor is not valid"),
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "A token is needed"),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "Not allowed"),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND, "Not found"),
            Self::MethodNotAllowed => {
                ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed here")
            }
            Self::NotAcceptable => ("not_acceptable", StatusCode::NOT_ACCEPTABLE, "No acceptable form of the answer"),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is in a form that is not understood",
            ),
            Self::PushRefused => ("push_refused", StatusCode::CONFLICT, "The atomic push was refused"),
            Self::ResyncRequired => ("resync_required", StatusCode::GONE, "The client must resync"),
            Self::PreconditionFailed => {
                ("precondition_failed", StatusCode::PRECONDITION_FAILED, "A precondition does not hold")
            }
            Self::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE, "A limit is exceeded"),
            Self::QuotaExceeded => ("quota_exceeded", StatusCode::FORBIDDEN, "The quota of the space is exceeded"),
            Self::RateLimited => ("rate_limited", StatusCode::TOO_MANY_REQUESTS, "Too much at a time"),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Not available at present"),
            Self::StorageFull => ("storage_full", StatusCode::INSUFFICIENT_STORAGE, "The storage is full"),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "The server failed"),
        }
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }
}

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    /// Further members as JSON text, each with a comma before it.
    members: Vec<u8>,
    allow: Option<HeaderValue>,
    /// Seconds after which it is worth to try again.
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem of this code; `detail` is a sentence about this one occurrence.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = matches!(code, Code::RateLimited | Code::Unavailable).then_some(1);
        Self { code, status: code.row().1, detail: detail.into(), members: Vec::new(), allow: None, retry_after }
    }

    /// With a status that says more than the usual one of its code.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The sentence about this one occurrence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// With the time after which it is worth to try again, in whole seconds from 1.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait.as_secs() + 1), ..self }
    }

    /// 400: what is wrong, and where.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// 400: `place` holds something that is no name.
    pub fn name(place: &str, fault: NameFault) -> Self {
        Self::invalid(format!("{place} {fault}"))
    }

    /// 404: no such space.
    pub fn no_space(space: &SpaceName) -> Self {
        Self::new(Code::NotFound, format!("there is no space named {space}"))
    }

    /// 405: `allow` names the methods that there are.
    pub fn method_not_allowed(allow: &str) -> Self {
        let mut problem = Self::new(Code::MethodNotAllowed, format!("allowed here: {allow}"));
        problem.allow = HeaderValue::from_str(allow).ok();
        problem
    }

    /// A limit of a single record: the server's is a 413, the space's a 403.
    pub fn oversize(limit: Oversize) -> Self {
        match limit {
            Oversize::Quota(excess) => Self::quota(excess),
            limit => Self::new(Code::TooLarge, limit.to_string()),
        }
    }

    /// 403: the space is not to hold that much, and nothing was applied.
    pub fn quota(excess: Excess) -> Self {
        Self::new(Code::QuotaExceeded, format!("{excess}: nothing was applied"))
            .with_text("quota", excess.measure.as_str())
            .with_number("limit", excess.limit)
            .with_number("held", excess.held)
            .with_number("would_hold", excess.would_hold)
    }

    /// 410 (§3), with the way to the manifest of the same collections.
    pub fn resync(space: &SpaceName, collections: Option<&Collections>, resync: &Resync) -> Self {
        let detail = match resync.reason {
            Reason::Epoch => "the history that this cursor belongs to was broken off before it",
            Reason::Ahead => "this position is ahead of the newest revision of the space",
            Reason::Scope => "this cursor was earned over another choice of collections",
            Reason::Purged => "tombstones that this client may not have seen are purged",
        };
        let choice = collections.map(|names| format!("?collections={names}")).unwrap_or_default();
        Self::new(Code::ResyncRequired, detail)
            .with_text("reason", resync.reason.as_str())
            .with_text("epoch", resync.epoch.as_str())
            .with_number("head", resync.head.get())
            .with_number("horizon", resync.horizon.get())
            .with_number("shared_rev", resync.shared_rev.get())
            .with_text("manifest", &format!("/v1/spaces/{space}/manifest{choice}"))
    }

    /// With a member whose value is JSON text.
    #[must_use]
    pub fn with_json(mut self, name: &str, json: &[u8]) -> Self {
        self.members.push(b',');
        write::string(&mut self.members, name);
        self.members.push(b':');
        self.members.extend_from_slice(json);
        self
    }

    /// With a member whose value is a text.
    #[must_use]
    pub fn with_text(self, name: &str, text: &str) -> Self {
        let mut json = Vec::with_capacity(text.len() + 2);
        write::string(&mut json, text);
        self.with_json(name, &json)
    }

    /// With a member whose value is a number.
    #[must_use]
    pub fn with_number(self, name: &str, number: u64) -> Self {
        self.with_json(name, number.to_string().as_bytes())
    }

    /// Seconds after which it is worth to try again.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The problem as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let (code, _, title) = self.code.row();
        let mut out = Vec::with_capacity(256 + self.members.len());
        out.extend_from_slice(b"{\"type\":\"urn:strandline:problem:");
        out.extend_from_slice(code.as_bytes());
        out.extend_from_slice(b"\",\"code\":\"");
        out.extend_from_slice(code.as_bytes());
        out.extend_from_slice(b"\",\"title\":");
        write::string(&mut out, title);
        out.extend_from_slice(b",\"status\":");
        write::number(&mut out, u64::from(self.status.as_u16()));
        out.extend_from_slice(b",\"detail\":");
        write::string(&mut out, &self.detail);
        out.extend_from_slice(&self.members);
        out.push(b'}');
        out
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, allow.clone()));
        }
        if self.code == Code::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        response.body(self.to_json())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSpace(space) => Self::no_space(&space),
            StoreError::Busy => Self::new(Code::Unavailable, "too many writes are waiting: try again soon"),
            StoreError::Unavailable(why) => {
                log::warn!("the store is not available: {why}");
                Self::new(Code::Unavailable, "the database is not available at present")
            }
            StoreError::StorageFull => {
                Self::new(Code::StorageFull, "the disk of the database is full: nothing was applied, reads go on")
            }
            StoreError::SpaceExists(_) | StoreError::Open(_) | StoreError::Internal(_) => Self::internal(&error),
        }
    }
}

impl Problem {
    /// 500: the log has the error, the client only the id under which it stands there.
    pub fn internal(error: &dyn fmt::Display) -> Self {
        let id = Uuid::new_v4().to_string();
        log::error!("internal error {id}: {error}");
        Self::new(Code::Internal, "the server failed; its log says more under this id").with_text("id", &id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Rev;

    #[test]
    fn a_resync_says_all_that_the_client_needs() {
        let resync = Resync {
            reason: Reason::Purged,
            epoch: "k3f9q2".parse().unwrap(),
            head: Rev::new(2151).unwrap(),
            horizon: Rev::new(812).unwrap(),
            shared_rev: Rev::new(700).unwrap(),
        };
        let (space, todos) = (SpaceName::new("demo").unwrap(), Collections::parse("todos").unwrap());
        let whole = String::from_utf8(Problem::resync(&space, None, &resync).to_json()).unwrap();
        insta::assert_snapshot!(whole, @r#"{"type":"urn:strandline:problem:resync_required","code":"resync_required","title":"The client must resync","status":410,"detail":"tombstones that this client may not have seen are purged","reason":"purged","epoch":"k3f9q2","head":2151,"horizon":812,"shared_rev":700,"manifest":"/v1/spaces/demo/manifest"}"#);
        let scoped = String::from_utf8(Problem::resync(&space, Some(&todos), &resync).to_json()).unwrap();
        assert!(scoped.ends_with(r#""manifest":"/v1/spaces/demo/manifest?collections=todos"}"#), "{scoped}");
    }

    #[test]
    fn an_unexpected_error_says_nothing_of_the_inside() {
        let problem = Problem::from(StoreError::internal("secret table missing"));
        let text = String::from_utf8(problem.to_json()).unwrap();
        assert_eq!(problem.status_code(), 500);
        assert!(!text.contains("secret") && text.contains("\"id\":\""), "{text}");
    }
}
