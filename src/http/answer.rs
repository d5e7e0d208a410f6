//! The frame of every answer that is no error: type, caching, validators.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::accept::JSON;
use super::wire;
use crate::domain::{Change, CollectionName, RecordId, SpaceName};

/// What need not be escaped in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An answer that a cache must revalidate, as they all must (§3).
pub fn revalidated(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    response
}

/// The start of an answer in JSON.
pub fn json(status: StatusCode) -> HttpResponseBuilder {
    let mut response = revalidated(status);
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(JSON)));
    response
}

/// A value as JSON.
pub fn value(mut response: HttpResponseBuilder, value: &impl Serialize) -> HttpResponse {
    // The wire types have no map with odd keys and no failing serializer: writing them cannot fail.
    response.body(serde_json::to_vec(value).unwrap_or_default())
}

/// An entity tag's header value.
pub fn etag(opaque: impl std::fmt::Display) -> HeaderValue {
    let text = web::Bytes::from(format!("\"{opaque}\""));
    // What tags are made of, epochs, revisions and durations, is plain ASCII.
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// A record with its validators.
pub fn record(status: StatusCode, change: &Change) -> HttpResponseBuilder {
    let mut response = json(status);
    validators(&mut response, change);
    response
}

/// The validators of a record.
pub fn validators(response: &mut HttpResponseBuilder, change: &Change) {
    response.insert_header((header::ETAG, etag(change.rev)));
    response.insert_header((header::LAST_MODIFIED, change.modified_at.to_http_date()));
}

/// A record's change object as the body.
pub fn change(mut response: HttpResponseBuilder, change: &Change) -> HttpResponse {
    response.body(wire::change::to_json(change))
}

/// Where a record is.
pub fn record_path(space: &SpaceName, collection: &CollectionName, id: &RecordId) -> String {
    let id = utf8_percent_encode(id.as_str(), SEGMENT);
    format!("/v1/spaces/{space}/records/{collection}/{id}")
}
