//! Spaces in memory: what an up-to-date poll is answered from, without a query, and what a write need not read again.
//!
//! What is remembered of a space is right until somebody writes to it. This node's own commits are noted here before
//! they are acknowledged; those of other nodes are told by `link` within milliseconds. While `link` hears nothing, nothing
//! is answered from here; and nothing for longer than [`FRESH`] without having been read again, should a notification
//! have been lost with the node that owed it.
//!
//! Answers race with writes: a state that was read before a commit may arrive here after it. So who reads takes a ticket
//! first, and what he brings is kept only if nothing was heard of the space since.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::domain::SpaceName;
use crate::store::rows::SpaceRow;

/// Spaces remembered; beyond it the memory starts anew.
const REMEMBERED: usize = 50_000;
/// How long a state answers polls after it was read or written.
pub(super) const FRESH: Duration = Duration::from_secs(3);

/// A space as it was after one of its transactions.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The space.
    pub row: SpaceRow,
    /// `spaces.version`: the same one means the same space, whoever reads it and wherever.
    pub version: i64,
}

/// A moment, for comparison with what was heard since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

struct Entry {
    /// When something was last heard of the space.
    heard: Ticket,
    known: Option<(Arc<Known>, Instant)>,
}

#[derive(Default)]
struct Memory {
    spaces: HashMap<SpaceName, Entry>,
    /// When everything was forgotten.
    forgotten: Option<Ticket>,
}

/// The memory of spaces.
#[derive(Default)]
pub(super) struct States {
    memory: RwLock<Memory>,
    moment: AtomicU64,
    listening: AtomicBool,
}

impl States {
    /// Taken before a state is read.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.moment.fetch_add(1, Ordering::SeqCst))
    }

    /// The space, if what is remembered may be answered.
    pub fn fresh(&self, name: &SpaceName) -> Option<Arc<Known>> {
        if !self.listening.load(Ordering::SeqCst) {
            return None;
        }
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let (known, read) = memory.spaces.get(name)?.known.as_ref()?;
        (read.elapsed() < FRESH).then(|| Arc::clone(known))
    }

    /// The space as it is remembered, right or not: for who compares its version with the database's.
    pub fn remembered(&self, name: &SpaceName) -> Option<Arc<Known>> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        memory.spaces.get(name)?.known.as_ref().map(|(known, _)| Arc::clone(known))
    }

    /// Remembers a state that was read after `ticket` was taken.
    pub fn read(&self, ticket: Ticket, known: &Arc<Known>) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        if memory.forgotten.is_some_and(|forgotten| forgotten >= ticket) {
            return;
        }
        let name = &known.row.state.name;
        match memory.spaces.get_mut(name) {
            Some(entry) if entry.heard >= ticket => {}
            Some(entry) => entry.known = Some((Arc::clone(known), Instant::now())),
            None => {
                let entry = Entry { heard: ticket, known: Some((Arc::clone(known), Instant::now())) };
                memory.insert(name.clone(), entry, || self.ticket());
            }
        }
    }

    /// Notes a commit of this node's, begun after `ticket` was taken. Where something else was heard of the space
    /// meanwhile, it is not known which came last, and the next one to ask reads it.
    pub fn wrote(&self, ticket: Ticket, known: &Arc<Known>) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        let name = known.row.state.name.clone();
        let alone = memory.forgotten.is_none_or(|forgotten| forgotten < ticket)
            && memory.spaces.get(&name).is_none_or(|entry| entry.heard < ticket);
        let known = alone.then(|| (Arc::clone(known), Instant::now()));
        let entry = Entry { heard: self.ticket(), known };
        memory.insert(name, entry, || self.ticket());
    }

    /// Notes that a space was changed in a way that is not known here.
    pub fn changed(&self, name: &SpaceName) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        let entry = Entry { heard: self.ticket(), known: None };
        memory.insert(name.clone(), entry, || self.ticket());
    }

    /// Forgets everything, also what is being read now.
    pub fn forget(&self) {
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.spaces.clear();
        memory.forgotten = Some(self.ticket());
    }

    /// Whether other nodes' commits are heard from now on. Nothing that was read before is trusted.
    pub fn listen(&self, listening: bool) {
        if listening {
            self.forget();
        }
        self.listening.store(listening, Ordering::SeqCst);
    }

    /// Whether other nodes' commits are heard.
    pub fn listening(&self) -> bool {
        self.listening.load(Ordering::SeqCst)
    }
}

impl Memory {
    fn insert(&mut self, name: SpaceName, entry: Entry, now: impl Fn() -> Ticket) {
        if self.spaces.len() >= REMEMBERED && !self.spaces.contains_key(&name) {
            self.spaces.clear();
            self.forgotten = Some(now());
        }
        self.spaces.insert(name, entry);
    }
}
