//! The command line: one file a subcommand (DESIGN: the command line).
//!
//! Each command says what it does once, against a `target::Target`: the database itself, or a server. Results go to
//! stdout, as aligned text or with `--json` for programs; progress and errors go to stderr. Exit codes: 0 done,
//! 1 failed, 2 usage, 3 a replica was not what its server has, or a database not as it must be.

mod backup;
mod clients;
mod compact;
mod copy;
mod doctor;
mod epoch;
mod error;
mod export;
pub(crate) mod import;
pub mod logging;
mod openapi;
mod output;
mod replica;
mod retention;
pub mod serve;
mod spaces;
mod stats;
mod target;
mod token;
mod typed;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::ServeArgs;
pub use error::CliError;
pub use typed::parse;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 a replica was not what its server has, or a database \
                          not as it must be. Results go to stdout, all else to stderr.";

/// A sync server for clients that keep an offline copy of data.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print results as JSON, for programs
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<ServeArgs>),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Compact(compact::CompactArgs),
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    #[command(subcommand)]
    Clients(clients::ClientsCommand),
    Stats(stats::StatsArgs),
    #[command(subcommand)]
    Token(token::TokenCommand),
    #[command(subcommand)]
    Epoch(epoch::EpochCommand),
    #[command(subcommand)]
    Spaces(spaces::SpacesCommand),
    Backup(backup::BackupArgs),
    Copy(copy::CopyArgs),
    Doctor(doctor::DoctorArgs),
    Clone(replica::CloneArgs),
    Sync(replica::SyncArgs),
    Status(replica::StatusArgs),
    Verify(replica::VerifyArgs),
    Put(replica::PutArgs),
    Delete(replica::DeleteArgs),
    Get(replica::GetArgs),
    List(replica::ListArgs),
    Conflicts(replica::ConflictsArgs),
    /// Print the OpenAPI document of the server
    Openapi,
}

impl Cli {
    /// What is logged where the environment (`RUST_LOG`) does not say: a server tells what it does, other commands
    /// speak by their results.
    #[must_use]
    pub fn log_level(&self) -> &'static str {
        if matches!(self.command, Command::Serve(_)) { "info" } else { "warn" }
    }

    /// Runs the subcommand, and tells stderr in a sentence if it failed.
    pub async fn run(self) -> ExitCode {
        let json = self.json;
        let done = match self.command {
            Command::Serve(args) => serve::run(*args).await.map_err(CliError::from),
            Command::Import(args) => import::run(args, json).await,
            Command::Export(args) => export::run(args, json).await,
            Command::Compact(args) => compact::run(args, json).await,
            Command::Retention(command) => retention::run(command, json).await,
            Command::Clients(command) => clients::run(command, json).await,
            Command::Token(command) => token::run(command, json).await,
            Command::Stats(args) => stats::run(args, json).await,
            Command::Epoch(command) => epoch::run(command, json).await,
            Command::Spaces(command) => spaces::run(command, json).await,
            Command::Backup(args) => backup::run(args, json).await,
            Command::Copy(args) => copy::run(args, json).await,
            Command::Doctor(args) => doctor::run(args, json).await,
            Command::Clone(args) => replica::clone(args, json).await,
            Command::Sync(args) => replica::sync(args, json).await,
            Command::Status(args) => replica::status(args, json).await,
            Command::Verify(args) => replica::verify(args, json).await,
            Command::Put(args) => replica::put(args, json).await,
            Command::Delete(args) => replica::delete(args, json).await,
            Command::Get(args) => replica::get(args, json).await,
            Command::List(args) => replica::list(args, json).await,
            Command::Conflicts(args) => replica::conflicts(args, json).await,
            Command::Openapi => openapi::run(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                if !matches!(error, CliError::BrokenPipe) {
                    // When even stderr is gone, the exit code still tells.
                    let _ = writeln!(std::io::stderr(), "error: {error}");
                }
                ExitCode::from(error.exit_code())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_of_commands_holds_together() {
        super::Cli::command().debug_assert();
    }
}
