//! What the audit says of requests (`crate::audit`).

use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest};

use super::access::space_of;
use super::peer::Peer;
use super::problem::Problem;
use crate::access::Holder;
use crate::audit::{self, Line};
use crate::domain::access::TokenId;

/// Writes down what was let in.
pub fn done(event: &str, route: &str, req: &HttpRequest, holder: Option<&Holder>, status: StatusCode) {
    let outcome = if status.is_success() || status.is_redirection() { "done" } else { "failed" };
    write(event, outcome, status, route, req, holder, None);
}

/// Writes down what was not allowed; what is wrong with the request itself is no such thing.
pub fn refused(event: Option<&str>, route: &str, req: &HttpRequest, holder: Option<&Holder>, problem: &Problem) {
    let status = actix_web::ResponseError::status_code(problem);
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
        write(event.unwrap_or("access"), "refused", status, route, req, holder, Some(problem.detail()));
    }
}

/// Left in a request by a handler that has made a token.
pub struct Made(pub TokenId);

/// What the path names beside a space. Of records not even the ids: these are a user's data. And a token that somebody took for
/// its id is none.
fn named<'r>(route: &str, path: &'r str) -> Option<&'r str> {
    let part = |name: &str| path.split('/').nth(route.split('/').position(|part| part == name)?);
    part("{token_id}").filter(|id| TokenId::new(id).is_ok()).or_else(|| part("{client}"))
}

fn write(
    event: &str,
    outcome: &str,
    status: StatusCode,
    route: &str,
    req: &HttpRequest,
    holder: Option<&Holder>,
    why: Option<&str>,
) {
    if !audit::is_on() {
        return;
    }
    let space = space_of(req);
    let made = req.extensions().get::<Made>().map(|made| made.0.clone());
    let subject = made.as_ref().map(TokenId::as_str).or_else(|| named(route, req.path()));
    let line = Line {
        event,
        outcome,
        status: Some(status.as_u16()),
        method: Some(req.method().as_str()),
        route: Some(route),
        space: space.as_ref().map(crate::domain::SpaceName::as_str),
        subject,
        who: holder.map(|holder| &*holder.id),
        name: holder.map(|holder| &*holder.name),
        from: Some(Peer::of(req).address.to_string()),
        why,
        ..Line::default()
    };
    audit::write(&line);
}
