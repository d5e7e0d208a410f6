//! The page at `/`, for DBAs: what each space's tombstones cost, who depends on them, and the knob. What it shows it asks
//! of the API, like any other client; its script and style are built in `dashboard/` and embedded.

mod events;

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::embedded::{self, sha256};
use super::problem::Problem;
use super::{Api, answer, example, query};

pub use events::events;

const SCRIPT: &str = include_str!("../../../dashboard/dist/app.js");
const STYLE: &str = include_str!("../../../dashboard/dist/app.css");

/// The page runs the embedded script and no other, and talks to this server alone: what a name or a record smuggles in
/// is neither run nor loaded.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static SCRIPT_TAG: LazyLock<String> = LazyLock::new(|| sha256(SCRIPT));
static STYLE_TAG: LazyLock<String> = LazyLock::new(|| sha256(STYLE));

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Frame {
    version: &'static str,
    /// Where the example page is, if it is there.
    example: Option<&'static str>,
}

/// The page for people.
#[utoipa::path(get, path = "/", operation_id = "home", tag = "status",
    params(("space" = Option<String>, Query, description = "The space to show; absent: the list of all")),
    responses(
        (status = 200, description = "A page for people", content((String = "text/html; charset=utf-8"))),
        super::wire::schema::Refusals,
    ))]
pub async fn page(req: HttpRequest, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    // Which space is the script's business; a bookmark that is misspelt is refused here.
    query::read(req.query_string(), ["space"])?;
    let frame = Frame { version: env!("CARGO_PKG_VERSION"), example: api.example.then_some(example::PATH) };
    let html = frame.render().map_err(|error| Problem::internal(&error))?;
    let mut response = answer::revalidated(StatusCode::OK);
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")));
    response.insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)));
    Ok(response.body(html))
}

/// Its script.
pub async fn script(req: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    Ok(embedded::serve(&req, SCRIPT, "text/javascript; charset=utf-8", &SCRIPT_TAG))
}

/// Its style.
pub async fn style(req: HttpRequest) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    Ok(embedded::serve(&req, STYLE, "text/css; charset=utf-8", &STYLE_TAG))
}
