//! How far a sync is, on a terminal; nothing anywhere else.

use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::replica::Progress;

const SPINNER: &str = "{spinner} {msg}";
const BAR: &str = "{msg} [{wide_bar}] {percent}% {eta}";

/// A line that says how far it is.
pub struct Meter(ProgressBar);

impl Meter {
    /// Says what is being done, until there is more to say.
    pub fn begin(what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(format!("{what}: asking the server"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Shows it.
    pub fn show(&mut self, progress: Progress) {
        match progress {
            // Revisions, and not changes, so that it is right from the start where a sync goes on.
            Progress::Pulled { changes, rev, head } => {
                self.measure(rev, head, format!("pulling: {} changes", HumanCount(changes)));
            }
            Progress::Fetched { records, of } => {
                self.measure(records, of, format!("repairing: {} records", HumanCount(records)));
            }
            Progress::Pushed(edits) => self.say(format!("pushing: {} edits", HumanCount(edits))),
            Progress::Waiting { pause, why } => {
                self.say(format!("waiting {:.1} s to ask again: {why}", pause.as_secs_f64()));
            }
        }
    }

    /// Takes the line away.
    pub fn end(self) {
        self.0.finish_and_clear();
    }

    fn measure(&self, done: u64, of: u64, what: String) {
        self.style(BAR);
        self.0.set_length(of);
        self.0.set_position(done);
        self.0.set_message(what);
    }

    fn say(&self, what: String) {
        self.style(SPINNER);
        self.0.set_message(what);
    }

    fn style(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
    }
}
