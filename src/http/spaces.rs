//! Spaces: what revision a client should have, and how many there are (PROTOCOL.md §2).

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{Caller, InSpace, TakesJson};
use super::problem::Problem;
use super::wire::schema;
use super::wire::space::{Space, SpaceList, SpaceSettings, tag};
use super::{Api, answer, body, conditions, query};
use crate::domain::{SpaceName, SpaceState};
use crate::store::PolicyChange;

/// What revision should I have?
#[utoipa::path(
    get, path = "/v1/spaces/{space}", operation_id = "readSpace", tag = "spaces",
    params(schema::SpacePath, schema::IfNoneMatch, schema::ClientHeader),
    responses(
        (status = 200, description = "The space", body = Space,
            headers(("ETag" = String, description = "Opaque; changes with anything in the answer"))),
        (status = 304, description = "The answer that the client holds is still the answer"),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn read(req: HttpRequest, at: InSpace, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let state = api.store.space(&at.space).await?;
    let tag = tag(&state);
    if conditions::none_match(req.headers(), &tag) {
        let mut response = answer::revalidated(StatusCode::NOT_MODIFIED);
        return Ok(response.insert_header((header::ETAG, answer::etag(tag))).finish());
    }
    Ok(space(StatusCode::OK, &state))
}

fn space(status: StatusCode, state: &SpaceState) -> HttpResponse {
    let mut response = answer::json(status);
    response.insert_header((header::ETAG, answer::etag(tag(state))));
    if status == StatusCode::CREATED {
        response.insert_header((header::LOCATION, format!("/v1/spaces/{}", state.name)));
    }
    answer::value(response, &Space::from(state))
}

/// Create or configure a space.
#[utoipa::path(
    put, path = "/v1/spaces/{space}", operation_id = "configureSpace", tag = "spaces",
    params(schema::SpacePath, schema::ClientHeader),
    request_body(content = SpaceSettings, description = "What is absent stays as it is, or as new spaces have it"),
    responses(
        (status = 200, description = "Configured", body = Space),
        (status = 201, description = "Created", body = Space,
            headers(("Location" = String, description = "Its path"))),
        schema::Refusals, schema::NoAcceptableForm, schema::BodyRefusals, schema::WriteRefusals,
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
    let settings: SpaceSettings = body::read_json(&req, payload, api.limits.push_bytes, body::optional).await?;
    let change = PolicyChange { retention: settings.retention, ..PolicyChange::default() };
    let (state, created) = api.store.configure(at.space, change).await?;
    Ok(space(if created { StatusCode::CREATED } else { StatusCode::OK }, &state))
}

/// Remove a space with all it holds.
#[utoipa::path(
    delete, path = "/v1/spaces/{space}", operation_id = "deleteSpace", tag = "spaces",
    params(schema::SpacePath, schema::ClientHeader),
    responses(
        (status = 204, description = "Removed; made anew, it has another epoch"),
        schema::Refusals, schema::UnknownSpace, schema::WriteRefusals,
    ),
)]
pub async fn delete(req: HttpRequest, at: InSpace, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    api.store.delete_space(at.space).await?;
    Ok(answer::revalidated(StatusCode::NO_CONTENT).finish())
}

/// The spaces in order of name.
#[utoipa::path(
    get, path = "/v1/spaces", operation_id = "listSpaces", tag = "spaces",
    params(schema::ListQuery, schema::ClientHeader),
    responses(
        (status = 200, description = "A page", body = SpaceList),
        schema::Refusals, schema::NoAcceptableForm,
    ),
)]
pub async fn list(req: HttpRequest, _: Caller, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let [limit, after] = query::read(req.query_string(), ["limit", "after"])?;
    let limit = query::limit(limit.as_deref())?;
    let after = after.map(|after| SpaceName::new(&after).map_err(|fault| Problem::name("after", fault))).transpose()?;
    // One more than asked for tells whether there are more.
    let states = api.store.spaces("", after, limit + 1).await?;
    let more = states.len() > limit;
    let spaces: Vec<Space> = states.iter().take(limit).map(|state| Space::from(&**state)).collect();
    let after = spaces.last().filter(|_| more).map(|last| last.space.clone());
    Ok(answer::value(answer::json(StatusCode::OK), &SpaceList { spaces, after }))
}
