//! `strandline openapi`: the document that the server gives at `/openapi.json`, for those who make clients from it.

use super::CliError;
use super::output::print;
use crate::http::openapi_document;

/// Prints the document; it is JSON with and without `--json`.
pub fn run() -> Result<(), CliError> {
    let document = openapi_document();
    let text = document.to_pretty_json().map_err(|error| CliError::Failed(error.to_string()))?;
    print(false, &(), || text)
}
