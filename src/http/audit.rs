//! The audit: who did what, one line of JSON for every event that configures, deletes, compacts, is about tokens, or was not
//! allowed. A line names routes, spaces and holders; never a token, a record or its id.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::access::space_of;
use super::problem::Problem;
use crate::access::Holder;

/// The name under which the log has these lines, whatever else it has: `RUST_LOG=warn,audit=info`.
const TARGET: &str = "audit";

#[derive(Serialize)]
struct Line<'a> {
    event: &'a str,
    /// `done`, `failed` (it was allowed, and did not come to be), or `refused`.
    outcome: &'a str,
    status: u16,
    method: &'a str,
    route: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    space: Option<&'a str>,
    /// What else the path names: a client or a token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    /// Whose credential it was; absent where nobody's is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

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
    if !log::log_enabled!(target: TARGET, log::Level::Info) {
        return;
    }
    let space = space_of(req);
    // Of records not even the ids: these are a user's data.
    let subject = ["{client}", "{token}"].iter().find_map(|name| {
        let place = route.split('/').position(|part| part == *name)?;
        req.path().split('/').nth(place)
    });
    let line = Line {
        event,
        outcome,
        status: status.as_u16(),
        method: req.method().as_str(),
        route,
        space: space.as_ref().map(crate::domain::SpaceName::as_str),
        subject,
        who: holder.map(|holder| &*holder.id),
        name: holder.map(|holder| &*holder.name),
        from: req.peer_addr().map(|peer| peer.ip().to_string()),
        why,
    };
    // Strings in a struct: writing them cannot fail.
    log::info!(target: TARGET, "{}", serde_json::to_string(&line).unwrap_or_default());
}
