//! JSON objects out of requests.

use serde::Deserialize;

/// Reads an object. serde would also read the members' values from an array, in order, which the protocol does not
/// mean.
///
/// # Errors
/// A sentence that says what is wrong, and where.
pub fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    if text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('[') {
        return Err("an object is expected, not an array".into());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}
