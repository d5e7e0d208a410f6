//! What a replica makes of the server's answers: the client's half of §3, §4 and §6.

use super::guard::Guard;
use super::replica::{Edit, Overlap, Record, Repair, Replica, Seen, applied, consolidated};
use super::wire::{
    Answer, Base, Change, Fetched, Key, Manifest, Op, Outcome, Page, Proposal, Resync, Rev, Version, epoch_of,
};

impl Replica {
    /// A pull goes out, and its answer may take its time.
    pub fn asked(&mut self) {
        self.overlap = Some(Overlap::default());
    }

    /// Another request has overtaken the one that is out.
    pub fn overtake(&mut self) {
        self.overlap = None;
    }

    /// The page that was asked for, unless something has overtaken it. Answers whether it was taken.
    pub fn take_late_page(&mut self, page: &Page) -> bool {
        let Some(overlap) = &self.overlap else { return false };
        let other_epoch = overlap.epoch.as_deref().is_some_and(|epoch| epoch != epoch_of(&page.cursor));
        let taken = !(other_epoch && self.guards.on(Guard::OtherEpochPage));
        if taken {
            self.take_page(page);
        }
        self.overlap = None;
        taken
    }

    pub fn take_page(&mut self, page: &Page) {
        self.unconfirmed.clear();
        page.changes.iter().for_each(|change| self.take(change));
        let older = self.overlap.as_ref().is_some_and(|overlap| page.head < overlap.head);
        if !(older && self.guards.on(Guard::OlderPage)) {
            self.cursor = Some(page.cursor.clone());
            self.earned_over = self.scope;
        }
    }

    pub fn take_answer(&mut self, answer: &Answer) {
        let Some((push, mut edits)) = self.in_flight.take() else { return };
        for (proposal, outcome) in push.proposals.iter().zip(&answer.outcomes) {
            let Some(edit) = edits.remove(&proposal.key) else { continue };
            if answer.refused {
                self.take_refusal(proposal.key, edit, outcome);
            } else {
                self.take_outcome(proposal.key, edit, outcome);
            }
        }
        if !answer.refused {
            self.note_overlap(&push.proposals.iter().map(|proposal| proposal.key).collect::<Vec<_>>(), answer);
            if push.cursor.is_some() {
                self.unconfirmed.clear();
                self.cursor = Some(answer.cursor.clone());
            }
        }
    }

    fn take_outcome(&mut self, key: Key, edit: Edit, outcome: &Outcome) {
        match outcome {
            Outcome::Applied(rev, version) => {
                self.take_own(key, edit, *rev, *version);
                self.rebase(key, Seen::Revision(*rev), Some(*version));
            }
            Outcome::Unchanged(Some((rev, version))) => {
                let guarded = matches!(edit.op, Op::Patch(_)) && self.guards.on(Guard::UnchangedPatch);
                if guarded {
                    // The other fields may be anybody's: the pull brings them.
                    self.rebase(key, edit.seen, edit.basis);
                } else {
                    self.take_own(key, edit, *rev, *version);
                    self.rebase(key, Seen::Revision(*rev), Some(*version));
                }
            }
            Outcome::Unchanged(None) => {
                self.records.remove(&key);
                self.rebase(key, Seen::Nothing, None);
            }
            Outcome::Conflict(record) => {
                self.lose(key);
                match record {
                    Some(record) => self.take(record),
                    None => drop(self.records.remove(&key)),
                }
            }
            Outcome::Rejected | Outcome::NotApplied => self.lose(key),
        }
    }

    /// The server has the record as the edit made it, at `rev`.
    fn take_own(&mut self, key: Key, edit: Edit, rev: Rev, version: Version) {
        if self.records.get(&key).is_some_and(|record| record.rev > Some(rev)) {
            return;
        }
        match applied(edit.op, self.records.get(&key).map(|record| record.data)) {
            Some(data) => self.put(key, rev, data, version),
            None => drop(self.records.remove(&key)),
        }
    }

    /// A later edit of the record that was in flight knows now what it is based on.
    fn rebase(&mut self, key: Key, seen: Seen, basis: Option<Version>) {
        if let Some(edit) = self.outbox.get_mut(&key).filter(|edit| edit.seen == Seen::InFlight) {
            (edit.seen, edit.basis) = (seen, basis);
        }
        let unheard = |edit: &Edit| edit.seen == Seen::Nothing && edit.op == Op::Delete;
        if self.outbox.get(&key).is_some_and(unheard) {
            self.outbox.remove(&key);
        }
    }

    /// A later edit goes the way of the one in flight that it was made upon.
    fn lose(&mut self, key: Key) {
        if self.outbox.get(&key).is_some_and(|edit| edit.seen == Seen::InFlight) {
            self.outbox.remove(&key);
        }
    }

    /// A change of an atomic push that was refused as a whole: what did not stand against it waits for the next one.
    fn take_refusal(&mut self, key: Key, edit: Edit, outcome: &Outcome) {
        match outcome {
            Outcome::Conflict(record) => {
                self.lose(key);
                if let (Some(record), false) = (record, self.guards.on(Guard::RefusedNotTaken)) {
                    self.take(record);
                }
            }
            Outcome::Rejected => self.lose(key),
            Outcome::Applied(..) | Outcome::Unchanged(_) | Outcome::NotApplied => {
                let later = self.outbox.get(&key).filter(|later| later.seen == Seen::InFlight);
                let op = later.map_or(edit.op, |later| consolidated(edit.op, later.op));
                if edit.seen == Seen::Nothing && op == Op::Delete {
                    self.outbox.remove(&key);
                    return;
                }
                self.outbox.insert(key, Edit { op, number: later.map_or(edit.number, |later| later.number), ..edit });
            }
        }
    }

