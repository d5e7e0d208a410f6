//! How long a space remembers deletions, and purging by hand (PROTOCOL.md §7).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{InSpace, TakesJson};
use super::problem::Problem;
use super::wire::schema;
use super::wire::space::{CompactOrder, Compaction, RetentionRule, RetentionSettings};
use super::{Api, answer, body, query};
use crate::compactor;
use crate::store::PolicyChange;

/// A space's rule for its tombstones.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/retention", operation_id = "readRetention", tag = "retention",
    params(schema::SpacePath, schema::ClientHeader),
    responses(
        (status = 200, description = "The rule", body = RetentionRule),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn read(req: HttpRequest, at: InSpace, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let state = api.store.space(&at.space).await?;
    Ok(answer::value(answer::json(StatusCode::OK), &RetentionRule::from(state.policy)))
}

/// Change a space's rule for its tombstones.
#[utoipa::path(
    put, path = "/v1/spaces/{space}/retention", operation_id = "configureRetention", tag = "retention",
    params(schema::SpacePath, schema::ClientHeader),
    request_body = RetentionSettings,
    responses(
        (status = 200, description = "The rule as it is now", body = RetentionRule),
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
    let settings: RetentionSettings = body::read_json(&req, payload, api.limits.push_bytes, body::required).await?;
    if settings.hold_for_clients == Some(true) {
        return Err(Problem::invalid(
            "holding tombstones for clients needs the client registry, which this version does not have",
        ));
    }
    // Configuring makes a space that is not there; only a PUT on the space itself is meant to.
    api.store.space(&at.space).await?;
    let change = PolicyChange {
        retention: settings.retention,
        hold_for_clients: settings.hold_for_clients,
        max_retention: settings.max_retention,
    };
    let (state, _) = api.store.configure(at.space, change).await?;
    Ok(answer::value(answer::json(StatusCode::OK), &RetentionRule::from(state.policy)))
}

/// Purge old tombstones now.
#[utoipa::path(
    post, path = "/v1/spaces/{space}/compact", operation_id = "compact", tag = "retention",
    params(schema::SpacePath, schema::ClientHeader),
    request_body(content = CompactOrder, description = "May be absent"),
    responses(
        (status = 200, description = "What was purged, or would be", body = Compaction),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm, schema::BodyRefusals, schema::WriteRefusals,
    ),
)]
pub async fn compact(
    req: HttpRequest,
    at: InSpace,
    _: TakesJson,
    api: web::Data<Api>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let order: CompactOrder = body::read_json(&req, payload, api.limits.push_bytes, body::optional).await?;
    // On its own, so that it goes on to the end when the client goes away.
    let work = tokio::spawn(async move {
        compactor::compact(&*api.store, &*api.clock, &at.space, order.older_than, order.dry_run).await
    });
    let purged = work.await.map_err(|error| Problem::internal(&error))??;
    Ok(answer::value(answer::json(StatusCode::OK), &Compaction::from(purged)))
}
