//! Plays a scenario, and knows what must hold.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use strandline::replica::ReplicaError;

use super::device::{Device, names, number_of, spot_of};
use super::scenario::{COLLECTIONS, DEVICES, Event, Spot, Step};
use super::server::{Happening, Server};

struct World {
    server: Arc<Mutex<Server>>,
    devices: Vec<Device>,
    /// The last number that was given: each write has one of its own.
    number: u64,
    /// Where each number was seen at the server, in the history that goes on: it may be there once.
    seen: HashMap<(Spot, u64), u64>,
    /// Who ever edited a record: a device, or the stranger.
    writers: HashMap<Spot, HashSet<usize>>,
    /// Whether the server was ever put back.
    restored: bool,
}

/// Who writes at the server, beside the devices.
const STRANGER: usize = DEVICES;

/// Whether every promise is kept.
pub fn play(steps: &[Step]) -> Result<(), String> {
    let server = Server::new();
    let devices = (0..DEVICES).map(|who| Device::new(server.line(), who == 1)).collect();
    let mut world = World {
        server: Arc::new(Mutex::new(server)),
        devices,
        number: 0,
        seen: HashMap::new(),
        writers: HashMap::new(),
        restored: false,
    };
    for (at, step) in steps.iter().enumerate() {
        world.take(*step).and_then(|()| world.look(*step)).map_err(|why| format!("at {at}: {why}"))?;
    }
    world.end().map_err(|why| format!("at the end: {why}"))
}

/// The stranger writes this number, or deletes.
fn write(server: &Server, spot: Spot, number: u64) {
    let (collection, id) = names(spot);
    let data = (number > 0).then(|| json!({"n": number}));
    server.write(collection.as_str(), id.as_str(), data.as_ref());
}

impl World {
    fn next(&mut self, delete: bool) -> u64 {
        if delete {
            return 0;
        }
        self.number += 1;
        self.number
    }

