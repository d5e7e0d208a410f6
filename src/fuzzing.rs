//! The door for the fuzz targets of `fuzz/` and for the replay of their corpora in the tests, to parsers that are no part of
//! the library's interface. Nothing here does anything of its own. It is no feature, since every run of the tests needs it.

use std::sync::Arc;

use crate::access::{AccessFault, Holder, Jwts};
use crate::domain::push::PushRequest;
use crate::domain::repair::FetchRequest;
use crate::domain::{ClientName, SpaceName, Timestamp};
use crate::http::Limits;
use crate::http::wire::{push_body, repair};

pub use crate::cli::import::csv_rows::CsvRows;
pub use crate::cli::import::rows::{Body, Fault, Lines, Row};

/// Reads the body of a push by `client` to `space`.
///
/// # Errors
/// The code of the problem that the client gets, and its detail.
pub fn push_body(
    text: &str,
    space: SpaceName,
    client: Option<ClientName>,
    limits: &Limits,
) -> Result<PushRequest, String> {
    push_body::parse(text, space, client, limits).map_err(|problem| problem.to_string())
}

/// Verifies a JWT. It waits for nothing where the only key is a shared secret.
///
/// # Errors
/// Why it opens nothing.
pub async fn verify_jwt(jwts: &Jwts, token: &str, now: Timestamp) -> Result<Arc<Holder>, AccessFault> {
    jwts.verify(token, now).await
}

/// Reads the body of a fetch from `space`.
///
/// # Errors
/// The code of the problem that the client gets, and its detail.
pub fn fetch_body(text: &str, space: SpaceName) -> Result<FetchRequest, String> {
    repair::parse_fetch(text, space).map(|(request, _)| request).map_err(|problem| problem.to_string())
}
