//! Tokens: issuing, listing and revoking them (PROTOCOL.md §10).
//!
//! Whoever administers some spaces may hand out what lies within its own grants, and sees and revokes what does.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};

use super::access::{Permit, forbidden};
use super::extract::TakesJson;
use super::problem::{Code, Problem};
use super::wire::schema;
use super::wire::tokens::{IssuedToken, ListedToken, NewToken, TokenList};
use super::{Api, answer, audit, body, query};
use crate::access;
use crate::domain::Retention;
use crate::domain::access::{Grants, Token, TokenId};

/// Tokens that are read at a time, where only some of them may be told.
const PAGE: usize = 1_000;

/// Issue a token.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "createToken", tag = "access",
    request_body = NewToken,
    responses(
        (status = 201, description = "Issued; the token is told this once", body = IssuedToken,
            headers(("Location" = String, description = "Its path"))),
        schema::Refusals, schema::NoAcceptableForm, schema::BodyRefusals, schema::WriteRefusals,
    ),
)]
pub async fn create(
    req: HttpRequest,
    permit: Permit,
    _: TakesJson,
    api: web::Data<Api>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let new: NewToken = body::read_json(&req, payload, api.limits.push_bytes, body::required).await?;
    let grants = Grants::new(new.grants).map_err(|fault| Problem::invalid(format!("body: {fault}")))?;
    if !administers(&permit, &grants) {
        return Err(forbidden("a token may be issued only for what one's own administers"));
    }
    let lifetime = new.expires.and_then(Retention::window);
    let (token, secret) = api.keyring.issue(access::NewToken { name: new.name, grants, lifetime }).await?;
    req.extensions_mut().insert(audit::Made(token.id.clone()));
    let mut response = answer::json(StatusCode::CREATED);
    // It is nobody's business but the receiver's.
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((header::LOCATION, format!("/v1/tokens/{}", token.id)));
    Ok(answer::value(response, &IssuedToken { token: secret, listed: ListedToken::from(&token) }))
}

/// The tokens that were issued.
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "listTokens", tag = "access",
    params(schema::ListLimit, schema::AfterToken),
    responses(
        (status = 200, description = "A page; also those that have expired or were revoked", body = TokenList),
        schema::Refusals, schema::NoAcceptableForm,
    ),
)]
pub async fn list(
    req: HttpRequest,
    permit: Permit,
    _: TakesJson,
    api: web::Data<Api>,
) -> Result<HttpResponse, Problem> {
    let [limit, after] = query::read(req.query_string(), ["limit", "after"])?;
    let limit = query::limit(limit.as_deref())?;
    let mut after = after.map(|after| id("after", &after)).transpose()?;
    let mut found: Vec<Token> = Vec::new();
    // One more than asked for tells whether there are more.
    while found.len() <= limit {
        let page = api.store.tokens(after.clone(), PAGE).await?;
        let whole = page.len() == PAGE;
        after = page.last().map(|token| token.id.clone());
        found.extend(page.into_iter().filter(|token| administers(&permit, &token.grants)));
        if !whole {
            break;
        }
    }
    let more = found.len() > limit;
    let tokens: Vec<ListedToken> = found.iter().take(limit).map(ListedToken::from).collect();
    let after = tokens.last().filter(|_| more).map(|last| last.id.clone());
    Ok(answer::value(answer::json(StatusCode::OK), &TokenList { tokens, after }))
}

/// Revoke a token.
///
/// It is worth nothing from now on; on other nodes within a few seconds. Streams that it opened end within 30 s.
#[utoipa::path(
    delete, path = "/v1/tokens/{token_id}", operation_id = "revokeToken", tag = "access",
    params(schema::TokenPath),
    responses(
        (status = 204, description = "Revoked, now or before"),
        (status = 404, description = "`not_found`: there is no such token", body = schema::Problem,
            content_type = "application/problem+json"),
        schema::Refusals, schema::WriteRefusals,
    ),
)]
pub async fn revoke(req: HttpRequest, permit: Permit, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let id = id("the token's id", req.path().rsplit('/').next().unwrap_or_default())?;
    let unknown = || Problem::new(Code::NotFound, format!("there is no token {id}"));
    // What one may not see is not there.
    let token = api
        .store
        .issued_token(id.clone())
        .await?
        .filter(|token| administers(&permit, &token.grants))
        .ok_or_else(unknown)?;
    api.keyring.revoke(&token.id).await?.ok_or_else(unknown)?;
    Ok(answer::revalidated(StatusCode::NO_CONTENT).finish())
}

fn administers(permit: &Permit, grants: &Grants) -> bool {
    permit.holder().is_none_or(|holder| holder.grants.administer_all(grants))
}

fn id(place: &str, text: &str) -> Result<TokenId, Problem> {
    TokenId::new(text).map_err(|fault| Problem::invalid(format!("{place}: {fault}")))
}