    fn take(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Edit { who, spot, delete } => {
                let number = self.next(delete);
                if self.devices[who].may_edit(spot) {
                    self.wrote(who, spot);
                    self.devices[who].edit(spot, number);
                }
            }
            Step::Sync { who, cut, meanwhile } => {
                let broken = Arc::new(AtomicBool::new(false));
                let meanwhile = meanwhile.and_then(|(at, event)| Some((at, self.happening(who, event, &broken)?)));
                let synced = self.devices[who].sync(cut, meanwhile);
                if broken.load(Ordering::Relaxed) {
                    // Before or after: what was taken before the break may come to be again.
                    self.devices[who].taken();
                    self.seen.clear();
                    self.restored = true;
                }
                match synced {
                    Ok(()) => self.compare(who)?,
                    Err(ReplicaError::Unavailable(_) | ReplicaError::Interrupted) if cut.is_some() => {}
                    // The server was put back to a time before the space was made.
                    Err(ReplicaError::Gone) => {}
                    Err(error) => return Err(format!("device {who}: {error}")),
                }
            }
            Step::Restart { who } => self.devices[who].restart(),
            Step::Decide { who, restore } => {
                if let Some(again) = self.devices[who].decide(restore) {
                    // The user means it.
                    self.seen.remove(&again);
                }
            }
            Step::Verify { who, repair } => match self.devices[who].replica().verify(repair, &mut |_| {}) {
                Ok(verdict) if verdict.sound && verdict.same => {}
                Err(ReplicaError::Gone) => {}
                other => return Err(format!("device {who} verifies: {other:?}")),
            },
            Step::Foreign { spot, delete } => {
                let number = self.next(delete);
                self.wrote(STRANGER, spot);
                write(&self.server(), spot, number);
            }
            Step::Purge => self.server().purge(),
            Step::BackUp => self.server().back_up(),
            Step::Restore { backup } => {
                if self.server().restore(backup) {
                    self.restored = true;
                    self.seen.clear();
                }
            }
        }
        Ok(())
    }

    fn wrote(&mut self, who: usize, spot: Spot) {
        self.writers.entry(spot).or_default().insert(who);
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    /// What is to happen in the middle of a device's sync; `broken` is told of a restore.
    fn happening(&mut self, who: usize, event: Event, broken: &Arc<AtomicBool>) -> Option<Happening> {
        let (server, broken) = (Arc::clone(&self.server), Arc::clone(broken));
        Some(match event {
            Event::Edit { spot, .. } if !self.devices[who].may_edit(spot) => return None,
            Event::Edit { spot, delete } => {
                let number = self.next(delete);
                self.wrote(who, spot);
                self.devices[who].edit_at(spot, number)
            }
            Event::Foreign { spot, delete } => {
                let number = self.next(delete);
                self.wrote(STRANGER, spot);
                Box::new(move || write(&server.lock().unwrap(), spot, number))
            }
            Event::Purge => Box::new(move || server.lock().unwrap().purge()),
            Event::Restore { backup } => {
                Box::new(move || broken.store(server.lock().unwrap().restore(backup), Ordering::Relaxed))
            }
        })
    }

    /// What must hold after every step, where the step could have broken it.
    fn look(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Foreign { .. } | Step::Restore { .. } => self.look_at_the_server(),
            Step::Sync { who, .. } | Step::Verify { who, .. } => {
                self.look_at_the_server()?;
                self.look_at(who)
            }
            Step::Edit { who, .. } | Step::Restart { who } | Step::Decide { who, .. } => self.look_at(who),
            Step::Purge | Step::BackUp => Ok(()),
        }
    }

    /// Nothing is there again that was gone.
    fn look_at_the_server(&mut self) -> Result<(), String> {
        let mut here = Vec::new();
        for device in &mut self.devices {
            here.extend(device.taken());
        }
        here.extend(self.server().live().iter().map(|it| (spot_of(it), number_of(it), it["rev"].as_u64().unwrap())));
        for (spot, number, rev) in here.into_iter().filter(|(_, number, _)| *number > 0) {
            let before = *self.seen.entry((spot, number)).or_insert(rev);
            if before != rev {
                return Err(format!("{number} has risen again in {spot:?}: it had revision {before}, now {rev}"));
            }
        }
        Ok(())
    }

    /// Nothing that its user did is lost; and nothing is a conflict where nobody else ever wrote.
    fn look_at(&self, who: usize) -> Result<(), String> {
        let device = &self.devices[who];
        let lost = device.lost();
        if !lost.is_empty() {
            return Err(format!("device {who} has lost {lost:?}: {}", device.state()));
        }
        let state = device.state();
        let mut listed = state["conflicts"].as_array().unwrap().iter().map(spot_of);
        let alone = |spot: &Spot| self.writers.get(spot).is_none_or(|writers| writers.iter().all(|it| *it == who));
        match listed.find(alone) {
            Some(spot) if !self.restored => {
                Err(format!("device {who} has a conflict in {spot:?} with nobody: {state}"))
            }
            _ => Ok(()),
        }
    }

    /// What a device holds is what the server has.
    fn compare(&self, who: usize) -> Result<(), String> {
        let device = &self.devices[who];
        let live = self.server().live();
        let live = live.iter().filter(|it| !device.scoped || it["collection"] == COLLECTIONS[0]);
        let theirs: BTreeMap<Spot, (u64, u64)> =
            live.map(|it| (spot_of(it), (it["rev"].as_u64().unwrap(), number_of(it)))).collect();
        let state = device.state();
        let records = state["records"].as_array().unwrap();
        let ours: BTreeMap<Spot, (u64, u64)> =
            records.iter().map(|it| (spot_of(it), (it["rev"].as_u64().unwrap(), number_of(it)))).collect();
        let stale = records.iter().any(|it| it.get("stale").is_some());
        if ours == theirs && !stale && state["remaining"] == Value::Null {
            return Ok(());
        }
        Err(format!("device {who} holds {ours:?}, the server {theirs:?}: {state}"))
    }

    /// With a network that works, everybody is right in the end.
    fn end(&mut self) -> Result<(), String> {
        // Whoever was put back to a time before the space must have one to go on with.
        self.server().write(COLLECTIONS[0], "9", Some(&json!({"n": 0})));
        for _ in 0..2 {
            for who in 0..DEVICES {
                self.devices[who].sync(None, None).map_err(|error| format!("device {who}: {error}"))?;
                self.compare(who)?;
                self.look_at_the_server()?;
                self.look_at(who)?;
            }
        }
        for (who, device) in self.devices.iter().enumerate() {
            let state = device.state();
            if state["edits"] != json!([]) || state["sending"] != Value::Null {
                return Err(format!("device {who} still waits: {state}"));
            }
        }
        Ok(())
    }
}
