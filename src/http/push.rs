//! `POST /v1/spaces/{space}/push`: a client's edits (PROTOCOL.md §4).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{InSpace, TakesJson};
use super::problem::{Code, Problem};
use super::wire::{push_answer, push_body, schema};
use super::{Api, answer, body, query, sightings};
use crate::domain::Access;
use crate::domain::push::{PushAnswer, PushRequest, Pushed};

/// Apply a client's edits; the server wins every conflict.
#[utoipa::path(
    post, path = "/v1/spaces/{space}/push", operation_id = "push", tag = "push",
    params(schema::SpacePath, schema::ClientHeader),
    request_body(content = schema::Push, description = "The edits; gzip and zstd are accepted as Content-Encoding"),
    responses(
        (status = 200, description = "What became of each change", body = schema::PushAnswer),
        (status = 409, description = "`push_refused`: it was atomic, and nothing was applied",
            body = schema::PushRefused, content_type = "application/problem+json"),
        (status = 410, description = "`resync_required`: its cursor is not of this history; nothing was applied",
            body = schema::ResyncProblem, content_type = "application/problem+json"),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm, schema::BodyRefusals, schema::WriteRefusals,
        schema::QuotaRefusals,
    ),
)]
pub async fn push(
    req: HttpRequest,
    at: InSpace,
    _: TakesJson,
    api: web::Data<Api>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let (limits, space, client) = (api.limits, at.space.clone(), at.caller.client.clone());
    let request =
        body::read_json(&req, payload, limits.push_bytes, move |text| push_body::parse(text, space, client, &limits));
    let mut request = request.await?;
    at.permit.touch_all(&at.space, Access::Write, request.changes.iter().map(|change| &change.collection))?;
    request.collections = at.reading(request.collections)?;
    let (subjects, collections, cursor) = (subjects(&request), request.collections.clone(), request.cursor);
    let pushed = api.store.push(request).await;
    if let (Some(cursor), Ok(pushed)) = (cursor, &pushed) {
        sightings::pushed(&api, &req, &at, cursor, collections.as_ref(), pushed);
    }
    api.metrics.count_push(&pushed);
    match pushed? {
        Pushed::Done(done) => Ok(answer::json(StatusCode::OK).body(push_answer::to_json(&done, &subjects))),
        Pushed::Refused(refused) => Err(refusal(&refused, &subjects)),
        Pushed::Resync(resync) => Err(Problem::resync(&at.space, collections.as_ref(), &resync)),
        Pushed::OverQuota(excess) => Err(Problem::quota(excess)),
        Pushed::NoSpace => Err(Problem::no_space(&at.space)),
    }
}

fn subjects(request: &PushRequest) -> Vec<push_answer::Subject> {
    request.changes.iter().map(|change| (change.collection.clone(), change.id.clone())).collect()
}

fn refusal(refused: &PushAnswer, subjects: &[push_answer::Subject]) -> Problem {
    let mut results = Vec::new();
    push_answer::results(&mut results, refused, subjects);
    Problem::new(Code::PushRefused, "the push was atomic and a change stood against it: nothing was applied")
        .with_json("results", &results)
        .with_number("previous_head", refused.previous_head.get())
        .with_number("head", refused.head.get())
}