    /// While a pull is out: what it cannot know of.
    fn note_overlap(&mut self, keys: &[Key], answer: &Answer) {
        let Some(overlap) = &mut self.overlap else { return };
        overlap.epoch = Some(epoch_of(&answer.cursor).into());
        overlap.head = overlap.head.max(answer.head);
        for (key, outcome) in keys.iter().zip(&answer.outcomes) {
            let rev = match outcome {
                Outcome::Applied(rev, _)
                | Outcome::Unchanged(Some((rev, _)))
                | Outcome::Conflict(Some(Change { rev, .. })) => *rev,
                _ => continue,
            };
            if !self.records.contains_key(key) {
                overlap.deleted.insert(*key, rev);
            }
        }
    }

    /// A 410, of a pull or a push.
    pub fn take_resync(&mut self, resync: &Resync) {
        let is_broken = matches!(resync.reason, "epoch" | "ahead");
        let shared = if is_broken { resync.shared_rev } else { Rev::MAX };
        if !is_broken {
            // The other reasons come after: the cursor's epoch is the present one.
            self.unconfirmed.clear();
        }
        self.repair = Repair::Needed(shared, Some(resync.epoch.clone()));
        self.overlap = None;
        self.refused_cursor = true;
        if !self.guards.on(Guard::SameSeq) {
            // The wrong way: what was in flight is an edit like any other again.
            let flying = self.in_flight.take().map(|(_, edits)| edits).unwrap_or_default();
            for (key, edit) in flying {
                self.rebase(key, edit.seen, edit.basis);
                self.outbox.entry(key).or_insert(edit);
            }
        }
    }

    /// The manifest: steps 1 to 3 of §6. Answers whether it was taken.
    pub fn take_manifest(&mut self, manifest: &Manifest, shared: Rev, epoch: Option<&str>) -> bool {
        let other_epoch = epoch.is_some_and(|epoch| epoch != epoch_of(&manifest.cursor));
        if other_epoch && self.guards.on(Guard::ManifestEpoch) {
            // History broke once more since the 410: its `shared_rev` is not for this manifest. Pull again, for another.
            self.repair = Repair::NotNeeded;
            return false;
        }
        if self.guards.on(Guard::ForgetAboveShared) {
            let above = |record: &&mut Record| record.rev > Some(shared);
            self.records.values_mut().filter(above).for_each(|record| record.rev = None);
            self.drop_edits(|_, edit| matches!(edit.seen, Seen::Revision(rev) if rev > shared));
            self.drop_based_above(shared);
        }
        let unconfirmed = std::mem::take(&mut self.unconfirmed);
        if self.guards.on(Guard::FetchedBeforeBreak) {
            let of_no_history = self.records.iter_mut().filter(|(key, _)| unconfirmed.contains(key));
            of_no_history.for_each(|(_, record)| record.rev = None);
        }
        let listed = |record: &Record| record.rev.is_some_and(|rev| manifest.revs.contains(&rev));
        self.records.retain(|_, record| listed(record));
        if self.guards.on(Guard::DropStaleEdits) {
            self.drop_edits(|here, edit| match edit.seen {
                Seen::Revision(rev) => here.and_then(|record| record.rev) != Some(rev),
                Seen::Nothing | Seen::InFlight => false,
            });
        }
        let held = self.records.values().filter_map(|record| record.rev).collect();
        self.repair = Repair::Missing(&manifest.revs - &held);
        self.cursor = Some(manifest.cursor.clone());
        self.earned_over = self.scope;
        true
    }

    /// A push in flight that gave its cursor's revision as base gave that of another history.
    fn drop_based_above(&mut self, shared: Rev) {
        let Some((push, _)) = &self.in_flight else { return };
        let above = |proposal: &&Proposal| matches!(proposal.base, Base::Seen(base) if base > shared);
        let lost: Vec<Key> = push.proposals.iter().filter(above).map(|proposal| proposal.key).collect();
        self.drop_flying(&lost);
    }

    fn drop_flying(&mut self, lost: &[Key]) {
        let Some((push, edits)) = &mut self.in_flight else { return };
        push.proposals.retain(|proposal| !lost.contains(&proposal.key));
        edits.retain(|key, _| !lost.contains(key));
        if edits.is_empty() {
            self.in_flight = None;
        }
        for key in lost {
            self.lose(*key);
        }
    }

    /// Drops the edits that have become conflicts, those in flight too, and with these what was made upon them.
    fn drop_edits(&mut self, is_conflict: impl Fn(Option<&Record>, &Edit) -> bool) {
        let records = &self.records;
        let flying = self.in_flight.iter().flat_map(|(_, edits)| edits);
        let lost = flying.filter(|(key, edit)| is_conflict(records.get(key), edit));
        let lost: Vec<Key> = lost.map(|(key, _)| *key).collect();
        self.outbox.retain(|key, edit| !is_conflict(records.get(key), edit));
        self.drop_flying(&lost);
    }

    pub fn take_fetched(&mut self, fetched: &Fetched) {
        fetched.changes.iter().for_each(|change| self.take(change));
        self.unconfirmed.extend(fetched.changes.iter().map(|change| change.key));
        self.repair = match (std::mem::take(&mut self.repair), fetched.next) {
            (Repair::Missing(mut missing), Some(next)) => Repair::Missing(missing.split_off(&next)),
            _ => Repair::NotNeeded,
        };
    }
}
