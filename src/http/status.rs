//! How the server is: for load balancers and Prometheus (PROTOCOL.md §9).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::problem::Problem;
use super::wire::schema;
use super::{Api, answer, metrics, query};

/// The text is the same in both: Prometheus's older format takes the closing `# EOF` for a comment.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process lives.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "status", security(()),
    responses((status = 200, description = "It does", body = schema::Health), schema::PublicRefusals))]
pub async fn alive(req: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    Ok(answer::json(StatusCode::OK).body(r#"{"status":"ok"}"#))
}

/// The store answers.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "status", security(()),
    responses((status = 200, description = "It does", body = schema::Health), schema::PublicRefusals))]
pub async fn ready(req: HttpRequest, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    api.store.ready().await?;
    Ok(answer::json(StatusCode::OK).body(r#"{"status":"ready"}"#))
}

/// What the server counts, for Prometheus.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "status",
    responses(
        (status = 200, description = "In the text format of Prometheus, by `Accept` as OpenMetrics",
            content(
                (String = "text/plain; version=0.0.4; charset=utf-8"),
                (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            )),
        schema::Refusals,
    ))]
pub async fn metrics(req: HttpRequest, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let text = metrics::text(&api).await.map_err(|error| Problem::internal(&error))?;
    let asked = req.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let form = if asked.contains("application/openmetrics-text") { OPEN_METRICS } else { PLAIN };
    let mut response = answer::revalidated(StatusCode::OK);
    response.insert_header((header::VARY, HeaderValue::from_static("accept")));
    Ok(response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(form))).body(text))
}
