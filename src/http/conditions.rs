//! Conditional requests: entity tags and HTTP's dates (RFC 9110 §8.8, §13; PROTOCOL.md §3, §5).

use std::time::UNIX_EPOCH;

use actix_web::http::header::{self, HeaderMap, HeaderName};

use super::problem::Problem;
use crate::domain::record::{Guard, Tags};
use crate::domain::{Epoch, Rev};

/// One member of a list of entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag<'a> {
    /// `*`
    Any,
    /// `"…"`, without its quotes.
    Strong(&'a str),
    /// `W/"…"`, without its quotes.
    Weak(&'a str),
}

impl<'a> Tag<'a> {
    /// The text, as the weak comparison takes it; `None` for `*`.
    pub fn opaque(self) -> Option<&'a str> {
        match self {
            Self::Any => None,
            Self::Strong(text) | Self::Weak(text) => Some(text),
        }
    }
}

/// The entity tags of a header, over all its lines. What is none is passed over.
pub fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Tag<'a>> {
    headers.get_all(name).filter_map(|value| value.to_str().ok()).flat_map(|line| TagList { rest: line })
}

struct TagList<'a> {
    rest: &'a str,
}

impl<'a> Iterator for TagList<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let list = self.rest.trim_start_matches([' ', '\t', ',']);
            if list.is_empty() {
                return None;
            }
            let (weak, item) = list.strip_prefix("W/").map_or((false, list), |item| (true, item));
            if let Some((text, rest)) = item.strip_prefix('"').and_then(|item| item.split_once('"')) {
                let (behind, next) = rest.split_once(',').unwrap_or((rest, ""));
                self.rest = next;
                if behind.trim().is_empty() {
                    return Some(if weak { Tag::Weak(text) } else { Tag::Strong(text) });
                }
                // What is not over after its closing quote is no tag.
                continue;
            }
            let (item, rest) = item.split_once(',').unwrap_or((item, ""));
            self.rest = rest;
            if item.trim() == "*" {
                return Some(Tag::Any);
            }
        }
    }
}

/// Whether `If-None-Match` holds the tag `opaque`, or anything.
pub fn none_match(headers: &HeaderMap, opaque: &str) -> bool {
    tags(headers, &header::IF_NONE_MATCH).any(|tag| tag.opaque().is_none_or(|text| text == opaque))
}

/// The place in a history that the tag of a page of changes names: `<epoch>.<head>`.
pub fn page_tag(opaque: &str) -> Option<(Epoch, Rev)> {
    let (epoch, head) = opaque.split_once('.')?;
    Some((epoch.parse().ok()?, head.parse().ok()?))
}

/// The preconditions of a write.
///
/// # Errors
/// A 400 when `If-Unmodified-Since` is no date: a guard that is not understood must not be passed over.
pub fn guard(headers: &HeaderMap) -> Result<Guard, Problem> {
    // `If-Match` compares strongly: a weak tag matches nothing there.
    let if_match = record_tags(headers, &header::IF_MATCH, |tag| matches!(tag, Tag::Strong(_)));
    let if_none_match = record_tags(headers, &header::IF_NONE_MATCH, |_| true);
    let unmodified_since = match headers.get(header::IF_UNMODIFIED_SINCE) {
        None => None,
        Some(value) => Some(value.to_str().ok().and_then(http_date).ok_or_else(|| {
            Problem::invalid("If-Unmodified-Since must be a date such as Sun, 22 Nov 2026 20:30:00 GMT")
        })?),
    };
    Ok(Guard { if_match, if_none_match, unmodified_since })
}

fn record_tags(headers: &HeaderMap, name: &HeaderName, counts: impl Fn(Tag<'_>) -> bool) -> Option<Tags> {
    if !headers.contains_key(name) {
        return None;
    }
    let mut revs = Vec::new();
    for tag in tags(headers, name) {
        match tag.opaque() {
            None => return Some(Tags::Any),
            // Tags are compared as text: `"07"` is not the tag of revision 7.
            Some(text) if counts(tag) => revs.extend(text.parse::<Rev>().ok().filter(|rev| rev.to_string() == text)),
            Some(_) => {}
        }
    }
    Some(Tags::OneOf(revs))
}

/// Whether a record that the client has as of `If-Modified-Since` is still that one. A date that is none is passed
/// over, as RFC 9110 has it.
pub fn unmodified_since(headers: &HeaderMap, modified_seconds: i64) -> bool {
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok()).and_then(http_date);
    since.is_some_and(|since| modified_seconds <= since)
}

/// Seconds since the Unix epoch.
fn http_date(text: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(text).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_list_of_tags_is_read_over_all_its_lines() {
        let headers = headers(&[
            (header::IF_NONE_MATCH, r#""a", W/"b,c" ,, junk, "x" y, "d"#),
            (header::IF_NONE_MATCH, r#"W/*, "e.1",*"#),
        ]);
        let read: Vec<_> = tags(&headers, &header::IF_NONE_MATCH).collect();
        assert_eq!(read, [Tag::Strong("a"), Tag::Weak("b,c"), Tag::Any, Tag::Strong("e.1"), Tag::Any]);
        assert_eq!(page_tag("k3f9q2.12"), Some(("k3f9q2".parse().unwrap(), Rev::new(12).unwrap())));
        assert_eq!(page_tag("k3f9q2"), None);
    }

    #[test]
    fn a_guard_is_read_from_the_headers() {
        let revs = |revs: &[u64]| Some(Tags::OneOf(revs.iter().map(|rev| Rev::new(*rev).unwrap()).collect()));
        let if_match = |text| guard(&headers(&[(header::IF_MATCH, text)])).unwrap().if_match;
        assert_eq!(if_match(r#""7", W/"8", "x""#), revs(&[7]));
        for none in ["7", r#""07""#, r#""7" x"#, r#""7"x, "+7""#] {
            assert_eq!(if_match(none), revs(&[]), "{none}");
        }
        assert_eq!(if_match("*"), Some(Tags::Any));
        let if_none_match = |text| guard(&headers(&[(header::IF_NONE_MATCH, text)])).unwrap().if_none_match;
        assert_eq!(if_none_match(r#"W/"8""#), revs(&[8]));
        let unmodified = |text| guard(&headers(&[(header::IF_UNMODIFIED_SINCE, text)])).map(|g| g.unmodified_since);
        for text in ["Thu, 01 Jan 1970 00:00:07 GMT", "Thursday, 01-Jan-70 00:00:07 GMT", "Thu Jan  1 00:00:07 1970"] {
            assert_eq!(unmodified(text).unwrap(), Some(7), "{text}");
        }
        assert!(unmodified("1970-01-01T00:00:07Z").is_err());
        assert_eq!(guard(&HeaderMap::new()).unwrap(), Guard::default());
    }
}
