//! A device: a replica in a file, its user's memory, and a process that may be killed.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strandline::domain::{CollectionName, Collections, RecordId};
use strandline::replica::{Options, Origin, Replica, ReplicaError};
use tempfile::TempDir;

use super::scenario::{COLLECTIONS, Cut, Spot};
use super::server::{Happening, Line, Wire, space};
use crate::replica::file;

pub struct Device {
    pub scoped: bool,
    replica: Option<Replica>,
    wire: Arc<Wire>,
    /// Commits that are left until the process is killed; negative: any number.
    commits: Arc<AtomicI64>,
    directory: TempDir,
    /// What the user did in the middle of a sync.
    edited: Arc<Mutex<Option<(Spot, u64)>>>,
    /// The newest thing that the user did to each record, which he may ask for: its number, 0 for a deletion.
    pub wanted: BTreeMap<Spot, u64>,
    /// What the server took, or was told to forget.
    pub settled: HashSet<(Spot, u64)>,
}

pub fn names((collection, id): Spot) -> (CollectionName, RecordId) {
    (COLLECTIONS[collection].parse().unwrap(), RecordId::new(id.to_string()).unwrap())
}

pub fn spot_of(change: &Value) -> Spot {
    let collection = COLLECTIONS.iter().position(|name| change["collection"] == *name).unwrap();
    (collection, change["id"].as_str().unwrap().parse().unwrap())
}

/// The number in a record's data; 0 where it is deleted.
pub fn number_of(change: &Value) -> u64 {
    change["data"]["n"].as_u64().unwrap_or(0)
}

