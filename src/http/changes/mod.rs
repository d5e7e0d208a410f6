//! `GET /v1/spaces/{space}/changes`: what changed since X (PROTOCOL.md §3), in three forms.

mod events;
mod lines;
mod page;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::accept::{self, EVENTS, JSON, NDJSON};
use super::extract::{Caller, InSpace};
use super::limits::{PAGE_BYTES, STREAM_BYTES, STREAM_ROWS};
use super::metrics::PullKind;
use super::problem::{Code, Problem};
use super::wire::schema;
use super::{Api, answer, conditions, query, sightings};
use crate::domain::pull::{Page, PullRequest, Pulled};
use crate::domain::{Cursor, Epoch, Progress, Rev, Since};
use crate::store::StoreError;

/// The longest wait of a long poll, in seconds.
const LONGEST_WAIT: u64 = 60;

/// What changed since X.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/changes", operation_id = "pullChanges", tag = "pull",
    params(schema::SpacePath, schema::ChangesQuery, schema::ChangesHeaders, schema::ClientHeader),
    responses(
        (status = 200, description = "A page, or a stream of lines or events, by `Accept`",
            content(
                (schema::Page = "application/json"),
                (schema::ChangeLine = "application/x-ndjson"),
                (schema::ServerEvent = "text/event-stream"),
            ),
            headers(
                ("ETag" = String, description = "`\"<epoch>.<head>\"`, not of an event stream"),
                ("Link" = String, description = "`<…>; rel=\"next\"` while `has_more` is true"),
                ("Cache-Control" = String, description = "`no-cache`"),
            )),
        (status = 304, description = "The answer that the client holds is still the answer",
            headers(("ETag" = String, description = "`\"<epoch>.<head>\"`"))),
        (status = 410, description = "`resync_required`: no delta leads on from here", body = schema::ResyncProblem,
            content_type = "application/problem+json"),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn changes(req: HttpRequest, at: InSpace, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let form = accept::choose(req.headers(), [JSON, NDJSON, EVENTS])?;
    let [since, limit, collections, wait] = query::read(req.query_string(), ["since", "limit", "collections", "wait"])?;
    if form == NDJSON {
        let page_only = [("limit", &limit), ("wait", &wait)].into_iter().find(|(_, value)| value.is_some());
        if let Some((name, _)) = page_only {
            return Err(Problem::invalid(format!("{name} is for pages: a stream of lines has no {name}")));
        }
    }
    let since = match last_event_id(&req).filter(|_| form == EVENTS) {
        Some(cursor) => Since::Cursor(cursor?),
        None => since.as_deref().map_or(Ok(Since::Nothing), parse_since)?,
    };
    let mut request = PullRequest {
        space: at.space.clone(),
        since,
        limit: query::limit(limit.as_deref())?,
        collections: at.reading(query::collections(collections.as_deref())?)?,
        max_bytes: PAGE_BYTES,
        upto: None,
        held: None,
    };
    let wait = wait.as_deref().map_or(Ok(0), parse_wait)?;
    match form {
        NDJSON => {
            request.held = held(&req, &api, &request).await?;
            (request.limit, request.max_bytes) = (STREAM_ROWS, STREAM_BYTES);
            lines::answer(&req, &api, &at.caller, request).await
        }
        EVENTS => {
            request.max_bytes = STREAM_BYTES;
            events::answer(&req, &api, at.caller, request).await
        }
        _ => {
            let asked = page::Asked { limit: limit.map(|_| request.limit), wait };
            page::answer(&req, &api, &at.caller, request, asked).await
        }
    }
}

fn parse_since(text: &str) -> Result<Since, Problem> {
    Since::parse(text).map_err(|fault| Problem::new(Code::InvalidCursor, format!("since: {fault}")))
}

fn parse_wait(text: &str) -> Result<u64, Problem> {
    query::whole_number(text)
        .filter(|seconds| *seconds <= LONGEST_WAIT)
        .ok_or_else(|| Problem::invalid(format!("wait must be a whole number of seconds from 0 to {LONGEST_WAIT}")))
}

/// The cursor of the last event that the client saw; a reconnecting browser sends it, empty if there was none.
fn last_event_id(req: &HttpRequest) -> Option<Result<Cursor, Problem>> {
    let value = req.headers().get("last-event-id").filter(|value| !value.is_empty())?;
    let cursor = value.to_str().ok().and_then(|text| text.parse().ok());
    Some(cursor.ok_or_else(|| {
        Problem::new(Code::InvalidCursor, "Last-Event-ID: this is not a cursor: send one as the server gave it")
    }))
}

/// The epoch and head that `If-None-Match` says the client holds.
///
/// A client under way holds no answer yet: a tag from its last page, sent with the cursor of the next, would stop it
/// there with a 304. One tag says it. Of several, or of `*`, only the present one matters, and the space tells which that is; if it
/// changes before the pull, the pull finds that the tag no longer matches.
async fn held(req: &HttpRequest, api: &Api, request: &PullRequest) -> Result<Option<(Epoch, Rev)>, StoreError> {
    if matches!(&request.since, Since::Cursor(cursor) if cursor.progress != Progress::Whole) {
        return Ok(None);
    }
    let mut tags = conditions::tags(req.headers(), &header::IF_NONE_MATCH);
    let Some(first) = tags.next() else { return Ok(None) };
    if let (Some(opaque), None) = (first.opaque(), tags.next()) {
        return Ok(conditions::page_tag(opaque));
    }
    let state = api.store.space(&request.space).await?;
    let present = (state.epoch(), state.head);
    Ok(conditions::none_match(req.headers(), &page_tag(present)).then_some(present))
}

/// The entity tag of an answer, without its quotes.
fn page_tag((epoch, head): (Epoch, Rev)) -> String {
    format!("{epoch}.{head}")
}

/// The page of a pull; or the answer that stands in its place, or the problem. Its client has been seen.
fn page_or_answer(
    req: &HttpRequest,
    api: &Api,
    caller: &Caller,
    request: &PullRequest,
    pulled: Pulled,
) -> Result<Result<Page, HttpResponse>, Problem> {
    sightings::pulled(api, caller, sightings::agent(req), request, &pulled);
    match pulled {
        Pulled::Page(page) => Ok(Ok(page)),
        Pulled::NotModified { epoch, head } => {
            api.metrics.count_pull(PullKind::NotModified);
            Ok(Err(tagged(answer::revalidated(StatusCode::NOT_MODIFIED), (epoch, head)).finish()))
        }
        Pulled::Resync(resync) => {
            api.metrics.count_pull(PullKind::Resync);
            api.metrics.count_resync(resync.reason);
            Err(Problem::resync(&request.space, request.collections.as_ref(), &resync))
        }
    }
}

/// The headers of every form that has a tag.
fn tagged(mut response: HttpResponseBuilder, present: (Epoch, Rev)) -> HttpResponseBuilder {
    response.insert_header((header::ETAG, answer::etag(page_tag(present))));
    response.insert_header((header::VARY, HeaderValue::from_static("accept")));
    response
}
