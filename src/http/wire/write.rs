//! JSON written by hand into a buffer, for the answers that are asked for most.

use std::fmt::Display;
use std::io::Write as _;

/// A JSON string.
pub fn string(out: &mut Vec<u8>, text: &str) {
    // Most texts need no escape. Writing to a `Vec` cannot fail.
    let plain = |b: u8| b >= 0x20 && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let _ = serde_json::to_writer(out, text);
    }
}

/// A JSON number.
pub fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A value whose text has nothing to escape, between quotes.
pub fn quoted(out: &mut Vec<u8>, value: &impl Display) {
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "\"{value}\"");
}

/// `true` or `false`.
pub fn boolean(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// `items` as a JSON array.
pub fn array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut one: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped_where_it_must_be() {
        for text in ["", "plain", "日本 ✓", "a\"b", "a\\b", "a\nb", "\u{7f}\u{85}\u{2028}"] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn an_array_has_commas_between_its_items_only() {
        let text = |items: &[u64]| {
            let mut out = Vec::new();
            array(&mut out, items, |out, n| number(out, *n));
            String::from_utf8(out).unwrap()
        };
        assert_eq!([text(&[]), text(&[1]), text(&[1, 2])], ["[]", "[1]", "[1,2]"]);
    }
}
