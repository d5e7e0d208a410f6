//! The program: parse the command line, log to stderr, run the subcommand.

use std::process::ExitCode;

use strandline::cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    cli::logging::begin(cli.log_level());
    cli.run().await
}
