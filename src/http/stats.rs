//! How a space is, and how it went: for the page and for `strandline stats`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{InSpace, TakesJson};
use super::problem::Problem;
use super::wire::schema;
use super::wire::stats::Stats;
use super::{Api, answer, clients, query};
use crate::stats;

/// How a space is, and how it went over the last hours.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/stats", operation_id = "readStats", tag = "status",
    params(schema::SpacePath, schema::ClientHeader),
    responses(
        (status = 200, description = "Its numbers", body = Stats),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn read(req: HttpRequest, at: InSpace, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    clients::write_notes(&api, &at.space).await;
    let told = Stats::from(&stats::collect(&*api.store, &*api.clock, &at.space).await?);
    Ok(answer::value(answer::json(StatusCode::OK), &told))
}
