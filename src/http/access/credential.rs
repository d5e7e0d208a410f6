//! Where a request has its credential: in `Authorization`, or in the cookie of a login to the page (PROTOCOL.md §10). Never in
//! its URL.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::super::problem::{Code, Problem};
use super::rule::{changes, forbidden};
use crate::access::Via;

/// The cookie of a login to the page.
pub const SESSION_COOKIE: &str = "strandline_session";
/// What a request that changes something has to repeat beside that cookie: no other site can know it.
pub const CSRF_HEADER: &str = "strandline-csrf";

/// A credential as it was sent.
#[derive(Clone, Debug)]
pub struct Credential<'r> {
    /// The token, or the session's secret.
    pub secret: &'r str,
    /// Where it was.
    pub via: Via,
}

impl<'r> Credential<'r> {
    /// The credential of a request.
    ///
    /// # Errors
    /// 401 where there is none.
    pub fn of(req: &'r HttpRequest) -> Result<Self, Problem> {
        let headers = req.headers();
        if let Some(secret) = bearer(headers)? {
            return Ok(Self { secret, via: Via::Bearer });
        }
        match cookie(headers, SESSION_COOKIE) {
            Some(secret) => Ok(Self { secret, via: Via::Cookie }),
            None => Err(unauthorized("this needs a token: send it as Authorization: Bearer")),
        }
    }
}

/// That a request which a cookie lets in, and which changes something, comes from the page: beside the cookie is what only the
/// page knows.
///
/// # Errors
/// 403.
pub fn check_origin(req: &HttpRequest) -> Result<(), Problem> {
    let headers = req.headers();
    if !changes(req.method()) || headers.contains_key(header::AUTHORIZATION) {
        return Ok(());
    }
    let known = cookie(headers, SESSION_COOKIE).map(csrf_token);
    let said = headers.get(CSRF_HEADER).map(HeaderValue::as_bytes);
    if said.is_some() && said == known.as_deref().map(str::as_bytes) {
        return Ok(());
    }
    Err(forbidden(format!(
        "a login to the page changes something only with the header {CSRF_HEADER} that the page has"
    )))
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut lines = headers.get_all(header::AUTHORIZATION);
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(unauthorized("there is more than one header Authorization"));
    }
    let token = line.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token.filter(|token| !token.is_empty()).map(Some).ok_or_else(|| unauthorized("Authorization is no Bearer token"))
}

/// The value of a cookie.
pub fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    let mut pairs =
        headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn unauthorized(detail: &'static str) -> Problem {
    Problem::new(Code::Unauthorized, detail)
}

/// What the page repeats beside its cookie: made of the secret, and nobody who does not know that can make it.
pub fn csrf_token(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::new().chain_update("strandline csrf ").chain_update(secret).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_credential_is_in_one_of_two_places() {
        let with = |lines: &[(&'static str, &'static str)]| {
            let mut request = TestRequest::get();
            for line in lines {
                request = request.append_header(*line);
            }
            let request = request.to_http_request();
            Credential::of(&request)
                .map(|found| (found.secret.to_owned(), found.via))
                .map_err(|fault| fault.to_string())
        };
        assert_eq!(with(&[("authorization", "Bearer sl_x")]), Ok(("sl_x".into(), Via::Bearer)));
        assert_eq!(with(&[("authorization", "bearer  sl_x ")]), Ok(("sl_x".into(), Via::Bearer)));
        assert_eq!(with(&[("cookie", "a=1; strandline_session=ss_y;b=2")]), Ok(("ss_y".into(), Via::Cookie)));
        let both = [("cookie", "strandline_session=ss_y"), ("authorization", "Bearer sl_x")];
        assert_eq!(with(&both), Ok(("sl_x".into(), Via::Bearer)));
        for bad in [
            &[][..],
            &[("authorization", "Basic dTpw")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
            &[("cookie", "strandline_sessions=ss_y")],
        ] {
            assert!(with(bad).unwrap_err().starts_with("unauthorized"), "{bad:?}");
        }
    }

    #[test]
    fn a_cookie_changes_nothing_without_what_the_page_knows() {
        let with = |token: &str| {
            let request = TestRequest::put().append_header(("cookie", "strandline_session=ss_y"));
            let request = request.append_header((CSRF_HEADER, token)).to_http_request();
            check_origin(&request).map_err(|fault| fault.to_string())
        };
        assert_eq!(with(&csrf_token("ss_y")), Ok(()));
        for bad in ["", "x", &csrf_token("ss_z")] {
            assert!(with(bad).unwrap_err().starts_with("forbidden"), "{bad}");
        }
    }
}
