//! The log on stderr, as `RUST_LOG` wants it, but for what would tell secrets.

use log::{Level, Log, Metadata, Record};

/// Whose lines are written at every level that is asked for: this program's, and those of its audit.
const OWN: [&str; 2] = ["strandline", "audit"];

/// Writes the log from here on; `default` is what is written where `RUST_LOG` does not say.
///
/// Libraries log what goes through them at the levels of debug and trace: statements with their values, headers, frames. There
/// are tokens and records among these, which no log is to have at any level; so of libraries nothing is written below info.
pub fn begin(default: &str) {
    let logger = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(default)).build();
    let most = logger.filter();
    if log::set_boxed_logger(Box::new(Discreet(logger))).is_ok() {
        log::set_max_level(most);
    }
}

struct Discreet(env_logger::Logger);

impl Log for Discreet {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        may_be_told(metadata) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if may_be_told(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

fn may_be_told(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.level() <= Level::Info || OWN.iter().any(|own| target.split("::").next() == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_speak_of_what_matters_and_no_more() {
        let told = |target: &str, level| may_be_told(&Metadata::builder().target(target).level(level).build());
        for own in ["strandline", "strandline::http::push", "audit"] {
            assert!(told(own, Level::Trace), "{own}");
        }
        for other in ["tokio_postgres::query", "h2::codec", "ureq", "strandlines", ""] {
            assert!(told(other, Level::Info) && !told(other, Level::Debug) && !told(other, Level::Trace), "{other}");
        }
    }
}
