//! What a copy tells at its end: each collection with what was counted, and each space that was not copied with why.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::output::{plural, print, table};
use crate::copier::Copied;
use crate::domain::SpaceName;
use crate::store::DatabaseUrl;

/// What became of a space.
#[derive(Debug)]
pub enum Outcome {
    /// It is in the target, and equal.
    Copied(Copied),
    /// It is not, for this reason.
    Failed(String),
}

/// What became of all of them.
#[derive(Debug)]
pub struct Report {
    from: String,
    to: String,
    spaces: Vec<(SpaceName, Outcome)>,
    /// Tokens that were copied.
    pub tokens: u64,
}

impl Report {
    /// Nothing yet. The passwords of the two are not kept.
    pub fn new(from: &DatabaseUrl, to: &DatabaseUrl) -> Self {
        Self { from: from.to_string(), to: to.to_string(), spaces: Vec::new(), tokens: 0 }
    }

    /// Adds a space.
    pub fn add(&mut self, name: &SpaceName, outcome: Outcome) {
        self.spaces.push((name.clone(), outcome));
    }

    /// Each outcome, to be looked at again.
    pub fn outcomes_mut(&mut self) -> impl Iterator<Item = &mut Outcome> {
        self.spaces.iter_mut().map(|(_, outcome)| outcome)
    }

    /// Prints it.
    ///
    /// # Errors
    /// When a space was not copied.
    pub fn print(&self, json: bool, took: Duration) -> Result<(), CliError> {
        print(json, &self.to_json(took), || self.describe(took))?;
        match self.failed().count() as u64 {
            0 => Ok(()),
            n => {
                let what = plural(
                    n,
                    "space was not copied, or not as it is now",
                    "spaces were not copied, or not as they are now",
                );
                Err(CliError::Failed(format!("{what} (see above)")))
            }
        }
    }

    fn copied(&self) -> impl Iterator<Item = &Copied> {
        self.spaces.iter().filter_map(|(_, outcome)| match outcome {
            Outcome::Copied(copied) => Some(copied),
            Outcome::Failed(_) => None,
        })
    }

    fn failed(&self) -> impl Iterator<Item = (&SpaceName, &str)> {
        self.spaces.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Copied(_) => None,
            Outcome::Failed(why) => Some((name, why.as_str())),
        })
    }

    fn to_json(&self, took: Duration) -> Value {
        let copied = |Copied { state, rows, already }: &Copied| {
            let collections: Vec<Value> = (state.collections.iter())
                .map(|(name, one)| {
                    json!({
                        "collection": name.as_str(),
                        "records": one.live,
                        "tombstones": one.tombstones,
                        "checksum": one.checksum.to_string(),
                        "verified": true,
                    })
                })
                .collect();
            json!({
                "space": state.name.as_str(),
                "epoch": state.epoch().as_str(),
                "head": state.head.get(),
                "rows": rows,
                "already": already,
                "collections": collections,
            })
        };
        json!({
            "from": self.from,
            "to": self.to,
            "spaces": self.copied().map(copied).collect::<Vec<_>>(),
            "failed": self.failed().map(|(name, why)| json!({ "space": name.as_str(), "detail": why })).collect::<Vec<_>>(),
            "tokens": self.tokens,
            "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        })
    }

    fn describe(&self, took: Duration) -> String {
        let mut rows = Vec::new();
        for Copied { state, already, .. } in self.copied() {
            let status = if *already { "verified, was there already" } else { "verified" };
            let row = |collection: &str, records: u64, tombstones: u64, checksum: String| {
                let numbers = [records.to_string(), tombstones.to_string()];
                let names = [state.name.to_string(), collection.to_owned()];
                names.into_iter().chain(numbers).chain([checksum, status.to_owned()]).collect()
            };
            for (name, one) in &state.collections {
                rows.push(row(name.as_str(), one.live, one.tombstones, one.checksum.to_string()));
            }
            if state.collections.is_empty() {
                rows.push(row("(none)", 0, 0, String::new()));
            }
        }
        let (spaces, moved) = (self.copied().count() as u64, self.copied().map(|copied| copied.rows).sum());
        format!(
            "{}\n{} of {} equal in {}, {} copied in {:.1} s\n",
            table(&["SPACE", "COLLECTION", "RECORDS", "TOMBSTONES", "CHECKSUM", ""], &rows),
            plural(spaces, "space", "spaces"),
            self.from,
            self.to,
            plural(moved, "row", "rows"),
            took.as_secs_f64(),
        )
    }
}
