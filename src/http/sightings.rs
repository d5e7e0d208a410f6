//! Notes for the registry: who pulled or pushed, and from where (PROTOCOL.md §7).

use actix_web::HttpRequest;
use actix_web::http::header;

use super::Api;
use super::extract::{Caller, InSpace};
use crate::domain::client::{head, rev_of, rev_of_pull};
use crate::domain::pull::{PullRequest, Pulled};
use crate::domain::push::Pushed;
use crate::domain::{Collections, Cursor, Since};
use crate::registry::Seen;

/// What the client says it is.
pub fn agent(req: &HttpRequest) -> Option<&str> {
    req.headers().get(header::USER_AGENT)?.to_str().ok()
}

/// Notes a pull.
pub fn pulled(api: &Api, caller: &Caller, agent: Option<&str>, request: &PullRequest, pulled: &Pulled) {
    let Some(rev) = rev_of_pull(&request.since, pulled) else { return };
    let cursor = match request.since {
        Since::Cursor(cursor) => Some(cursor),
        _ => None,
    };
    let seen = Seen {
        client: caller.client.as_ref(),
        rev,
        cursor,
        collections: request.collections.as_ref(),
        agent,
        at: api.clock.now(),
        head: head(pulled),
    };
    api.registry.see(&request.space, seen);
}

/// Notes the cursor of a push by a client that names itself.
pub fn pushed(
    api: &Api,
    req: &HttpRequest,
    at: &InSpace,
    cursor: Cursor,
    collections: Option<&Collections>,
    pushed: &Pushed,
) {
    let head = match pushed {
        Pushed::Done(answer) | Pushed::Refused(answer) => answer.head,
        Pushed::Resync(resync) => resync.head,
        // Nobody knows the head here, and a client that is refused tries again.
        Pushed::OverQuota(_) | Pushed::NoSpace => return,
    };
    if let client @ Some(_) = at.caller.client.as_ref() {
        let (rev, at_time, agent) = (rev_of(&cursor), api.clock.now(), agent(req));
        let seen = Seen { client, rev, cursor: Some(cursor), collections, agent, at: at_time, head };
        api.registry.see(&at.space, seen);
    }
}
