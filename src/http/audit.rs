//! What the audit says of requests (`crate::audit`).

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::access::space_of;
use super::peer::Peer;
use super::problem::Problem;
use crate::access::Holder;
use crate::audit::{self, Line};

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
    // Of records not even the ids: these are a user's data.
    let subject = ["{client}", "{token_id}"].iter().find_map(|name| {
        let place = route.split('/').position(|part| part == *name)?;
        req.path().split('/').nth(place)
    });
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
