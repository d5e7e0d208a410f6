//! JSON objects out of requests.

use serde::Deserialize;

use crate::domain::Object;

/// Reads an object.
///
/// # Errors
/// A sentence that says what is wrong, and where.
pub fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map(|Object(value)| value).map_err(|error| error.to_string())
}
