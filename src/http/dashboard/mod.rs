//! The page at `/`, for DBAs: what each space's tombstones cost, who depends on them, and the knob. What it shows it asks
//! of the API, like any other client; its script and style are built in `dashboard/` and embedded.

mod events;
mod login;

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use askama::Template;

use super::accept::HTML;
use super::access::{Credential, csrf_token};
use super::embedded::{self, sha256};
use super::problem::Problem;
use super::{Api, answer, example, query};
use crate::access::AccessFault;

pub use events::events;
pub use login::{begin as begin_session, end as end_session};

const SCRIPT: &str = include_str!("../../../dashboard/dist/app.js");
const STYLE: &str = include_str!("../../../dashboard/dist/app.css");

/// The page runs the embedded script and no other, and talks to this server alone: what a name or a record smuggles in
/// is neither run nor loaded.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static SCRIPT_TAG: LazyLock<String> = LazyLock::new(|| sha256(SCRIPT));
static STYLE_TAG: LazyLock<String> = LazyLock::new(|| sha256(STYLE));

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Frame {
    version: &'static str,
    /// Where the example page is, if it is there.
    example: Option<&'static str>,
    /// Who is logged in, and what the page repeats beside the session's cookie.
    login: Option<(String, String)>,
}

/// The start of a page, which no other site can frame, and which the browser takes for nothing but what it is.
fn html(status: StatusCode) -> HttpResponseBuilder {
    let mut response = answer::revalidated(status);
    for (name, value) in [
        (header::CONTENT_TYPE, HTML),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (header::VARY, "cookie, authorization"),
    ] {
        response.insert_header((name, HeaderValue::from_static(value)));
    }
    response
}

/// The page for people.
#[utoipa::path(get, path = "/", operation_id = "home", tag = "status",
    params(("space" = Option<String>, Query, description = "The space to show; absent: the list of all")),
    responses(
        (status = 200, description = "A page for people", content((String = "text/html; charset=utf-8"))),
        (status = 401, description = "The page's login", content((String = "text/html; charset=utf-8"))),
        super::wire::schema::PublicRefusals,
    ))]
pub async fn page(req: HttpRequest, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    // A bookmark that is misspelt is refused here; which space it is, is the script's business.
    let [space] = query::read(req.query_string(), ["space"])?;
    let mut login = None;
    if !api.keyring.is_open() {
        let Ok(credential) = Credential::of(&req) else {
            return login::form(&req, space.as_deref().unwrap_or_default(), None);
        };
        let holder = match api.keyring.holder(credential.secret, credential.via).await {
            Ok(holder) => holder,
            // A login that has ended is no mistake of anybody's.
            Err(AccessFault::Refused(_)) => return login::form(&req, space.as_deref().unwrap_or_default(), None),
            Err(fault) => return Err(fault.into()),
        };
        login = login::session(&req).map(|secret| (holder.name.to_string(), csrf_token(secret)));
    }
    let frame = Frame { version: env!("CARGO_PKG_VERSION"), example: api.example.then_some(example::PATH), login };
    let text = frame.render().map_err(|error| Problem::internal(&error))?;
    Ok(html(StatusCode::OK).body(text))
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
