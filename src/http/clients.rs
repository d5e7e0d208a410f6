//! What is known of the clients of a space (PROTOCOL.md §7).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{InSpace, OnClient, TakesJson};
use super::problem::{Code, Problem};
use super::wire::retention::{ClientList, Known};
use super::wire::schema;
use super::{Api, answer, query};
use crate::domain::{ClientName, SpaceName};

/// Where the clients of a space were last seen.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/clients", operation_id = "listClients", tag = "retention",
    params(schema::SpacePath, schema::ListLimit, schema::AfterClient, schema::ClientHeader),
    responses(
        (status = 200, description = "A page, in order of name", body = ClientList),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn list(req: HttpRequest, at: InSpace, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let [limit, after] = query::read(req.query_string(), ["limit", "after"])?;
    let limit = query::limit(limit.as_deref())?;
    let after =
        after.map(|after| ClientName::new(&after).map_err(|fault| Problem::name("after", fault))).transpose()?;
    write_notes(&api, &at.space).await;
    let head = api.store.space(&at.space).await?.head;
    // One more than asked for tells whether there are more.
    let known = api.store.clients(at.space, after, limit + 1).await?;
    let more = known.len() > limit;
    let clients: Vec<Known> = known.iter().take(limit).map(|client| Known::new(client, head)).collect();
    let after = clients.last().filter(|_| more).map(|last| last.client.clone());
    Ok(answer::value(answer::json(StatusCode::OK), &ClientList { clients, after }))
}

/// Forget where a client was seen.
///
/// Nothing is held for it any more; if it comes back behind the horizon, it is told to resync, as any other.
#[utoipa::path(
    delete, path = "/v1/spaces/{space}/clients/{client}", operation_id = "forgetClient", tag = "retention",
    params(schema::SpacePath, schema::ClientPath, schema::ClientHeader),
    responses(
        (status = 204, description = "Forgotten"),
        schema::Refusals, schema::UnknownSpace, schema::WriteRefusals,
    ),
)]
pub async fn forget(req: HttpRequest, on: OnClient, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    write_notes(&api, &on.space).await;
    api.registry.forget(&on.space, &on.client);
    if api.store.forget_client(on.space.clone(), on.client.clone()).await? {
        return Ok(answer::revalidated(StatusCode::NO_CONTENT).finish());
    }
    let (space, client) = (&on.space, on.client.as_str());
    Err(Problem::new(Code::NotFound, format!("no client named {client} was seen in the space {space}")))
}

/// Writes what this process knows of a space's clients, so that what is read next has it. Where it cannot be written, what
/// was known before is still worth telling.
pub async fn write_notes(api: &Api, space: &SpaceName) {
    if let Err(error) = api.registry.write(&*api.store, Some(space)).await {
        log::warn!("where clients were seen could not be written: {error}");
    }
}
