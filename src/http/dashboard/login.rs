//! The page's login (PROTOCOL.md §10): a token is exchanged for a session, whose secret is in a cookie that no script can read.
//!
//! Forms carry a token against forgery (CSRF), made of a cookie's secret: of the session's, and before there is one, of a cookie
//! that the form came with.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use askama::Template;

use super::super::access::{Credential, SESSION_COOKIE, cookie, csrf_token, forbidden};
use super::super::peer::Peer;
use super::super::problem::Problem;
use super::super::{Api, answer, audit, body, query};
use super::html;
use crate::access::{AccessFault, LONGEST_SESSION, Via, secret};
use crate::domain::SpaceName;

/// The cookie that a login form comes with.
const FORM_COOKIE: &str = "strandline_login";
/// A form that is older than this has to be loaded again.
const FORM_SECONDS: i64 = 3600;
/// A form has a token and little else.
const FORM_BYTES: usize = 64 << 10;
const FORM: &[&str] = &["application/x-www-form-urlencoded"];

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    version: &'static str,
    csrf: String,
    /// The space that was to be shown.
    space: &'a str,
    /// Why the last try did not go well.
    refused: Option<&'a str>,
}

/// The form, in place of the page.
pub fn form(req: &HttpRequest, space: &str, refused: Option<&str>) -> Result<HttpResponse, Problem> {
    let known = cookie(req.headers(), FORM_COOKIE).map(str::to_owned);
    let own = match &known {
        Some(known) => known.clone(),
        None => secret("sf_").map_err(|error| Problem::internal(&error))?,
    };
    let login = Login { version: env!("CARGO_PKG_VERSION"), csrf: csrf_token(&own), space, refused };
    let text = login.render().map_err(|error| Problem::internal(&error))?;
    let mut response = html(StatusCode::UNAUTHORIZED);
    response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    if known.is_none() {
        set(&mut response, req, FORM_COOKIE, &own, Duration::seconds(FORM_SECONDS));
    }
    Ok(response.body(text))
}

/// `POST /session`: logs in.
pub async fn begin(req: HttpRequest, api: web::Data<Api>, payload: web::Payload) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let fields = fields(&req, payload).await?;
    let space = fields.space.as_deref().and_then(|name| SpaceName::new(name).ok());
    let back = || space.as_ref().map_or("/".to_owned(), |space| format!("/?space={space}"));
    if api.keyring.is_open() {
        return Ok(see_other(&back()).finish());
    }
    check(cookie(req.headers(), FORM_COOKIE), &fields)?;
    let holder = match api.keyring.holder(fields.token.as_deref().unwrap_or_default().trim(), Via::Bearer).await {
        Ok(holder) => holder,
        Err(fault) => {
            let why = match &fault {
                AccessFault::Refused(why) => {
                    api.throttle.failed_login(&req, &api.proxies);
                    why.clone()
                }
                AccessFault::NoKeys | AccessFault::Store(_) => return Err(fault.into()),
            };
            audit::refused(Some("session.begin"), "/session", &req, None, &fault.into());
            return form(&req, space.as_ref().map_or("", SpaceName::as_str), Some(&why));
        }
    };
    let session = api.keyring.begin_session(&holder).await?;
    audit::done("session.begin", "/session", &req, Some(&holder), StatusCode::SEE_OTHER);
    let mut response = see_other(&back());
    set(&mut response, &req, SESSION_COOKIE, &session, Duration::try_from(LONGEST_SESSION).unwrap_or(Duration::DAY));
    set(&mut response, &req, FORM_COOKIE, "", Duration::ZERO);
    Ok(response.finish())
}

/// `POST /session/end`: logs out.
pub async fn end(req: HttpRequest, api: web::Data<Api>, payload: web::Payload) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    let fields = fields(&req, payload).await?;
    let mut response = see_other("/");
    if let Some(secret) = cookie(req.headers(), SESSION_COOKIE) {
        check(Some(secret), &fields)?;
        let holder = api.keyring.holder(secret, Via::Cookie).await.ok();
        api.keyring.end_session(secret).await?;
        audit::done("session.end", "/session/end", &req, holder.as_deref(), StatusCode::SEE_OTHER);
        set(&mut response, &req, SESSION_COOKIE, "", Duration::ZERO);
    }
    Ok(response.finish())
}

/// The secret of the session that a request comes with, if it is one; `None` where it comes with a token of its own.
pub fn session(req: &HttpRequest) -> Option<&str> {
    Credential::of(req).ok().filter(|found| found.via == Via::Cookie).map(|found| found.secret)
}

/// What a form says.
#[derive(Default)]
struct Fields {
    csrf: Option<String>,
    token: Option<String>,
    space: Option<String>,
}

async fn fields(req: &HttpRequest, payload: web::Payload) -> Result<Fields, Problem> {
    let parse = |text: &str| {
        let mut fields = Fields::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let place = match &*name {
                "csrf" => &mut fields.csrf,
                "token" => &mut fields.token,
                "space" => &mut fields.space,
                _ => return Err(Problem::invalid("the form has a field that is not known here")),
            };
            *place = Some(value.into_owned());
        }
        Ok(fields)
    };
    body::read(req, payload, FORM, FORM_BYTES, parse).await
}

fn check(secret: Option<&str>, fields: &Fields) -> Result<(), Problem> {
    let known = secret.map(csrf_token);
    if known.is_some() && known == fields.csrf {
        return Ok(());
    }
    Err(forbidden("the form is not one of this server, or is too old: load the page again"))
}

fn see_other(place: &str) -> HttpResponseBuilder {
    let mut response = answer::revalidated(StatusCode::SEE_OTHER);
    response.insert_header((header::LOCATION, place));
    response
}

fn set(response: &mut HttpResponseBuilder, req: &HttpRequest, name: &'static str, value: &str, age: Duration) {
    let cookie = Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(Peer::of(req).secure)
        .max_age(age);
    response.append_header((header::SET_COOKIE, cookie.finish().to_string()));
}
