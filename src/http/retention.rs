//! How long a space remembers deletions, and purging by hand (PROTOCOL.md §7).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{InSpace, TakesJson};
use super::problem::Problem;
use super::wire::retention::{CompactOrder, Compaction, Plan, RetentionRule, RetentionSettings, RetentionState};
use super::wire::schema;
use super::{Api, answer, body, query};
use crate::compactor::{self, Order};
use crate::domain::Retention;
use crate::stats::{self, MOST_WINDOWS};
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
    // Configuring makes a space that is not there; only a PUT on the space itself is meant to.
    api.store.space(&at.space).await?;
    let change = PolicyChange {
        retention: settings.retention,
        hold_for_clients: settings.hold_for_clients,
        max_retention: settings.max_retention,
        max_tombstones: settings.max_tombstones,
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
    super::clients::write_notes(&api, &at.space).await;
    let order = Order { older_than: order.older_than, force: order.force, dry_run: order.dry_run };
    // On its own, so that it goes on to the end when the client goes away.
    let work =
        tokio::spawn(
            async move { compactor::compact(&*api.store, &*api.clock, &at.space, order, &api.progress).await },
        );
    let purged = work.await.map_err(|error| Problem::internal(&error))??;
    Ok(answer::value(answer::json(StatusCode::OK), &Compaction::from(purged)))
}

/// The windows of a plan that names none.
const WINDOWS: &str = "1d,7d,30d,90d,180d,365d";

/// What purges by several windows would do now.
///
/// It is what `compact` with that `older_than` would do this moment: exact, and nothing is changed.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/retention/plan", operation_id = "planRetention", tag = "retention",
    params(schema::SpacePath, schema::PlanQuery, schema::ClientHeader),
    responses(
        (status = 200, description = "One a window", body = Plan),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn plan(req: HttpRequest, at: InSpace, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let [windows] = query::read(req.query_string(), ["windows"])?;
    let windows = parse_windows(windows.as_deref().unwrap_or(WINDOWS))?;
    super::clients::write_notes(&api, &at.space).await;
    let forecasts = stats::plan(&*api.store, &*api.clock, &at.space, &windows).await?;
    Ok(answer::value(answer::json(StatusCode::OK), &Plan::new(&windows, &forecasts)))
}

fn parse_windows(text: &str) -> Result<Vec<Retention>, Problem> {
    let windows: Result<Vec<Retention>, Problem> = text
        .split(',')
        .map(|window| window.parse().map_err(|fault| Problem::invalid(format!("windows: {window:?}: {fault}"))))
        .collect();
    let windows = windows?;
    if windows.len() > MOST_WINDOWS {
        return Err(Problem::invalid(format!("windows must be at most {MOST_WINDOWS}")));
    }
    Ok(windows)
}

/// What holds the horizon where it is, and who.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/retention/state", operation_id = "explainRetention", tag = "retention",
    params(schema::SpacePath, schema::ClientHeader),
    responses(
        (status = 200, description = "The rule that counts", body = RetentionState),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn state(req: HttpRequest, at: InSpace, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    super::clients::write_notes(&api, &at.space).await;
    let explained = compactor::explain(&*api.store, &*api.clock, &at.space).await?;
    Ok(answer::value(answer::json(StatusCode::OK), &RetentionState::from(&explained)))
}
