//! The small model: a server in memory, written from PROTOCOL.md alone and as plainly as it goes.

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::{Cursor, mark, written};
use super::guard::{Guard, Guards};
use super::wire::{
    Answer, Base, Change, Data, Fetched, Key, Manifest, Op, Outcome, Page, Proposal, Push, Resync, Rev, Scope, Server,
    Since, TOO_LARGE, Told, check_of, in_scope,
};

#[derive(Clone, Default)]
pub struct Model {
    guards: Guards,
    space: Space,
    backups: Vec<Space>,
    clock: u64,
    epochs_made: u32,
    forgets_epochs: bool,
}

/// All that a backup holds.
#[derive(Clone, Default)]
struct Space {
    records: BTreeMap<Key, Row>,
    head: Rev,
    /// Per collection, the newest revision ever written and the newest ever purged.
    heads: BTreeMap<&'static str, Rev>,
    horizons: BTreeMap<&'static str, Rev>,
    /// Each epoch with the head at which it was opened.
    epochs: Vec<(String, Rev)>,
    seqs: BTreeMap<usize, u64>,
}

#[derive(Clone)]
struct Row {
    rev: Rev,
    at: u64,
    data: Option<Data>,
}

/// The highest of what is kept for each collection of a scope.
fn highest(of: &BTreeMap<&'static str, Rev>, scope: Scope) -> Rev {
    of.iter().filter(|(name, _)| scope.is_none_or(|s| s.contains(name))).map(|(_, rev)| *rev).max().unwrap_or(0)
}

impl Model {
    pub fn new(guards: Guards) -> Self {
        let mut model = Self { guards, ..Self::default() };
        model.open_epoch();
        model
    }

    /// A server that has no memory but its database: a restore forgets the epochs that were opened since the backup.
    pub fn that_forgets_epochs(guards: Guards) -> Self {
        Self { forgets_epochs: true, ..Self::new(guards) }
    }

    fn change(&self, key: Key) -> Option<Change> {
        self.space.records.get(&key).map(|row| Change { key, rev: row.rev, data: row.data, version: 0 })
    }

    /// The records of a scope in order of revision.
    fn by_rev(&self, scope: Scope) -> impl Iterator<Item = Change> {
        let keys = self.space.records.keys().filter(|key| in_scope(scope, **key));
        let mut changes: Vec<Change> = keys.filter_map(|key| self.change(*key)).collect();
        changes.sort_by_key(|change| change.rev);
        changes.into_iter()
    }

    fn live_check(&self, scope: Scope) -> (u64, u64) {
        check_of(self.by_rev(scope).filter(|change| change.data.is_some()).map(|change| change.rev))
    }

    fn shared_rev(&self, epoch: &str) -> Rev {
        let place = self.space.epochs.iter().position(|(name, _)| name == epoch);
        place.map_or(0, |place| self.space.epochs[place + 1..].iter().map(|(_, at)| *at).min().unwrap_or(Rev::MAX))
    }

    fn resync(&self, reason: &'static str, scope: Scope, shared_rev: Rev) -> Resync {
        let epoch = self.space.epochs.last().unwrap().0.clone();
        Resync { reason, epoch, head: self.space.head, horizon: highest(&self.space.horizons, scope), shared_rev }
    }

    /// `epoch` and `ahead`.
    fn check_history(&mut self, cursor: &Cursor, scope: Scope) -> Result<(), Resync> {
        if cursor.epoch != self.epoch() {
            let shared = self.shared_rev(&cursor.epoch);
            let under_way = cursor.under_way && self.guards.on(Guard::UnderWayMark);
            if cursor.rev > shared || under_way {
                return Err(self.resync("epoch", scope, shared));
            }
        }
        let furthest = cursor.rev.max(cursor.start.unwrap_or(0));
        if furthest > self.space.head { Err(self.resync("ahead", scope, 0)) } else { Ok(()) }
    }

    fn check_scope(&self, cursor: &Cursor, scope: Scope) -> Result<(), Resync> {
        if cursor.scope == mark(scope) { Ok(()) } else { Err(self.resync("scope", scope, cursor.rev)) }
    }

    fn put(&mut self, key: Key, data: Option<Data>) -> Rev {
        self.space.head += 1;
        let rev = self.space.head;
        self.space.heads.insert(key.collection, rev);
        self.space.records.insert(key, Row { rev, at: self.clock, data });
        rev
    }

