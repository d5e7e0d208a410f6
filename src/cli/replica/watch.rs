//! `strandline sync --watch`: keeps a replica up to date until somebody says that it is enough.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{FileArgs, deeds, failed, listed, members};
use crate::cli::CliError;
use crate::cli::output::{note, print};
use crate::cli::serve::stop_signal;
use crate::domain::{Clock, SystemClock};
use crate::replica::{Followed, Options, Replica, Stop};

/// How long a sync under way may take to come to its end. Killed, it would lose nothing.
const GRACE: Duration = Duration::from_secs(3);

/// Runs until a signal, or an error that no waiting helps.
pub async fn run(file: FileArgs, options: Options, json: bool) -> Result<(), CliError> {
    let signal = stop_signal().map_err(|error| CliError::io("signals cannot be waited for", &error))?;
    let stop = Stop::default();
    let (told, mut ended) = oneshot::channel();
    let teller = Teller { file, json, quiet: false, away: false };
    // A thread of its own: the runtime would wait for its end, and so for a server that does not answer.
    let until = stop.clone();
    std::thread::spawn(move || {
        let _ = told.send(follow(teller, options, &until));
    });
    tokio::select! {
        done = &mut ended => return finish(done),
        () = signal => stop.stop(),
    }
    match tokio::time::timeout(GRACE, ended).await {
        Ok(done) => finish(done),
        Err(_) => Ok(()),
    }
}

fn finish(done: Result<Result<(), CliError>, oneshot::error::RecvError>) -> Result<(), CliError> {
    done.unwrap_or_else(|_| Err(CliError::Failed("a part of this program stopped".into())))
}

fn follow(mut teller: Teller, options: Options, stop: &Stop) -> Result<(), CliError> {
    let replica = teller.file.open(options)?;
    let mut fault = None;
    let done = replica.follow(stop, |followed| {
        if let Err(error) = teller.tell(&replica, followed) {
            fault = Some(error);
            stop.stop();
        }
    });
    match fault {
        Some(fault) => Err(fault),
        None => done.map_err(|error| failed(replica.origin(), error)),
    }
}

/// Tells of syncs: of the first, of each that did something, and of those that failed, but not again and again.
struct Teller {
    file: FileArgs,
    json: bool,
    /// Whether a sync that did nothing is no news.
    quiet: bool,
    away: bool,
}

impl Teller {
    fn tell(&mut self, replica: &Replica, followed: &Followed) -> Result<(), CliError> {
        let at = SystemClock.now();
        match followed {
            Followed::Synced(report) => {
                let deeds = deeds(report);
                self.away = false;
                if std::mem::replace(&mut self.quiet, true) && deeds.is_none() {
                    return Ok(());
                }
                let status = replica.status()?;
                let mut event = json!({ "event": "synced", "at": at.to_string(), "records": status.records, "cursor": status.cursor });
                extend(&mut event, members(report));
                print(self.json, &event, || {
                    let listed = listed(report, &self.file).map(|listed| format!("; {listed}")).unwrap_or_default();
                    format!("{at} {}{listed}", deeds.unwrap_or_else(|| "up to date".into()))
                })
            }
            Followed::Failed(error, pause) => {
                // That it is back is news again.
                self.quiet = false;
                if self.json {
                    let seconds = (pause.as_secs_f64() * 1000.0).round() / 1000.0;
                    let event = json!({ "event": "failed", "at": at.to_string(), "error": error.to_string(), "pause_seconds": seconds });
                    return print(true, &event, String::new);
                }
                if !std::mem::replace(&mut self.away, true) {
                    note(
                        &indicatif::ProgressBar::hidden(),
                        format_args!("{at} {error}; trying again until it is well"),
                    );
                }
                Ok(())
            }
        }
    }
}

fn extend(event: &mut Value, members: serde_json::Map<String, Value>) {
    if let Some(event) = event.as_object_mut() {
        event.extend(members);
    }
}
