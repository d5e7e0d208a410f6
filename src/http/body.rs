//! Request bodies: JSON, as it is or compressed, within a limit that holds for the expanded text (PROTOCOL.md §4, §9).
//!
//! What comes in is collected only up to the limit, and expanded only to one byte beyond it, so that a bomb costs no
//! more memory than an honest body.

use std::io::Read;

use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web;
use actix_web::{HttpMessage, HttpRequest};

use tokio::sync::SemaphorePermit;

use super::Api;
use super::accept::JSON;
use super::problem::{Code, Problem};
use super::throttle::Intake;
use super::wire::read;

/// JSON merge patch (RFC 7396).
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// Bodies of more bytes are read on the blocking pool, a few at a time, so that other requests of the worker do not wait
/// for them.
const LARGE: usize = 64 << 10;

/// zstd frames may ask for a window of this many bits, 8 MiB, and no more (RFC 9659).
const ZSTD_WINDOW: u32 = 23;

/// The codings of a body.
#[derive(Clone, Copy)]
enum Coding {
    Identity,
    Gzip,
    Zstd,
}

/// Reads the body of `req` as text of one of the types `accepted` and hands it to `parse`. An empty body is an empty
/// text.
///
/// # Errors
/// 413, 415, or a 400: from here, or from `parse`.
pub async fn read<T, P>(
    req: &HttpRequest,
    payload: web::Payload,
    accepted: &'static [&'static str],
    limit: usize,
    parse: P,
) -> Result<T, Problem>
where
    T: Send + 'static,
    P: FnOnce(&str) -> Result<T, Problem> + Send + 'static,
{
    let coding = coding(req.headers())?;
    // Before anything is read: the client need not send what will be refused.
    let announced = req.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limit) {
        return Err(too_large(limit));
    }
    let (body, _room) = collect(req, payload, limit).await?;
    if !body.is_empty() {
        check_type(req, accepted)?;
    }
    if body.len() <= LARGE && matches!(coding, Coding::Identity) {
        return parse(text(&body)?);
    }
    let work = move || {
        let expanded = match coding {
            Coding::Identity => body,
            Coding::Gzip => expand(flate2::read::MultiGzDecoder::new(&*body), limit)?,
            Coding::Zstd => expand(zstd_decoder(&body)?, limit)?,
        };
        parse(text(&expanded)?)
    };
    let api = req.app_data::<web::Data<Api>>();
    let _turn = if let Some(api) = api { api.throttle.body().await } else { None };
    web::block(work).await.map_err(|error| Problem::internal(&error))?
}

/// [`read`] for bodies that are nothing but JSON.
///
/// # Errors
/// Those of [`read`].
pub async fn read_json<T, P>(req: &HttpRequest, payload: web::Payload, limit: usize, parse: P) -> Result<T, Problem>
where
    T: Send + 'static,
    P: FnOnce(&str) -> Result<T, Problem> + Send + 'static,
{
    read(req, payload, &[JSON], limit, parse).await
}

/// The body as a JSON object of which an absent body is the default.
///
/// # Errors
/// A 400 that says what is wrong, and where.
pub fn optional<T: Default + serde::de::DeserializeOwned>(text: &str) -> Result<T, Problem> {
    if text.is_empty() { Ok(T::default()) } else { required(text) }
}

/// The body as a JSON object.
///
/// # Errors
/// A 400 that says what is wrong, and where.
pub fn required<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Problem> {
    read::object(text).map_err(|fault| Problem::invalid(format!("body: {fault}")))
}

fn check_type(req: &HttpRequest, accepted: &[&str]) -> Result<(), Problem> {
    if !req.headers().contains_key(header::CONTENT_TYPE) {
        return Ok(());
    }
    if accepted.iter().any(|accepted| req.content_type().eq_ignore_ascii_case(accepted)) {
        return Ok(());
    }
    let detail = format!("send the body as Content-Type: {}", accepted.join(" or "));
    Err(Problem::new(Code::UnsupportedMediaType, detail))
}

fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    let mut lines = headers.get_all(header::CONTENT_ENCODING);
    let coding = match (lines.next().map(|value| value.to_str().unwrap_or("?").trim()), lines.next()) {
        (None, _) => Some(Coding::Identity),
        // `x-gzip` is another name for gzip (RFC 9110 §8.4.1.3).
        (Some(name), None) => {
            [("identity", Coding::Identity), ("gzip", Coding::Gzip), ("x-gzip", Coding::Gzip), ("zstd", Coding::Zstd)]
                .into_iter()
                .find_map(|(known, coding)| name.eq_ignore_ascii_case(known).then_some(coding))
        }
        (Some(_), Some(_)) => None,
    };
    let refusal =
        || Problem::new(Code::UnsupportedMediaType, "send the body as it is, or as Content-Encoding: gzip or zstd");
    coding.ok_or_else(refusal)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("the body has more than {limit} bytes, the limit"))
}

/// The body, and the room that it has taken.
async fn collect(
    req: &HttpRequest,
    mut payload: web::Payload,
    limit: usize,
) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Problem> {
    let (mut body, mut intake) = (Vec::new(), Intake::of(req));
    while let Some(chunk) = intake.next(&mut payload).await? {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, intake.room()))
}

fn broken(error: &PayloadError) -> Problem {
    Problem::invalid(format!("the body could not be read: {error}"))
}

fn zstd_decoder(body: &[u8]) -> Result<impl Read, Problem> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|error| Problem::internal(&error))?;
    decoder.window_log_max(ZSTD_WINDOW).map_err(|error| Problem::internal(&error))?;
    Ok(decoder)
}

fn expand(decoder: impl Read, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut expanded = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.take(most).read_to_end(&mut expanded);
    read.map_err(|error| Problem::invalid(format!("the body does not expand: {error}")))?;
    if expanded.len() > limit {
        return Err(too_large(limit));
    }
    Ok(expanded)
}

fn text(body: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(body).map_err(|error| Problem::invalid(format!("the body is not UTF-8: {error}")))
}