    /// The table of §4; `knows` is the revision of the push's cursor where it counts, `head` the one before the push.
    fn decide(&mut self, change: &Proposal, knows: Option<Rev>, head: Rev) -> Outcome {
        let here = self.change(change.key);
        let seen = |rev| matches!(change.base, Base::Seen(base) if rev <= base && base <= head);
        let absent = change.base == Base::Absent;
        let aware = |rev| !self.guards.on(Guard::TombstoneKnown) || knows.is_some_and(|cursor| rev <= cursor);
        let live = here.as_ref().and_then(|here| here.data);
        let same = here.as_ref().map(|here| (here.rev, 0));
        let wanted = match (change.op, live) {
            (Op::Delete, None) => return Outcome::Unchanged(same),
            (Op::Delete, Some(_)) => None,
            (Op::Patch(_), None) => return Outcome::Conflict(here),
            (Op::Patch(patch), Some(data)) => Some(patch.of(data)),
            (Op::Put(data), _) => Some(data),
        };
        let may = match &here {
            Some(_) if wanted.is_some() && wanted == live => return Outcome::Unchanged(same),
            Some(here) if live.is_some() => seen(here.rev),
            Some(tombstone) => seen(tombstone.rev) || absent && aware(tombstone.rev),
            None => absent || !self.guards.on(Guard::PurgedBase),
        };
        match wanted {
            _ if !may => Outcome::Conflict(here),
            Some(data) if data.title >= TOO_LARGE => Outcome::Rejected,
            wanted => Outcome::Applied(self.put(change.key, wanted), 0),
        }
    }

    /// What is answered when the push was applied before.
    fn decide_again(&self, change: &Proposal) -> Outcome {
        let here = self.change(change.key);
        let live = here.as_ref().and_then(|here| here.data);
        let done = match change.op {
            Op::Put(data) => live == Some(data),
            Op::Patch(patch) => live.is_some_and(|data| patch.of(data) == data),
            Op::Delete => live.is_none(),
        };
        if done { Outcome::Unchanged(here.map(|here| (here.rev, 0))) } else { Outcome::Conflict(here) }
    }

    fn open_epoch_at(&mut self, rev: Rev) {
        self.epochs_made += 1;
        self.space.epochs.push((format!("m{}", self.epochs_made), rev));
    }

    fn renewed(&self, cursor: Option<&Cursor>, scope: Scope, foreign: Rev) -> String {
        let epoch = &self.space.epochs.last().unwrap().0;
        let whole = |rev| written(epoch, rev, "", scope);
        let Some(cursor) = cursor else { return whole(self.space.head) };
        let unbroken = foreign <= cursor.rev || !self.guards.on(Guard::ForeignBetween);
        match cursor.start {
            Some(start) => written(epoch, cursor.rev, &format!(".{start}"), scope),
            None if unbroken && !cursor.under_way => whole(self.space.head),
            None if self.guards.on(Guard::OwnAhead) => written(epoch, cursor.rev, ".p", scope),
            None => whole(cursor.rev),
        }
    }
}

impl Server for Model {
    fn pull(&mut self, since: Since, scope: Scope, limit: usize) -> Result<Page, Resync> {
        let (after, start) = match since {
            Since::Nothing => (0, Some(self.space.head)),
            Since::Cursor(text) => {
                let cursor = Cursor::read(text);
                self.check_history(&cursor, scope)?;
                self.check_scope(&cursor, scope)?;
                let edge = cursor.start.unwrap_or(cursor.rev);
                if edge < highest(&self.space.horizons, scope) && self.guards.on(Guard::HorizonCheck) {
                    return Err(self.resync("purged", scope, cursor.rev));
                }
                (cursor.rev, cursor.start)
            }
        };
        let left_out = if self.guards.on(Guard::InitialStart) { start } else { start.map(|_| Rev::MAX) };
        let wanted = |change: &Change| change.rev > after && (change.data.is_some() || Some(change.rev) > left_out);
        let mut changes: Vec<Change> = self.by_rev(scope).filter(wanted).collect();
        let has_more = changes.len() > limit;
        changes.truncate(limit);
        let epoch = self.epoch();
        let cursor = match (changes.last(), start) {
            (Some(last), Some(start)) if has_more => written(&epoch, last.rev, &format!(".{start}"), scope),
            (Some(last), None) if has_more => written(&epoch, last.rev, ".p", scope),
            _ => written(&epoch, self.space.head, "", scope),
        };
        let check = (!has_more).then(|| self.live_check(scope));
        let horizon = highest(&self.space.horizons, scope);
        Ok(Page { changes, cursor, has_more, head: self.space.head, horizon, check, told: Told::default() })
    }

