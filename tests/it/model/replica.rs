//! A client that keeps a replica, as PROTOCOL.md tells its author to.
//!
//! What it has of the server (`records`) and what its user did since (`outbox`) are kept apart: the first is what the
//! replica invariant speaks of. Offline edits of one record are one entry. A conflict is won by the server.

use std::collections::{BTreeMap, BTreeSet};

use super::guard::{Guard, Guards};
use super::wire::{Base, Change, Data, Key, Op, Patch, Push, Rev, Scope, Version, in_scope, is_whole};

/// What a client gives as `base_rev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bases {
    /// The revision of the record.
    OwnRevision,
    /// The revision of its cursor: it keeps none with the records.
    CursorRevision,
}

pub struct Replica {
    pub who: usize,
    pub scope: Scope,
    /// The collections that the cursor was earned over.
    pub(super) earned_over: Scope,
    pub bases: Bases,
    pub(super) guards: Guards,
    pub records: BTreeMap<Key, Record>,
    pub cursor: Option<String>,
    pub outbox: BTreeMap<Key, Edit>,
    /// The push that is on its way, or whose answer did not come.
    pub in_flight: Option<(Push, BTreeMap<Key, Edit>)>,
    pub(super) seq: u64,
    /// The cursor of the push in flight was refused by a 410, so that it needs another.
    pub(super) refused_cursor: bool,
    pub repair: Repair,
    /// The records that were fetched, and no answer since has said that the manifest's epoch still was.
    pub(super) unconfirmed: BTreeSet<Key>,
    /// What was learned from pushes while a pull is out.
    pub(super) overlap: Option<Overlap>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// `None` once it is forgotten.
    pub rev: Option<Rev>,
    pub data: Data,
    pub version: Version,
}

/// What the user wants of a record.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    pub seen: Seen,
    pub op: Op,
    pub number: u32,
    pub basis: Option<Version>,
}

/// What the user had before when editing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seen {
    Nothing,
    Revision(Rev),
    /// The same record's change that is in flight: its answer will tell.
    InFlight,
}

/// How far the repair of §6 is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Repair {
    #[default]
    NotNeeded,
    /// Before the manifest is asked for, everything above a revision is to be forgotten; so it is in this epoch.
    Needed(Rev, Option<String>),
    /// These revisions are to be fetched.
    Missing(BTreeSet<Rev>),
}

impl Repair {
    pub fn is_at_rest(&self) -> bool {
        match self {
            Self::NotNeeded => true,
            Self::Needed(..) => false,
            Self::Missing(revs) => revs.is_empty(),
        }
    }
}

#[derive(Default)]
pub(super) struct Overlap {
    /// The newest head that a push was answered with.
    pub head: Rev,
    pub deleted: BTreeMap<Key, Rev>,
    pub epoch: Option<String>,
}

impl Replica {
    pub fn new(who: usize, scope: Scope, bases: Bases, guards: Guards) -> Self {
        Self {
            who,
            scope,
            earned_over: scope,
            bases,
            guards,
            records: BTreeMap::new(),
            cursor: None,
            outbox: BTreeMap::new(),
            in_flight: None,
            seq: 0,
            refused_cursor: false,
            repair: Repair::NotNeeded,
            unconfirmed: BTreeSet::new(),
            overlap: None,
        }
    }

    /// What the user sees: the record with the edits that are not acknowledged.
    fn visible(&self, key: Key) -> Option<Data> {
        let held = self.records.get(&key).map(|record| record.data);
        let flying = self.in_flight.as_ref().and_then(|(_, edits)| edits.get(&key));
        let edits = [flying, self.outbox.get(&key)].into_iter().flatten();
        edits.fold(held, |data, edit| applied(edit.op, data))
    }

    /// The user edits a record, offline. `number` is the edit's own, for the ledger.
    pub fn edit(&mut self, key: Key, op: Op, number: u32) {
        if !in_scope(self.scope, key) || self.visible(key).is_none() && !matches!(op, Op::Put(_)) {
            return;
        }
        let flying = self.in_flight.as_ref().is_some_and(|(_, edits)| edits.contains_key(&key));
        let entry = match (self.outbox.get(&key), self.records.get(&key)) {
            (Some(earlier), _) => Edit { op: consolidated(earlier.op, op), number, ..*earlier },
            (None, _) if flying => Edit { seen: Seen::InFlight, op, number, basis: None },
            // A forgotten revision is like none that the server could know: a conflict.
            (None, Some(record)) => {
                Edit { seen: Seen::Revision(record.rev.unwrap_or(0)), op, number, basis: Some(record.version) }
            }
            (None, None) => Edit { seen: Seen::Nothing, op, number, basis: None },
        };
        match (entry.seen, entry.op) {
            // Made and deleted before anybody heard of it.
            (Seen::Nothing, Op::Delete) => drop(self.outbox.remove(&key)),
            _ => drop(self.outbox.insert(key, entry)),
        }
    }

