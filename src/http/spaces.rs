//! Spaces: what revision a client should have, and how many there are (PROTOCOL.md §2).

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::access::Permit;
use super::extract::{Caller, InSpace, TakesJson};
use super::problem::Problem;
use super::wire::schema;
use super::wire::space::{Space, SpaceList, SpaceSettings, tag};
use super::{Api, answer, body, conditions, query};
use crate::domain::{Access, Collections, SpaceName, SpaceState};
use crate::store::{PolicyChange, StoreError};

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
    let choice = at.reading(None)?;
    let state = api.store.space(&at.space).await?;
    let tag = tag(&state, choice.as_ref());
    if conditions::none_match(req.headers(), &tag) {
        let mut response = answer::revalidated(StatusCode::NOT_MODIFIED);
        return Ok(response.insert_header((header::ETAG, answer::etag(tag))).finish());
    }
    Ok(space(StatusCode::OK, &state, choice.as_ref()))
}

fn space(status: StatusCode, state: &SpaceState, choice: Option<&Collections>) -> HttpResponse {
    let mut response = answer::json(status);
    response.insert_header((header::ETAG, answer::etag(tag(state, choice))));
    if status == StatusCode::CREATED {
        response.insert_header((header::LOCATION, format!("/v1/spaces/{}", state.name)));
    }
    answer::value(response, &Space::new(state, choice))
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
    Ok(space(if created { StatusCode::CREATED } else { StatusCode::OK }, &state, None))
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
    params(schema::ListLimit, schema::AfterSpace, schema::ClientHeader),
    responses(
        (status = 200, description = "A page", body = SpaceList),
        schema::Refusals, schema::NoAcceptableForm,
    ),
)]
pub async fn list(
    req: HttpRequest,
    _: Caller,
    permit: Permit,
    _: TakesJson,
    api: web::Data<Api>,
) -> Result<HttpResponse, Problem> {
    let [limit, after] = query::read(req.query_string(), ["limit", "after"])?;
    let limit = query::limit(limit.as_deref())?;
    let after = after.map(|after| SpaceName::new(&after).map_err(|fault| Problem::name("after", fault))).transpose()?;
    // One more than asked for tells whether there are more.
    let states = readable(&api, &permit, after, limit + 1).await?;
    let more = states.len() > limit;
    let mut spaces = Vec::with_capacity(states.len().min(limit));
    for state in states.iter().take(limit) {
        spaces.push(Space::new(state, permit.choice(&state.name, Access::Read, None)?.as_ref()));
    }
    let after = spaces.last().filter(|_| more).map(|last: &Space| last.space.clone());
    Ok(answer::value(answer::json(StatusCode::OK), &SpaceList { spaces, after }))
}

/// The spaces that the caller may read, in order of name. Those that it may not are not even looked at.
async fn readable(
    api: &Api,
    permit: &Permit,
    after: Option<SpaceName>,
    limit: usize,
) -> Result<Vec<Arc<SpaceState>>, StoreError> {
    let Some(holder) = permit.holder() else { return api.store.spaces("", after, limit).await };
    let mut found = Vec::new();
    // In order, and none within another: so the spaces of one come before all those of the next.
    for pattern in holder.grants.patterns() {
        let left = limit - found.len();
        if left == 0 {
            break;
        }
        if let Some(prefix) = pattern.prefix() {
            found.extend(api.store.spaces(prefix, after.clone(), left).await?);
        } else if let Ok(name) = SpaceName::new(pattern.as_str())
            && after.as_ref().is_none_or(|after| *after < name)
        {
            match api.store.space(&name).await {
                Ok(state) => found.push(state),
                Err(StoreError::NoSpace(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}