impl Device {
    pub fn new(line: Arc<Line>, scoped: bool) -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let collections = scoped.then(|| Collections::parse(COLLECTIONS[0]).unwrap());
        let origin = Origin { url: "http://127.0.0.1:1".into(), space: space(), collections };
        let mut device = Self {
            scoped,
            replica: None,
            wire: Arc::new(Wire::new(line)),
            commits: Arc::new(AtomicI64::new(-1)),
            directory,
            edited: Arc::default(),
            wanted: BTreeMap::new(),
            settled: HashSet::new(),
        };
        let path = device.path();
        device.replica = Some(Replica::create(&path, &origin, device.options()).unwrap());
        device
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("copy")
    }

    fn options(&self) -> Options {
        let commits = Arc::clone(&self.commits);
        // A process that is killed commits nothing any more.
        let gate = move || match commits.load(Ordering::Relaxed) {
            0 => false,
            left => left < 0 || commits.fetch_sub(1, Ordering::Relaxed) > 0,
        };
        let transport = Arc::clone(&self.wire) as _;
        Options { transport: Some(transport), tries: 1, before_commit: Some(Arc::new(gate)), ..Options::default() }
    }

    pub fn replica(&self) -> &Replica {
        self.replica.as_ref().unwrap()
    }

    pub fn restart(&mut self) {
        self.replica = None;
        self.commits.store(-1, Ordering::Relaxed);
        self.replica = Some(Replica::open(&self.path(), self.options()).unwrap());
    }

    pub fn may_edit(&self, spot: Spot) -> bool {
        !self.scoped || spot.0 == 0
    }

    /// The user writes this number, or deletes. Whether it was anything.
    pub fn edit(&mut self, spot: Spot, number: u64) {
        if edit(self.replica(), spot, number) {
            self.wants(spot, number);
        }
    }

    fn wants(&mut self, spot: Spot, number: u64) {
        // Deletions have no number of their own: what is known is of an earlier one.
        self.settled.remove(&(spot, 0));
        if number == 0 && !self.waits(spot) {
            // Who deleted what he had just made has nothing to tell anybody.
            self.wanted.remove(&spot);
        } else {
            self.wanted.insert(spot, number);
        }
    }

    fn waits(&self, spot: Spot) -> bool {
        let state = self.state();
        let sending = state["sending"]["changes"].as_array().into_iter().flatten();
        state["edits"].as_array().unwrap().iter().chain(sending).any(|it| spot_of(it) == spot)
    }

    /// Edits as soon as the request of a number is made in the next sync.
    pub fn edit_at(&self, spot: Spot, number: u64) -> Happening {
        let (replica, done) = (self.replica().clone(), Arc::clone(&self.edited));
        Box::new(move || {
            if edit(&replica, spot, number) {
                *done.lock().unwrap() = Some((spot, number));
            }
        })
    }

    pub fn sync(&mut self, cut: Option<Cut>, meanwhile: Option<(u8, Happening)>) -> Result<(), ReplicaError> {
        self.wire.begin(cut, meanwhile);
        if let Some(Cut::Commit(at)) = cut {
            self.commits.store(at.into(), Ordering::Relaxed);
        }
        let synced = self.replica().sync();
        self.wire.begin(None, None);
        let edited = self.edited.lock().unwrap().take();
        if let Some((spot, number)) = edited {
            self.wants(spot, number);
        }
        self.commits.store(-1, Ordering::Relaxed);
        if synced == Err(ReplicaError::Interrupted) {
            self.restart();
        }
        synced.map(drop)
    }

    /// What the server has taken since the last call: what is where, and under which revision.
    pub fn taken(&mut self) -> Vec<(Spot, u64, u64)> {
        let mut taken = Vec::new();
        for (push, answer) in self.wire.pushes() {
            let changes = push["changes"].as_array().unwrap().iter();
            for (change, result) in changes.zip(answer["results"].as_array().unwrap()) {
                if result["status"] == "applied" || result["status"] == "unchanged" {
                    let (spot, number) = (spot_of(change), number_of(change));
                    self.settled.insert((spot, number));
                    taken.push((spot, number, result["rev"].as_u64().unwrap_or(0)));
                } else if result["status"] == "conflict" {
                    // What the user wanted is there, whoever did it.
                    self.settled.insert((spot_of(change), number_of(&result["record"])));
                }
            }
        }
        taken
    }

    /// The user decides the oldest conflict. What is to be written anew.
    pub fn decide(&mut self, restore: bool) -> Option<(Spot, u64)> {
        let conflict = self.replica().conflicts().unwrap().into_iter().next()?;
        let collection = COLLECTIONS.iter().position(|name| *name == conflict.collection.as_str()).unwrap();
        let spot = (collection, conflict.id.as_str().parse().unwrap());
        let mine = conflict
            .mine
            .map_or(0, |data| serde_json::from_str::<Value>(data.as_str()).unwrap()["n"].as_u64().unwrap());
        if restore {
            let seen = number_seen(self.replica(), spot).unwrap_or(0);
            self.replica().restore(conflict.number).unwrap();
            // To restore what is seen already is nothing to be done.
            if seen == mine {
                self.settled.insert((spot, mine));
            } else {
                self.wants(spot, mine);
            }
            Some((spot, mine))
        } else {
            self.replica().discard(conflict.number).unwrap();
            self.settled.insert((spot, mine));
            None
        }
    }

    /// What of the user's newest doings is neither at the server, nor was there, nor listed, nor waiting.
    pub fn lost(&self) -> Vec<(Spot, u64)> {
        let state = file::state(&self.path());
        let listed = state["conflicts"].as_array().unwrap().iter();
        let listed: HashSet<_> = listed.map(|it| (spot_of(it), number_of(&it["mine"]))).collect();
        let waiting = state["edits"].as_array().unwrap().iter();
        let sending = state["sending"]["changes"].as_array().into_iter().flatten();
        let waiting: HashSet<_> = waiting.chain(sending).map(|it| (spot_of(it), number_of(it))).collect();
        let wanted = self.wanted.iter().map(|(spot, number)| (*spot, *number));
        let kept = |it: &(Spot, u64)| [&self.settled, &listed, &waiting].iter().any(|set| set.contains(it));
        wanted.filter(|it| !kept(it)).collect()
    }

    pub fn state(&self) -> Value {
        file::state(&self.path())
    }
}

fn number_seen(replica: &Replica, spot: Spot) -> Option<u64> {
    let (collection, id) = names(spot);
    let seen = replica.get(&collection, &id).unwrap()?;
    serde_json::from_str::<Value>(seen.as_str()).unwrap()["n"].as_u64()
}

/// Whether it was anything to do, and is done: the process may be killed at this commit too.
fn edit(replica: &Replica, spot: Spot, number: u64) -> bool {
    let (collection, id) = names(spot);
    let done = if number == 0 {
        replica.delete(&collection, &id)
    } else {
        let data = Replica::document(&json!({"n": number}).to_string()).unwrap();
        replica.put(&collection, &id, &data).map(|()| true)
    };
    match done {
        Err(ReplicaError::Interrupted) => false,
        done => done.unwrap(),
    }
}
