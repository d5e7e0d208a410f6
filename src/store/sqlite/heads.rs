//! The heads beside the database, in a small file of their own, so that a database that is put back from a backup is
//! noticed: it is behind them (PROTOCOL.md §1, *epoch*).
//!
//! The file is written lazily, at most once a second and without a flush to the disk: it may lag behind the database,
//! never lead it. So a database behind the file has lost something for sure, and one ahead of it is in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{Epoch, Lineage, Rev};

/// The file's content: what each space was seen to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heads {
    /// By name. A deleted space stays, marked, so that its return from a backup is noticed too.
    pub spaces: BTreeMap<String, Seen>,
}

/// What was seen of a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Its newest revision.
    pub head: u64,
    /// Its epochs with the heads at which they were opened, oldest first.
    pub epochs: Vec<(String, u64)>,
    /// Whether it was deleted since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// How a space in the database compares with what was seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is all there.
    InOrder,
    /// It is older than what was seen: a new epoch is due, after these epochs that it does not know.
    Behind(Vec<(Epoch, Rev)>),
}

impl Seen {
    /// What there is to see of a space.
    pub fn of(lineage: &Lineage, head: Rev) -> Self {
        let epochs = lineage.entries().map(|(epoch, at)| (epoch.to_string(), at.get())).collect();
        Self { head: head.get(), epochs, deleted: false }
    }

    /// Compares the space as the database `now` has it with what was seen.
    pub fn judge(&self, now: &Self) -> Verdict {
        let unknown = self.epochs.strip_prefix(now.epochs.as_slice());
        match unknown {
            Some([]) if now.head >= self.head && !self.deleted => Verdict::InOrder,
            // The database was copied before these epochs were opened: their clients share all up to there.
            Some(unknown) => Verdict::Behind(
                unknown.iter().filter_map(|(epoch, at)| Some((epoch.parse().ok()?, Rev::new(*at).ok()?))).collect(),
            ),
            // The file lags behind an epoch that was opened since.
            None if now.epochs.starts_with(&self.epochs) => Verdict::InOrder,
            // Another space of this name, or another branch of its history: what they share is not known.
            None => Verdict::Behind(Vec::new()),
        }
    }
}

impl Heads {
    /// The file's place, beside the database.
    pub fn path(database: &Path) -> PathBuf {
        let mut path = database.as_os_str().to_owned();
        path.push("-heads");
        PathBuf::from(path)
    }

    /// Reads the file; empty where there is none. A file that cannot be read is as good as none: it is a safety net, and
    /// must not keep a server from starting.
    pub fn load(database: &Path) -> Self {
        Self::read(database).unwrap_or_else(|error| {
            let path = Self::path(database);
            log::warn!("{} is not readable ({error}): a restored backup would not be noticed", path.display());
            Self::default()
        })
    }

    /// Reads the file; empty where there is none.
    pub fn read(database: &Path) -> serde_json::Result<Self> {
        std::fs::read(Self::path(database)).map_or_else(|_| Ok(Self::default()), |bytes| serde_json::from_slice(&bytes))
    }

    /// Takes over what the database has now. A space that went back keeps what was seen before: the file must not
    /// forget what it is there to notice.
    pub fn update(&mut self, now: &BTreeMap<String, Seen>) {
        for (name, now) in now {
            match self.spaces.get_mut(name) {
                Some(seen) if seen.deleted || seen.judge(now) == Verdict::InOrder || !related(seen, now) => {
                    *seen = now.clone();
                }
                Some(_) => {}
                None => {
                    self.spaces.insert(name.clone(), now.clone());
                }
            }
        }
        for (name, seen) in &mut self.spaces {
            seen.deleted = !now.contains_key(name);
        }
    }

    /// Writes the file in one step.
    pub fn store(&self, database: &Path) -> std::io::Result<()> {
        let path = Self::path(database);
        let mut draft = path.clone().into_os_string();
        draft.push(format!(".{}", std::process::id()));
        let stored = std::fs::write(&draft, serde_json::to_vec(self)?).and_then(|()| std::fs::rename(&draft, &path));
        if stored.is_err() {
            // On a full disk the beginning of a draft takes room, and a name for each process that tried.
            let _ = std::fs::remove_file(&draft);
        }
        stored
    }
}

/// Whether one of the two lineages is the beginning of the other.
fn related(one: &Seen, other: &Seen) -> bool {
    one.epochs.starts_with(&other.epochs) || other.epochs.starts_with(&one.epochs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(head: u64, epochs: &[(&str, u64)]) -> Seen {
        Seen { head, epochs: epochs.iter().map(|(epoch, at)| ((*epoch).to_owned(), *at)).collect(), deleted: false }
    }

    #[test]
    fn a_database_behind_its_heads_was_put_back() {
        let behind = |unknown: &[(&str, u64)]| {
            Verdict::Behind(unknown.iter().map(|(e, at)| (e.parse().unwrap(), Rev::new(*at).unwrap())).collect())
        };
        let before = seen(100, &[("a", 0), ("b", 40)]);
        for (now, verdict) in [
            (seen(100, &[("a", 0), ("b", 40)]), Verdict::InOrder),
            (seen(120, &[("a", 0), ("b", 40)]), Verdict::InOrder),
            (seen(99, &[("a", 0), ("b", 40)]), behind(&[])),
            (seen(70, &[("a", 0)]), behind(&[("b", 40)])),
            (seen(100, &[("a", 0), ("b", 40), ("c", 90)]), Verdict::InOrder),
            (seen(100, &[("x", 0)]), behind(&[])),
            (seen(100, &[("a", 0), ("y", 50)]), behind(&[])),
        ] {
            assert_eq!(before.judge(&now), verdict, "{now:?}");
        }
        let deleted = Seen { deleted: true, ..before };
        assert_eq!(deleted.judge(&seen(100, &[("a", 0), ("b", 40)])), behind(&[]));
    }

    #[test]
    fn the_file_does_not_forget_what_a_database_lost_under_a_running_server() {
        let one = |now: Seen| BTreeMap::from([("s".to_owned(), now)]);
        let mut heads = Heads::default();
        heads.update(&one(seen(100, &[("a", 0)])));
        heads.update(&one(seen(60, &[("a", 0)])));
        assert_eq!(heads.spaces["s"].head, 100);
        heads.update(&one(seen(61, &[("a", 0), ("b", 60)])));
        assert_eq!(heads.spaces["s"].head, 61);
        heads.update(&BTreeMap::new());
        assert!(heads.spaces["s"].deleted);
        heads.update(&one(seen(3, &[("c", 0)])));
        assert_eq!(heads.spaces["s"], seen(3, &[("c", 0)]));
    }
}
