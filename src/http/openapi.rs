//! The description of the API, OpenAPI 3.1, made from the handlers themselves (PROTOCOL.md §9).

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{RefOr, Required};
use utoipa::{Modify, OpenApi};

use super::problem::Problem;
use super::wire::schema;
use super::{
    answer, changes, clients, dashboard, push, query, quota, records, repair, retention, spaces, stats, status, tokens,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Strandline",
        description = "A sync server for clients that keep an offline copy of data. HEAD works wherever GET does, with \
                       the same headers. Unknown query parameters are refused. Answers are compressed with zstd, br or \
                       gzip when the client accepts it.",
    ),
    paths(
        changes::changes,
        push::push,
        records::read, records::replace, records::merge, records::delete, records::list, records::create,
        repair::manifest, repair::fetch,
        spaces::read, spaces::configure, spaces::delete, spaces::list, quota::read, quota::configure,
        retention::read, retention::configure, retention::compact, retention::plan, retention::state,
        clients::list, clients::forget, stats::read,
        tokens::list, tokens::create, tokens::revoke,
        status::alive, status::ready, status::metrics, dashboard::page, serve,
    ),
    modifiers(&Credentials, &OptionalBodies),
    // A server without any key asks for none.
    security((), ("bearer" = [])),
    // Shared by many routes, where the macros do not look for it.
    components(schemas(schema::Problem, schema::QuotaProblem)),
    tags(
        (name = "pull", description = "What changed since X"),
        (name = "push", description = "A client's edits"),
        (name = "repair", description = "Compare, then transfer the difference"),
        (name = "records", description = "Records for plain REST"),
        (name = "spaces", description = "The units of ordering, replication and retention"),
        (name = "retention", description = "How long deletions are remembered"),
        (name = "access", description = "Who may come in"),
        (name = "status", description = "How the server is"),
    ),
)]
struct Document;

/// How a token is sent.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer.description(Some("A token that the server issued, or a JWT of a configured issuer"));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    }
}

/// The bodies that may be absent. The macros would say so only of one that may also be null.
struct OptionalBodies;

impl Modify for OptionalBodies {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for path in ["/v1/spaces/{space}", "/v1/spaces/{space}/compact"] {
            let Some(path) = document.paths.paths.get_mut(path) else { continue };
            for operation in [&mut path.put, &mut path.post].into_iter().flatten() {
                if let Some(RefOr::T(body)) = &mut operation.request_body {
                    body.required = Some(Required::False);
                }
            }
        }
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// It never changes while the server runs.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    // A document of plain strings and maps: writing it cannot fail.
    Bytes::from(serde_json::to_vec(&document()).unwrap_or_default())
});

/// This description.
///
/// # Errors
/// A 400 for a query: there is nothing to choose.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "status",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object), schema::PublicRefusals))]
pub async fn serve(req: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    Ok(answer::json(StatusCode::OK).body(TEXT.clone()))
}
