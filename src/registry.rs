//! Who was seen where (PROTOCOL.md §7): clients that name themselves, one by one, and the pulls of all others by how far
//! behind they were.
//!
//! A pull stays a read: it leaves a note in memory, and what is new in the notes is written in batches. What was not
//! written when the process is killed is lost; its client says it again at its next pull.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::client::{AnonymousPulls, KnownClient, LagBucket, Place};
use crate::domain::{ClientName, Collections, Cursor, Rev, SpaceName, Timestamp};
use crate::feed::Feed;
use crate::store::{Sightings, Store, StoreError};

/// How often notes are written.
const EVERY: Duration = Duration::from_secs(2);
/// A client that is where it was is written again after this long, in microseconds: so exact is the time of its last sight
/// on other nodes.
const STALE: i64 = 60 * 1_000_000;
/// A client that was not seen for this long, in microseconds, is not kept in memory.
const KEPT: i64 = 300 * 1_000_000;
/// Clients written in one transaction, so that no push waits long behind it: all of them are new after a restart.
const BATCH: usize = 500;
/// Parts of the memory, each with a lock of its own.
const SHARDS: usize = 16;
/// Clients of a part, at the most: whoever makes up names without end is counted as one who has none.
const SHARD_CLIENTS: usize = 12_500;
/// Characters of a `User-Agent` that are kept.
const AGENT: usize = 200;

/// A client as a request shows it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its name; `None` for one that does not say.
    pub client: Option<&'a ClientName>,
    /// The revision that it has.
    pub rev: Rev,
    /// The cursor that it sent.
    pub cursor: Option<Cursor>,
    /// What it asked for.
    pub collections: Option<&'a Collections>,
    /// What it says it is.
    pub agent: Option<&'a str>,
    /// When.
    pub at: Timestamp,
    /// The head of the space then.
    pub head: Rev,
}

/// The notes of this process.
#[derive(Debug, Default)]
pub struct Registry {
    shards: [Mutex<Shard>; SHARDS],
    /// Held while notes are written, so that who waits for it knows that those before are.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Shard {
    spaces: HashMap<SpaceName, Notes>,
    clients: usize,
}

#[derive(Debug, Default)]
struct Notes {
    clients: HashMap<ClientName, Note>,
    anonymous: HashMap<LagBucket, AnonymousPulls>,
}

#[derive(Debug)]
struct Note {
    client: KnownClient,
    /// When it was seen when it was last written; `None` when what is here is still to be written.
    written: Option<Timestamp>,
}

impl Registry {
    /// Notes that a client was seen.
    pub fn see(&self, space: &SpaceName, seen: Seen<'_>) {
        let mut shard = self.shard(seen.client);
        if let Some(name) = seen.client
            && shard.see(space, name, seen)
        {
            return;
        }
        let bucket = LagBucket::of(seen.rev, seen.head);
        let anonymous = &mut shard.notes(space).anonymous;
        let count = anonymous.entry(bucket).or_insert(AnonymousPulls { bucket, pulls: 0, seen_at: seen.at });
        count.pulls += 1;
        count.seen_at = count.seen_at.max(seen.at);
    }

    /// Forgets a client of a space.
    pub fn forget(&self, space: &SpaceName, client: &ClientName) {
        let mut shard = self.shard(Some(client));
        if shard.spaces.get_mut(space).is_some_and(|notes| notes.clients.remove(client).is_some()) {
            shard.clients -= 1;
        }
    }

    fn shard(&self, client: Option<&ClientName>) -> std::sync::MutexGuard<'_, Shard> {
        let mut hash = DefaultHasher::new();
        client.hash(&mut hash);
        #[expect(clippy::cast_possible_truncation, reason = "a few bits are all that is needed")]
        let place = hash.finish() as usize % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "a remainder by the number of shards")]
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is new in the notes: of the space `exact` also the times of clients that are where they were. When it
    /// returns, that is in the store.
    ///
    /// # Errors
    /// Those of the store: then it is written the next time.
    pub async fn write(&self, store: &dyn Store, exact: Option<&SpaceName>) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        let sightings = self.take(exact);
        for part in sightings.clients.chunks(BATCH) {
            let part = Sightings { clients: part.to_vec(), anonymous: Vec::new() };
            if let Err(error) = store.note_clients(part).await {
                self.give_back(&sightings);
                return Err(error);
            }
        }
        if sightings.anonymous.is_empty() {
            return Ok(());
        }
        let anonymous = Sightings { clients: Vec::new(), anonymous: sightings.anonymous };
        let written = store.note_clients(anonymous.clone()).await;
        if written.is_err() {
            self.give_back(&anonymous);
        }
        written
    }

    /// What is still to be written. It counts as written from here on.
    fn take(&self, exact: Option<&SpaceName>) -> Sightings {
        let mut sightings = Sightings::default();
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).take(exact, &mut sightings);
        }
        // All nodes write in one order, so that none waits for another that waits for it.
        sightings.clients.sort_by(|(a, one), (b, other)| (a, &one.name).cmp(&(b, &other.name)));
        sightings.anonymous.sort_by_key(|(space, pulls)| (space.clone(), pulls.bucket));
        sightings.anonymous = merged(sightings.anonymous);
        sightings
    }

    /// Takes back what could not be written, unless something newer is there.
    fn give_back(&self, sightings: &Sightings) {
        for (space, client) in &sightings.clients {
            let mut shard = self.shard(Some(&client.name));
            if let Some(note) = shard.notes(space).clients.get_mut(&client.name) {
                note.written = None;
            }
        }
        let mut shard = self.shard(None);
        for (space, pulls) in &sightings.anonymous {
            let anonymous = &mut shard.notes(space).anonymous;
            anonymous.entry(pulls.bucket).and_modify(|known| known.pulls += pulls.pulls).or_insert(*pulls);
        }
    }
}

