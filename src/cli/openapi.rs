//! `strandline openapi`: the description of the HTTP interface, for code generators.

use std::io::Write;

use super::CliError;

/// Runs the command.
pub fn run() -> Result<(), CliError> {
    let failed = |why: &dyn std::fmt::Display| CliError::Failed(format!("the description cannot be rendered: {why}"));
    let text = crate::http::openapi::document().to_pretty_json().map_err(|error| failed(&error))?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| CliError::io("stdout", &error))
}
