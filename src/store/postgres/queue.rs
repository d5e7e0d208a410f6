//! Writes that wait, by space, and which of them share the next transaction.
//!
//! The writes of a space keep their order, and one transaction of this node's at a time is about a space. Small writes to
//! several spaces share transactions, since a commit costs the same for one as for many; such a group never waits for a
//! lock. What is large, or found its space locked or not made yet, goes alone and waits.

use std::collections::{HashMap, VecDeque};

use super::group::{Group, Locking};
use super::task::Task;
use crate::domain::SpaceName;

/// Writes in a group, at the most.
const GROUP_WRITES: usize = 512;
/// Records that a group of several spaces is about, at the most.
const SHARED_RECORDS: usize = 500;
/// Records that a group of one space is about, about.
const ALONE_RECORDS: usize = 10_000;
/// Bytes that a group writes, about: they are held several times over while it is carried out.
const GROUP_BYTES: usize = 16 << 20;
/// A write about more records than this goes alone, so that small ones need not wait for it.
const LARGE: usize = 100;

/// The queue.
pub(super) struct Queue {
    spaces: HashMap<SpaceName, Waiting>,
    /// Spaces whose turn is next, in a group with others.
    ready: VecDeque<SpaceName>,
    /// Spaces whose turn is next, alone.
    alone: VecDeque<SpaceName>,
    waiting: usize,
    limit: usize,
    /// Transactions under way, shared and alone, and how many there may be.
    running: Lanes,
    lanes: Lanes,
    closed: bool,
}

/// A number of transactions of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lanes {
    pub shared: usize,
    pub alone: usize,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Task>,
    /// Whether a transaction about this space is under way.
    running: bool,
}

/// Why a write was not taken.
pub(super) enum Refused {
    /// Too many wait.
    Full,
    /// The store is being closed.
    Closed,
}

impl Queue {
    /// An empty queue for `limit` writes.
    pub fn new(limit: usize, lanes: Lanes) -> Self {
        Self {
            spaces: HashMap::new(),
            ready: VecDeque::new(),
            alone: VecDeque::new(),
            waiting: 0,
            limit: limit.max(1),
            running: Lanes::default(),
            lanes,
            closed: false,
        }
    }

    /// Takes a write.
    pub fn push(&mut self, task: Task) -> Result<(), Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        if self.waiting >= self.limit {
            return Err(Refused::Full);
        }
        self.waiting += 1;
        let name = task.space().clone();
        let waiting = self.spaces.entry(name.clone()).or_default();
        waiting.tasks.push_back(task);
        if waiting.tasks.len() == 1 && !waiting.running {
            self.is_next(name);
        }
        Ok(())
    }

    /// The next group, if there is one and a transaction may begin.
    pub fn next(&mut self) -> Option<(Group, Locking)> {
        if self.running.alone < self.lanes.alone
            && let Some(name) = self.alone.pop_front()
        {
            self.running.alone += 1;
            let tasks = self.take(&name, GROUP_WRITES, ALONE_RECORDS, usize::MAX);
            return Some((vec![(name, tasks)], Locking::Wait));
        }
        if self.running.shared >= self.lanes.shared || self.ready.is_empty() {
            return None;
        }
        let mut group = Group::new();
        let (mut writes, mut records, mut bytes) = (0, 0, 0);
        while writes < GROUP_WRITES
            && records < SHARED_RECORDS
            && bytes < GROUP_BYTES
            && let Some(name) = self.ready.pop_front()
        {
            let tasks = self.take(&name, GROUP_WRITES - writes, SHARED_RECORDS - records, LARGE);
            writes += tasks.len();
            records += tasks.iter().map(Task::size).sum::<usize>();
            bytes += tasks.iter().map(Task::bytes).sum::<usize>();
            group.push((name, tasks));
        }
        self.running.shared += 1;
        Some((group, Locking::Skip))
    }

    /// Takes the first writes of a space, at least one, and marks it as running.
    fn take(&mut self, name: &SpaceName, writes: usize, records: usize, large: usize) -> Vec<Task> {
        let Some(waiting) = self.spaces.get_mut(name) else { return Vec::new() };
        waiting.running = true;
        let (mut taken, mut size, mut bytes) = (Vec::new(), 0, 0);
        while let Some(next) = waiting.tasks.front() {
            let fits = taken.len() < writes
                && size + next.size() <= records
                && bytes + next.bytes() <= GROUP_BYTES
                && next.size() <= large;
            if !taken.is_empty() && !fits {
                break;
            }
            size += next.size();
            bytes += next.bytes();
            taken.extend(waiting.tasks.pop_front());
        }
        self.waiting -= taken.len();
        taken
    }

    /// A transaction has ended. `left` are those of its spaces that did not have their turn: they go alone.
    pub fn ended(&mut self, locking: Locking, spaces: Vec<SpaceName>, left: Group) {
        match locking {
            Locking::Wait => self.running.alone -= 1,
            Locking::Skip => self.running.shared -= 1,
        }
        for name in spaces {
            let Some(waiting) = self.spaces.get_mut(&name) else { continue };
            waiting.running = false;
            if waiting.tasks.is_empty() {
                self.spaces.remove(&name);
            } else {
                self.is_next(name);
            }
        }
        for (name, tasks) in left {
            let Some(waiting) = self.spaces.get_mut(&name) else { continue };
            waiting.running = false;
            self.waiting += tasks.len();
            for task in tasks.into_iter().rev() {
                waiting.tasks.push_front(task);
            }
            self.alone.push_back(name);
        }
    }

    fn is_next(&mut self, name: SpaceName) {
        let large =
            self.spaces.get(&name).and_then(|waiting| waiting.tasks.front()).is_some_and(|task| task.size() > LARGE);
        if large {
            self.alone.push_back(name);
        } else {
            self.ready.push_back(name);
        }
    }

    /// How many writes wait, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting, self.limit)
    }

    /// Turns away what comes from now on; what is there has its turn.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.waiting == 0 && self.running.shared == 0 && self.running.alone == 0
    }
}
