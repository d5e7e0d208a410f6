//! The example page of `serve --example`: a list that works offline, and the JavaScript package that it needs, both
//! embedded from `examples/`. It is no part of the API, and there only if it was asked for.

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::answer;
use super::embedded::{self, sha256};

/// Where the page is: a folder, so that what it names beside itself is found there.
pub const PATH: &str = "/example/";

const PAGE: &str = include_str!("../../examples/todo.html");
const SCRIPT: &str = include_str!("../../examples/strandline.js");

/// The page has its scripts in itself or from this server, and talks to it alone. A script that a record smuggled in
/// would be neither.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let own = inline_scripts(PAGE).map(|script| format!("'sha256-{}'", sha256(script)));
    let scripts = std::iter::once("'self'".to_owned()).chain(own).collect::<Vec<_>>().join(" ");
    format!(
        "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
});

static PAGE_TAG: LazyLock<String> = LazyLock::new(|| sha256(&format!("{}\n{PAGE}", *POLICY)));
static SCRIPT_TAG: LazyLock<String> = LazyLock::new(|| sha256(SCRIPT));

/// The page. A query is its own business.
pub async fn page(req: HttpRequest) -> HttpResponse {
    let mut response = embedded::serve(&req, PAGE, "text/html; charset=utf-8", &PAGE_TAG);
    // It is ASCII, as base64 is.
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The package.
pub async fn script(req: HttpRequest) -> HttpResponse {
    embedded::serve(&req, SCRIPT, "text/javascript; charset=utf-8", &SCRIPT_TAG)
}

/// Whoever leaves out the last slash means the page.
pub async fn redirect(req: HttpRequest) -> HttpResponse {
    let query = req.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut response = answer::revalidated(StatusCode::TEMPORARY_REDIRECT);
    response.insert_header((header::LOCATION, format!("{PATH}{query}"))).finish()
}

/// What stands between the tags of a page's scripts.
fn inline_scripts(html: &str) -> impl Iterator<Item = &str> {
    let behind = html.split("<script").skip(1);
    let texts = behind.filter_map(|rest| Some(rest.split_once('>')?.1.split_once("</script>")?.0));
    texts.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_in_the_page_is_let_in_by_its_hash() {
        let html = "<script src=a.js></script><p><script type=\"module\">alert('Hello, world.');</script>";
        let hashes: Vec<_> = inline_scripts(html).map(sha256).collect();
        // The example of Content Security Policy Level 3, §8.1 and elsewhere.
        assert_eq!(hashes, ["qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="]);
    }
}
