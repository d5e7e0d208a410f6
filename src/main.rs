//! The program: parse the command line, log to stderr, run the subcommand.

use std::process::ExitCode;

use strandline::cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(cli.log_level())).init();
    cli.run().await
}