    fn push(&mut self, push: &Push) -> Result<Answer, Resync> {
        let cursor = push.cursor.as_deref().map(Cursor::read);
        if let Some(cursor) = &cursor {
            if self.guards.on(Guard::PushCursor) {
                self.check_history(cursor, push.scope)?;
            }
            self.check_scope(cursor, push.scope)?;
        }
        let previous_head = self.space.head;
        let foreign = highest(&self.space.heads, push.scope);
        let again = self.space.seqs.get(&push.client).is_some_and(|seq| push.seq <= *seq);
        let duplicate = again && self.guards.on(Guard::PushSeq);
        let before = self.space.clone();
        let mut outcomes = Vec::new();
        for change in &push.proposals {
            let knows = cursor.as_ref().filter(|_| in_scope(push.scope, change.key)).map(|cursor| cursor.rev);
            outcomes.push(if duplicate {
                self.decide_again(change)
            } else {
                self.decide(change, knows, previous_head)
            });
        }
        let stands_against = |outcome: &Outcome| matches!(outcome, Outcome::Conflict(_) | Outcome::Rejected);
        // One that was applied before has nothing left to refuse.
        let refused = push.atomic && !duplicate && outcomes.iter().any(stands_against);
        if refused {
            self.space = before;
            let applied = outcomes.iter_mut().filter(|outcome| matches!(outcome, Outcome::Applied(..)));
            applied.for_each(|outcome| *outcome = Outcome::NotApplied);
        } else if !duplicate {
            self.space.seqs.insert(push.client, push.seq);
        }
        let cursor = self.renewed(cursor.as_ref(), push.scope, foreign);
        Ok(Answer { outcomes, previous_head, head: self.space.head, cursor, duplicate, refused })
    }

    fn manifest(&mut self, scope: Scope) -> Manifest {
        let revs = self.by_rev(scope).filter(|change| change.data.is_some()).map(|change| change.rev).collect();
        let cursor = written(&self.epoch(), self.space.head, ".p", scope);
        let (head, horizon) = (self.space.head, highest(&self.space.horizons, scope));
        Manifest { cursor, head, horizon, revs, check: self.live_check(scope), told: Told::default() }
    }

    fn fetch(&mut self, revs: &BTreeSet<Rev>, scope: Scope, from: Rev, limit: usize) -> Fetched {
        let asked = |change: &Change| change.data.is_some() && change.rev >= from && revs.contains(&change.rev);
        let mut changes: Vec<Change> = self.by_rev(scope).filter(asked).collect();
        let next = changes.get(limit).map(|change| change.rev);
        changes.truncate(limit);
        Fetched { changes, next }
    }

    fn write(&mut self, key: Key, op: Op) -> Option<Change> {
        let live = self.space.records.get(&key).and_then(|row| row.data);
        let wanted = match (op, live) {
            (Op::Put(data), _) => Some(data),
            (Op::Patch(patch), Some(data)) => Some(patch.of(data)),
            (Op::Delete, Some(_)) => None,
            (Op::Patch(_) | Op::Delete, None) => return None,
        };
        if wanted.is_none() || wanted != live {
            self.put(key, wanted);
        }
        self.change(key)
    }

    fn purge(&mut self, age: u64) {
        let old = |row: &Row| row.data.is_none() && row.at + age <= self.clock;
        let gone = self.space.records.iter().filter(|(_, row)| old(row));
        let gone: Vec<(Key, Rev)> = gone.map(|(key, row)| (*key, row.rev)).collect();
        for (key, rev) in gone {
            self.space.records.remove(&key);
            let horizon = self.space.horizons.entry(key.collection).or_default();
            *horizon = rev.max(*horizon);
        }
    }

    fn restart(&mut self) {}

    fn back_up(&mut self) {
        self.backups.push(self.space.clone());
    }

    fn restore(&mut self, backup: usize, _plainly: bool) {
        let now = std::mem::replace(&mut self.space, self.backups[backup].clone());
        if self.forgets_epochs {
            return self.open_epoch();
        }
        // The server remembers the epochs that were opened since the backup, and what they can share with it at most.
        let since = now.epochs[self.space.epochs.len()..].iter();
        let shared = since.map(|(_, at)| *at).fold(self.space.head, Rev::min);
        self.space.epochs = now.epochs;
        self.open_epoch_at(shared);
    }

    fn open_epoch(&mut self) {
        self.open_epoch_at(self.space.head);
    }

    fn epoch(&mut self) -> String {
        self.space.epochs.last().unwrap().0.clone()
    }

    fn tick(&mut self) {
        self.clock += 1;
    }
}