/// One count a space and bucket, of counts in order.
fn merged(counts: Vec<(SpaceName, AnonymousPulls)>) -> Vec<(SpaceName, AnonymousPulls)> {
    let mut merged: Vec<(SpaceName, AnonymousPulls)> = Vec::with_capacity(counts.len());
    for (space, pulls) in counts {
        match merged.last_mut().filter(|(last, known)| *last == space && known.bucket == pulls.bucket) {
            Some((_, known)) => {
                known.pulls += pulls.pulls;
                known.seen_at = known.seen_at.max(pulls.seen_at);
            }
            None => merged.push((space, pulls)),
        }
    }
    merged
}

impl Shard {
    fn notes(&mut self, space: &SpaceName) -> &mut Notes {
        self.spaces.entry(space.clone()).or_default()
    }

    /// Notes a client by its name; whether there was room for it.
    fn see(&mut self, space: &SpaceName, name: &ClientName, seen: Seen<'_>) -> bool {
        if let Some(note) = self.spaces.get_mut(space).and_then(|notes| notes.clients.get_mut(name)) {
            note.see(seen);
            return true;
        }
        if self.clients >= SHARD_CLIENTS {
            return false;
        }
        let place = Place { rev: seen.rev, cursor: seen.cursor, collections: seen.collections.cloned() };
        let client = KnownClient { name: name.clone(), place, agent: agent(seen.agent), seen_at: seen.at };
        self.notes(space).clients.insert(name.clone(), Note { client, written: None });
        self.clients += 1;
        true
    }

    fn take(&mut self, exact: Option<&SpaceName>, sightings: &mut Sightings) {
        for (space, notes) in &mut self.spaces {
            let newest = notes.clients.values().map(|note| note.client.seen_at).max();
            for note in notes.clients.values_mut() {
                let is_due = note.written.is_none_or(|at| exact == Some(space) && at < note.client.seen_at);
                if is_due {
                    note.written = Some(note.client.seen_at);
                    sightings.clients.push((space.clone(), note.client.clone()));
                }
            }
            sightings.anonymous.extend(notes.anonymous.drain().map(|(_, pulls)| (space.clone(), pulls)));
            // Nothing but a pull tells the time here. Where none comes, what is in memory may as well stay.
            let keep = newest.map_or(0, |newest| newest.micros().saturating_sub(KEPT));
            let before = notes.clients.len();
            notes.clients.retain(|_, note| note.client.seen_at.micros() >= keep);
            self.clients -= before - notes.clients.len();
        }
        self.spaces.retain(|_, notes| !notes.clients.is_empty());
    }
}

impl Note {
    fn see(&mut self, seen: Seen<'_>) {
        let known = &mut self.client;
        let place = &known.place;
        let is_there = (place.rev, place.cursor, place.collections.as_ref())
            == (seen.rev, seen.cursor, seen.collections)
            && known.agent.as_deref() == seen.agent.map(cut_short);
        let is_fresh = self.written.is_some_and(|written| seen.at.micros() - written.micros() < STALE);
        known.seen_at = known.seen_at.max(seen.at);
        if is_there && is_fresh {
            return;
        }
        self.written = None;
        if !is_there {
            known.place = Place { rev: seen.rev, cursor: seen.cursor, collections: seen.collections.cloned() };
            known.agent = agent(seen.agent);
        }
    }
}

fn agent(text: Option<&str>) -> Option<Box<str>> {
    text.map(|text| cut_short(text).into())
}

fn cut_short(text: &str) -> &str {
    text.get(..AGENT).unwrap_or(text)
}

/// Writes notes now and then, until the feed is closed; and then once more.
pub async fn run(registry: Arc<Registry>, store: Arc<dyn Store>, feed: Feed) {
    loop {
        let over = tokio::select! {
            () = feed.closed() => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        if let Err(error) = registry.write(&*store, None).await {
            log::warn!("where clients were seen could not be written: {error}");
        }
        if over {
            return;
        }
    }
}
