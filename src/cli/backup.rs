//! `strandline backup`: a copy of the database while a server runs on it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::CliError;
use super::output::{bytes, print};
use super::target::{DatabaseArgs, MayCreate, must_exist};
use crate::store;

/// Copy the database while the server runs
///
/// The copy is one consistent state, and safe to restore: put it in the place of the database, start the server, and
/// clients that are ahead of it repair themselves.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to make; one that exists is never overwritten
    to: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs the command.
pub async fn run(args: BackupArgs, json: bool) -> Result<(), CliError> {
    must_exist(&args.database.database, MayCreate::No)?;
    store::backup(&args.database.database, &args.to).await?;
    let to = args.to.display().to_string();
    let size = std::fs::metadata(&args.to).map_err(|error| CliError::io(&to, &error))?.len();
    print(json, &json!({ "backup": to, "bytes": size }), || format!("backed up to {to} ({})", bytes(size)))
}
