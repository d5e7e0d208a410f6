//! The audit: who did what, one line of JSON for every event that configures, deletes, compacts, is about tokens, or was not
//! allowed. A line names routes, spaces and holders; never a token, a record or its id.

use serde::Serialize;

/// The name under which the log has these lines, whatever else it has: `RUST_LOG=warn,audit=info`.
pub const TARGET: &str = "audit";

/// One event. What is not known is left out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Line<'a> {
    /// What it was about: `space.delete`, `token.create`, …
    pub event: &'a str,
    /// `done`, `failed` (it was allowed, and did not come to be), or `refused`.
    pub outcome: &'a str,
    /// The status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The method of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'a str>,
    /// The pattern of its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// The space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<&'a str>,
    /// What else it was about: a client, or a token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    /// Who did it: `token <id>`, `jwt <issuer> <subject>`, or `compactor`; left out where there is no access control, or no
    /// good credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<&'a str>,
    /// What people call that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'a str>,
    /// Tombstones that were purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purged: Option<u64>,
    /// The horizon after that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub horizon: Option<u64>,
}

/// Whether anybody reads along.
pub fn is_on() -> bool {
    log::log_enabled!(target: TARGET, log::Level::Info)
}

/// Writes a line.
pub fn write(line: &Line<'_>) {
    // Strings and numbers in a struct: writing them cannot fail.
    log::info!(target: TARGET, "{}", serde_json::to_string(line).unwrap_or_default());
}
