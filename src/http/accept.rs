//! Which form of an answer a client accepts, and in which coding (RFC 9110 §12.5).

use actix_web::http::header::{self, ContentEncoding, HeaderMap, HeaderName};

use super::problem::{Code, Problem};

/// JSON.
pub const JSON: &str = "application/json";
/// JSON, one value a line.
pub const NDJSON: &str = "application/x-ndjson";
/// What the pages are.
pub const HTML: &str = "text/html; charset=utf-8";
/// Server-sent events.
pub const EVENTS: &str = "text/event-stream";

/// The one of `forms` that the client likes best; among equals one that it names rather than one that it covers by a
/// wildcard, then the first. Without an `Accept` header that is the first.
///
/// # Errors
/// A 406 that names the forms.
pub fn choose<const N: usize>(headers: &HeaderMap, forms: [&'static str; N]) -> Result<&'static str, Problem> {
    let not_acceptable = || Problem::new(Code::NotAcceptable, format!("this resource comes as {}", forms.join(", ")));
    // An empty header says as little as none.
    let Some(accept) = joined(headers, &header::ACCEPT).filter(|accept| items(accept).next().is_some()) else {
        return forms.first().copied().ok_or_else(not_acceptable);
    };
    let mut best = None;
    for form in forms {
        let rank = media_rank(&accept, form);
        if rank.0 > 0 && best.is_none_or(|(best, _)| rank > best) {
            best = Some((rank, form));
        }
    }
    best.map(|(_, form)| form).ok_or_else(not_acceptable)
}

/// The coding in which to send a body: of those that the client likes best zstd, brotli or gzip, in this order.
/// `Identity` when it accepts none of them, even if it should not accept that either.
pub fn coding(headers: &HeaderMap) -> ContentEncoding {
    let Some(accept) = joined(headers, &header::ACCEPT_ENCODING) else { return ContentEncoding::Identity };
    let mut best = (0, ContentEncoding::Identity);
    for (name, coding) in
        [("zstd", ContentEncoding::Zstd), ("br", ContentEncoding::Brotli), ("gzip", ContentEncoding::Gzip)]
    {
        let quality = items(&accept)
            .filter_map(|(value, quality)| {
                let named = value.eq_ignore_ascii_case(name) || coding == ContentEncoding::Gzip && value == "x-gzip";
                if named { Some((1, quality)) } else { (value == "*").then_some((0, quality)) }
            })
            .max_by_key(|(specific, _)| *specific)
            .map_or(0, |(_, quality)| quality);
        if quality > best.0 {
            best = (quality, coding);
        }
    }
    // What the client would rather have as it is stays as it is.
    let identity = items(&accept).find(|(value, _)| value.eq_ignore_ascii_case("identity")).map_or(0, |(_, q)| q);
    if identity > best.0 { ContentEncoding::Identity } else { best.1 }
}

/// All lines of a header as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).filter_map(|value| value.to_str().ok());
    let mut list = lines.next()?.to_owned();
    for line in lines {
        list.push(',');
        list.push_str(line);
    }
    Some(list)
}

/// The values of a list with their quality in thousandths; other parameters are left out.
fn items(list: &str) -> impl Iterator<Item = (&str, u16)> {
    list.split(',').filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let value = parts.next().filter(|value| !value.is_empty())?;
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some((value, quality.map_or(1000, thousandths)))
    })
}

/// `0.5` as 500. What is no quality counts as 1: whoever names a form most likely wants it.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.bytes().chain(*b"000").take(3);
    let part = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0').min(9)));
    if whole == "0" { part } else { 1000 }
}

/// Quality and specificity of the most specific item that covers `form`.
fn media_rank(accept: &str, form: &str) -> (u16, u8) {
    let kind = form.split_once('/').map_or("", |(kind, _)| kind);
    items(accept)
        .filter_map(|(value, quality)| {
            let specificity = if value.eq_ignore_ascii_case(form) {
                2
            } else if value.strip_suffix("/*").is_some_and(|covered| covered.eq_ignore_ascii_case(kind)) {
                1
            } else if value == "*/*" || value == "*" {
                0
            } else {
                return None;
            };
            Some((quality, specificity))
        })
        .max_by_key(|(_, specificity)| *specificity)
        .unwrap_or((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(name: &HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_form_that_the_client_likes_best_is_chosen() {
        for (accept, form) in [
            (&[][..], Some(JSON)),
            (&[""], Some(JSON)),
            (&["*/*"], Some(JSON)),
            (&["application/*"], Some(JSON)),
            (&["application/json"], Some(JSON)),
            (&["APPLICATION/JSON; charset=utf-8"], Some(JSON)),
            (&["application/x-ndjson"], Some(NDJSON)),
            (&["text/event-stream"], Some(EVENTS)),
            (&["text/*"], Some(EVENTS)),
            (&["text/event-stream, */*"], Some(EVENTS)),
            (&["application/json, text/event-stream"], Some(JSON)),
            (&["application/json;q=0.5, application/x-ndjson;q=0.8"], Some(NDJSON)),
            (&["application/json;q=0.5", "application/x-ndjson;q=0.8"], Some(NDJSON)),
            (&["*/*, application/json;q=0"], Some(NDJSON)),
            (&["text/html, */*;q=0.1"], Some(JSON)),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["application/json; q=0.000, text/html"], None),
        ] {
            let chosen = choose(&headers(&header::ACCEPT, accept), [JSON, NDJSON, EVENTS]).ok();
            assert_eq!(chosen, form, "{accept:?}");
        }
    }

    #[test]
    fn the_coding_is_one_that_the_client_accepts() {
        use ContentEncoding::{Brotli, Gzip, Identity, Zstd};
        for (accept, wanted) in [
            (&[][..], Identity),
            (&["gzip, deflate, br, zstd"], Zstd),
            (&["gzip, br"], Brotli),
            (&["gzip;q=1, br;q=0.2"], Gzip),
            (&["*"], Zstd),
            (&["*;q=0.5, zstd;q=0"], Brotli),
            (&["identity"], Identity),
            (&["identity;q=1, gzip;q=0.5"], Identity),
            (&["deflate, compress"], Identity),
            (&["identity;q=0"], Identity),
            (&[""], Identity),
        ] {
            assert_eq!(coding(&headers(&header::ACCEPT_ENCODING, accept)), wanted, "{accept:?}");
        }
    }
}
