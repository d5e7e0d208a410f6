//! How much a space may hold: its own quota, beside the server's defaults.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{InSpace, TakesJson};
use super::problem::Problem;
use super::wire::quota::{QuotaSettings, SpaceQuota};
use super::wire::schema;
use super::{Api, answer, body, query};
use crate::domain::SpaceState;

/// A space's quota, what counts of it, and what is used.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/quota", operation_id = "readQuota", tag = "spaces",
    params(schema::SpacePath, schema::ClientHeader),
    responses(
        (status = 200, description = "The quota", body = SpaceQuota),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn read(req: HttpRequest, at: InSpace, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    Ok(quota(&api, &*api.store.space(&at.space).await?))
}

/// Change a space's quota.
///
/// One that is below what the space holds takes nothing away: until there is room again, only what adds nothing is taken.
#[utoipa::path(
    put, path = "/v1/spaces/{space}/quota", operation_id = "configureQuota", tag = "spaces",
    params(schema::SpacePath, schema::ClientHeader),
    request_body = QuotaSettings,
    responses(
        (status = 200, description = "The quota as it is now", body = SpaceQuota),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm, schema::BodyRefusals, schema::WriteRefusals,
    ),
)]
pub async fn configure(
    req: HttpRequest,
    at: InSpace,
    _: TakesJson,
    api: web::Data<Api>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let settings: QuotaSettings = body::read_json(&req, payload, api.limits.push_bytes, body::required).await?;
    Ok(quota(&api, &*api.store.set_quota(at.space, settings.into()).await?))
}

fn quota(api: &Api, state: &SpaceState) -> HttpResponse {
    answer::value(answer::json(StatusCode::OK), &SpaceQuota::new(state, Some(api.store.default_quota())))
}