    /// The user chooses other collections.
    pub fn choose(&mut self, scope: Scope) {
        if self.scope != scope {
            self.scope = scope;
            self.overlap = None;
        }
    }

    /// The collections were chosen anew, and the repair that this takes has not begun.
    pub fn is_between_scopes(&self) -> bool {
        self.cursor.is_some() && self.scope != self.earned_over
    }

    /// The replica holds something and does not know as of when.
    pub fn is_lost(&self) -> bool {
        self.cursor.is_none() && !self.records.is_empty()
    }

    pub fn is_whole(&self) -> bool {
        self.cursor.as_deref().is_some_and(is_whole)
    }

    pub fn has_unsent(&self) -> bool {
        !self.outbox.is_empty() || self.in_flight.is_some()
    }

    /// The push to be sent now, if there is one: first of all the one that had no answer.
    pub fn next_push(&mut self, atomic: bool) -> Option<Push> {
        if matches!(self.repair, Repair::Needed(..)) || self.is_lost() {
            return None;
        }
        if let Some((push, _)) = &mut self.in_flight {
            if self.guards.on(Guard::PresentCursor) || self.refused_cursor {
                self.refused_cursor = false;
                (push.cursor, push.scope) = (self.cursor.clone(), self.scope);
            }
            return Some(push.clone());
        }
        let by_cursor = self.bases == Bases::CursorRevision;
        if self.outbox.is_empty() || by_cursor && self.cursor.is_some() && !self.is_whole() {
            return None;
        }
        self.seq += 1;
        let edits = std::mem::take(&mut self.outbox);
        let proposals = edits.iter().map(|(key, edit)| self.proposal(*key, edit)).collect();
        let cursor = self.cursor.clone();
        let push = Push { proposals, cursor, scope: self.scope, client: self.who, seq: self.seq, atomic };
        Some(self.in_flight.insert((push, edits)).0.clone())
    }

    fn proposal(&self, key: Key, edit: &Edit) -> super::wire::Proposal {
        let (mut base, mut basis) = match edit.seen {
            Seen::Revision(rev) => (Base::Seen(rev), edit.basis),
            Seen::Nothing | Seen::InFlight => (Base::Absent, edit.basis),
        };
        if let (Bases::CursorRevision, Base::Seen(_), Some(cursor)) = (self.bases, base, &self.cursor) {
            base = Base::Seen(super::wire::rev_of(cursor));
            basis = self.records.get(&key).map(|record| record.version).or(basis);
        }
        super::wire::Proposal { key, base, op: edit.op, edit: edit.number, basis }
    }

    /// Takes a record as the server has it, unless a newer one is held.
    pub(super) fn take(&mut self, change: &Change) {
        let held = self.records.get(&change.key).and_then(|record| record.rev);
        let gone = self.overlap.as_ref().and_then(|overlap| overlap.deleted.get(&change.key)).copied();
        if self.guards.on(Guard::LowerRevision) && held > Some(change.rev) {
            return;
        }
        if self.guards.on(Guard::OwnDeletions) && gone > Some(change.rev) {
            return;
        }
        // Without revisions of the records, an edit of what has changed meanwhile cannot be told: the server wins now.
        if self.bases == Bases::CursorRevision && held < Some(change.rev) {
            self.outbox.remove(&change.key);
        }
        if !in_scope(self.scope, change.key) {
            return;
        }
        match change.data {
            Some(data) => self.put(change.key, change.rev, data, change.version),
            None => drop(self.records.remove(&change.key)),
        }
    }

    pub(super) fn put(&mut self, key: Key, rev: Rev, data: Data, version: Version) {
        if in_scope(self.scope, key) {
            self.records.insert(key, Record { rev: Some(rev), data, version });
        }
    }
}

/// What an operation makes of what is visible.
pub(super) fn applied(op: Op, data: Option<Data>) -> Option<Data> {
    match op {
        Op::Put(data) => Some(data),
        Op::Patch(patch) => data.map(|data| patch.of(data)),
        Op::Delete => None,
    }
}

/// Two edits of one record as one.
pub(super) fn consolidated(earlier: Op, later: Op) -> Op {
    match (earlier, later) {
        (Op::Put(data), Op::Patch(patch)) => Op::Put(patch.of(data)),
        (Op::Patch(one), Op::Patch(two)) => {
            Op::Patch(Patch { title: two.title.or(one.title), done: two.done.or(one.done) })
        }
        (_, later) => later,
    }
}
