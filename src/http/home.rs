//! The page at `/`, for people: what this is, and how its spaces stand. No script, no request beyond itself.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::problem::Problem;
use super::wire::space::Space;
use super::{Api, answer, example, query};

/// Spaces on the page.
const SHOWN: usize = 500;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    version: &'static str,
    spaces: Vec<Space>,
    more: bool,
    /// Where the example page is, if it is there.
    example: Option<&'static str>,
}

/// A small page about this server.
#[utoipa::path(get, path = "/", operation_id = "home", tag = "status",
    responses(
        (status = 200, description = "A page for people", content((String = "text/html; charset=utf-8"))),
        super::wire::schema::Refusals,
    ))]
pub async fn page(req: HttpRequest, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let states = api.store.spaces(None, SHOWN + 1).await?;
    let spaces = states.iter().take(SHOWN).map(|state| Space::from(&**state)).collect();
    let home = Home {
        version: env!("CARGO_PKG_VERSION"),
        spaces,
        more: states.len() > SHOWN,
        example: api.example.then_some(example::PATH),
    };
    let html = home.render().map_err(|error| Problem::internal(&error))?;
    let mut response = answer::revalidated(StatusCode::OK);
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")));
    // The page loads nothing: should a name ever carry markup, it could not either.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    response.insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)));
    Ok(response.body(html))
}
