//! Files of a page that the program has in itself: served as they are, with a tag, so that a browser need not fetch
//! again what it holds.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{answer, conditions};

/// The embedded `text`, or a 304; `tag` is the entity tag, without its quotes.
pub fn serve(req: &HttpRequest, text: &'static str, media_type: &'static str, tag: &str) -> HttpResponse {
    let known = conditions::none_match(req.headers(), tag);
    let mut response = answer::revalidated(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.insert_header((header::ETAG, answer::etag(tag)));
    if known {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media_type)));
    response.body(web::Bytes::from_static(text.as_bytes()))
}

/// In base64, as policies have it; also what tags are made of.
pub fn sha256(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}
