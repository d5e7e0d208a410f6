//! The query of a URL. A parameter that is not known or stands twice is refused (PROTOCOL.md §9): a misspelt `sicne`
//! must not become an initial sync.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::limits::{PAGE_DEFAULT, PAGE_MAX};
use super::problem::Problem;
use crate::domain::Collections;

/// The values of the parameters `known`, in their order; `None` for one that is absent.
///
/// # Errors
/// A 400 that names the parameter.
pub fn read<'q, const N: usize>(query: &'q str, known: [&str; N]) -> Result<[Option<Cow<'q, str>>; N], Problem> {
    let mut values = [const { None }; N];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name)?;
        let place = known.iter().zip(&mut values).find(|(known, _)| **known == name);
        let Some((_, place)) = place else { return Err(unknown(&name, &known)) };
        if place.is_some() {
            return Err(Problem::invalid(format!("the query parameter {name:?} stands more than once")));
        }
        *place = Some(decode(value)?);
    }
    Ok(values)
}

/// Refuses every parameter.
///
/// # Errors
/// A 400 that names the first.
pub fn none(query: &str) -> Result<(), Problem> {
    read(query, []).map(|[]| ())
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let choice =
        if known.is_empty() { "there are none here".into() } else { format!("known are {}", known.join(", ")) };
    Problem::invalid(format!("the query parameter {name:?} is unknown: {choice}"))
}

/// Most values have nothing to decode, and stay where they are.
fn decode(text: &str) -> Result<Cow<'_, str>, Problem> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    if !super::extract::escapes_are_whole(text) {
        return Err(Problem::invalid("the query has a % that two hex digits do not follow"));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| Problem::invalid("the query is not UTF-8 once its %-escapes are decoded"))?;
    Ok(Cow::Owned(decoded.into_owned()))
}

/// `limit`, as every page has it.
///
/// # Errors
/// A 400.
pub fn limit(value: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = value else { return Ok(PAGE_DEFAULT) };
    whole_number(text)
        .filter(|limit| (1..=PAGE_MAX).contains(limit))
        .ok_or_else(|| Problem::invalid(format!("limit must be a whole number from 1 to {PAGE_MAX}")))
}

/// `collections`, comma-separated.
///
/// # Errors
/// A 400.
pub fn collections(value: Option<&str>) -> Result<Option<Collections>, Problem> {
    value.map(Collections::parse).transpose().map_err(|fault| Problem::name("collections", fault))
}

/// A number of digits only: `parse` would also take a leading `+`.
pub fn whole_number<N: FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_name_and_decoded() {
        let [a, b] = read("b=1%2B1+x&a=", ["a", "b"]).unwrap();
        assert_eq!((a.as_deref(), b.as_deref()), (Some(""), Some("1+1 x")));
        let [a, b] = read("", ["a", "b"]).unwrap();
        assert_eq!((a, b), (None, None));
    }

    #[test]
    fn a_parameter_that_is_unknown_repeated_or_not_text_is_refused_by_name() {
        for (query, says) in [
            ("sicne=1", "\"sicne\" is unknown: known are since, limit"),
            ("since=1&since=1", "\"since\" stands more than once"),
            ("since", ""),
            ("=1", "\"\" is unknown"),
            ("since=%ff", "not UTF-8"),
            ("since=%zz", "two hex digits"),
            ("%ff=1", "not UTF-8"),
            ("since=1&x", "\"x\" is unknown"),
        ] {
            match read(query, ["since", "limit"]) {
                Ok(_) => assert_eq!(says, "", "{query}"),
                Err(problem) => assert!(!says.is_empty() && problem.to_string().contains(says), "{query}: {problem}"),
            }
        }
        assert!(none("x=1").unwrap_err().to_string().contains("there are none here"));
    }

    #[test]
    fn a_limit_is_within_bounds() {
        assert_eq!(limit(None).unwrap(), 1000);
        assert_eq!(limit(Some("10000")).unwrap(), 10_000);
        for bad in ["", "0", "10001", "+1", "-1", "1.0", "1e3", "99999999999999999999"] {
            assert!(limit(Some(bad)).is_err(), "{bad}");
        }
    }
}
