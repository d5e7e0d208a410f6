//! Pages, and long polls that wait for one.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use tokio::time::{Instant, timeout_at};

use super::super::access::Lease;
use super::super::extract::Caller;
use super::super::metrics::{PullKind, Via};
use super::super::observe::Held;
use super::super::problem::Problem;
use super::super::{Api, answer, conditions, sightings, wire};
use super::{held, page_or_answer, page_tag, tagged};
use crate::domain::pull::{Page, PullRequest, Pulled};
use crate::domain::{Progress, Since};
use crate::feed::Woken;

/// What a client asked of the page, beside the pull itself.
pub struct Asked {
    /// The limit, if it gave one: a link to the next page repeats it.
    pub limit: Option<usize>,
    /// Seconds to wait for something new.
    pub wait: u64,
}

pub async fn answer(
    req: &HttpRequest,
    api: &Api,
    caller: &Caller,
    mut request: PullRequest,
    asked: Asked,
) -> Result<HttpResponse, Problem> {
    let pulled = if asked.wait > 0 && may_be_held(&request.since) {
        let _open = api.throttle.stream(req, api)?;
        hold(req, api, caller, &request, Duration::from_secs(asked.wait)).await?
    } else {
        request.held = held(req, api, &request).await?;
        api.store.pull(request.clone()).await?
    };
    Ok(match page_or_answer(req, api, caller, &request, pulled)? {
        Ok(page) => page_answer(api, &request, &asked, &page),
        Err(answer) => answer,
    })
}

/// Cursors under way, an initial sync and `now` are answered at once (§3).
fn may_be_held(since: &Since) -> bool {
    match since {
        Since::Nothing | Since::Now => false,
        Since::Rev(_) | Since::Time(_) => true,
        Since::Cursor(cursor) => cursor.progress == Progress::Whole,
    }
}

/// Waits while there is nothing new. A matching `If-None-Match` is not answered before the time is over: it is the
/// very state of a client that waits.
async fn hold(
    req: &HttpRequest,
    api: &Api,
    caller: &Caller,
    request: &PullRequest,
    wait: Duration,
) -> Result<Pulled, Problem> {
    let deadline = Instant::now() + wait;
    // Before the first look: a commit between the look and the subscription would wake nobody.
    let mut subscription = api.feed.subscribe(&request.space);
    let (mut waiting, mut lease) = (true, Lease::of(req, api));
    loop {
        let pulled = api.store.pull(request.clone()).await?;
        let Pulled::Page(page) = &pulled else { return Ok(pulled) };
        if page.has_more || !page.changes.is_empty() {
            return Ok(pulled);
        }
        if !waiting {
            let present = (page.cursor.epoch, page.head);
            let matches = conditions::none_match(req.headers(), &page_tag(present));
            return Ok(if matches { Pulled::NotModified { epoch: present.0, head: present.1 } } else { pulled });
        }
        if req.extensions_mut().insert(Held).is_none() {
            sightings::pulled(api, caller, sightings::agent(req), request, &pulled);
        }
        // After the time, or when the server shuts down, one last look makes the answer as fresh as any.
        waiting = tokio::select! {
            woken = timeout_at(deadline, subscription.woken()) => matches!(woken, Ok(Woken::Changed)),
            () = lease.ended() => return Err(Lease::refusal()),
        };
    }
}

fn page_answer(api: &Api, request: &PullRequest, asked: &Asked, page: &Page) -> HttpResponse {
    api.metrics.count_pull(match (&request.since, page.cursor.progress) {
        (Since::Nothing, _) | (_, Progress::Initial { .. }) => PullKind::Initial,
        _ if page.changes.is_empty() => PullKind::UpToDate,
        _ => PullKind::Delta,
    });
    let mut response = tagged(answer::json(StatusCode::OK), (page.cursor.epoch, page.head));
    if page.has_more {
        response.insert_header((header::LINK, next(request, asked, page)));
    }
    let body = wire::page::to_json(page);
    api.metrics.count_sent(Via::Page, page.changes.len(), body.len());
    response.body(body)
}

/// The link to the next page: the same question from the new cursor. Cursors and names have nothing to escape.
fn next(request: &PullRequest, asked: &Asked, page: &Page) -> String {
    let limit = asked.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
    let choice = request.collections.as_ref().map(|names| format!("&collections={names}")).unwrap_or_default();
    format!("</v1/spaces/{}/changes?since={}{limit}{choice}>; rel=\"next\"", request.space, page.cursor)
}
