//! The ledger: what really happened, kept by the test itself, and the promises that every answer is held against.

use std::collections::{BTreeMap, HashSet};

use super::wire::{
    Answer, Change, Data, Fetched, Key, Manifest, Op, Outcome, Page, Push, Rev, Scope, Told, Version, check_of,
    in_scope,
};

/// A promise that was broken: the sentence that says how.
#[derive(Clone, Debug)]
pub struct Broken(pub String);

pub type Kept<T = ()> = Result<T, Broken>;

#[macro_export]
macro_rules! promise {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err($crate::model::ledger::Broken(format!($($words)*)));
        }
    };
}

#[derive(Default)]
pub struct Ledger {
    /// The present history: the version at index `i` has revision `i + 1`.
    history: Vec<Entry>,
    /// The history at each backup.
    backups: Vec<Vec<Entry>>,
    now: u64,
    /// Every version that ever was, those of lost histories too: version `i + 1` is at index `i`.
    versions: Vec<Entry>,
    /// The versions that were there after each restore.
    restored: Vec<HashSet<Version>>,
    known: BTreeMap<usize, Known>,
}

/// What a replica knows.
#[derive(Default)]
struct Known {
    /// The history that it follows: how many restores had been when the latest answer was made that it took.
    history: usize,
    /// The deletions in that history that it was told of.
    dead: HashSet<Version>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Entry {
    key: Key,
    data: Option<Data>,
    version: Version,
    /// The edit that wrote it; `None` for an unconditional write.
    edit: Option<u32>,
    at: u64,
    purged: bool,
}

/// A record as it must be.
type Truth = BTreeMap<Key, (Rev, Option<Data>)>;

impl Ledger {
    pub fn head(&self) -> Rev {
        self.history.len() as Rev
    }

    /// The latest version of a record, even if its tombstone is purged.
    fn latest(&self, key: Key) -> Option<(Rev, Entry)> {
        let place = self.history.iter().rposition(|entry| entry.key == key)?;
        Some((place as Rev + 1, self.history[place]))
    }

    /// The live records as they stood at `rev`.
    pub fn live_at(&self, rev: Rev, scope: Scope) -> BTreeMap<Key, (Rev, Data)> {
        let records = self.records_at(rev, scope).into_iter();
        records.filter_map(|(key, (rev, data))| data.map(|data| (key, (rev, data)))).collect()
    }

    fn records_at(&self, rev: Rev, scope: Scope) -> Truth {
        let entries = self.history.iter().take(rev as usize).zip(1..);
        let entries = entries.filter(|(entry, _)| in_scope(scope, entry.key));
        entries.map(|(entry, rev)| (entry.key, (rev, entry.data))).collect()
    }

    fn live_check(&self, scope: Scope) -> (u64, u64) {
        check_of(self.live_at(self.head(), scope).into_values().map(|(rev, _)| rev))
    }

    fn version_at(&self, rev: Rev) -> Version {
        self.history[rev as usize - 1].version
    }

    /// The deleted records of a scope whose tombstones lie at or below `upto`.
    fn dead(&self, scope: Scope, upto: Rev) -> Vec<Version> {
        let records = self.records_at(self.head(), scope).into_values();
        let dead = records.filter(|(rev, data)| data.is_none() && *rev <= upto);
        dead.map(|(rev, _)| self.version_at(rev)).collect()
    }

    /// A replica takes an answer. With one of a later history it leaves its own, and what that alone had is nothing that
    /// it knows any more: an epoch is one history (§1), and whoever comes to another forgets what both do not share (§6).
    /// Should a restore bring the lost part back, it has to be told again.
    pub fn tell(&mut self, who: usize, told: &Told) {
        let Known { mut history, mut dead } = self.known.remove(&who).unwrap_or_default();
        dead.retain(|version| self.is_kept(*version, history, told.history));
        history = history.max(told.history);
        dead.extend(&told.dead);
        self.known.insert(who, Known { history, dead });
    }

    /// Whether a version that was known in one history is part of another that is come to.
    fn is_kept(&self, version: Version, from: usize, to: usize) -> bool {
        to <= from || self.restored[to - 1].contains(&version)
    }

    fn told(&self, dead: Vec<Version>) -> Told {
        Told { history: self.restored.len(), dead }
    }

    fn append(&mut self, key: Key, data: Option<Data>, edit: Option<u32>) -> Version {
        let version = self.versions.len() as Version + 1;
        let entry = Entry { key, data, version, edit, at: self.now, purged: false };
        self.versions.push(entry);
        self.history.push(entry);
        version
    }

    /// Every record that a server shows is the one that it has.
    fn stamp(&self, change: &mut Change) -> Kept {
        let known = self.history.get((change.rev as usize).wrapping_sub(1));
        let true_to_history = known.is_some_and(|entry| entry.key == change.key && entry.data == change.data);
        promise!(true_to_history, "the server shows {change:?}, but wrote {known:?}");
        let latest = self.latest(change.key).is_some_and(|(rev, _)| rev == change.rev);
        promise!(latest, "the server shows {change:?}, which is superseded");
        change.version = self.version_at(change.rev);
        Ok(())
    }

    /// An unconditional write was answered with `record`.
    pub fn wrote(&mut self, key: Key, op: Op, record: Option<&Change>) -> Kept {
        let live = self.latest(key).and_then(|(_, entry)| entry.data);
        let wanted = after(op, live);
        match record {
            None => promise!(live.is_none(), "a write of live {key:?} found nothing"),
            Some(record) if record.rev > self.head() => {
                promise!(record.rev == self.head() + 1, "revision {} comes after {}", record.rev, self.head());
                promise!(record.data == wanted, "{op:?} made {record:?}");
                self.append(key, wanted, None);
            }
            Some(record) => promise!(record.data == live && wanted == live, "{op:?} left {record:?}"),
        }
        Ok(())
    }

    /// A push was answered: its applied changes are history now, whether the answer arrives or not.
    pub fn pushed(&mut self, push: &Push, answer: &mut Answer) -> Kept {
        promise!(answer.previous_head == self.head(), "previous_head {} at {}", answer.previous_head, self.head());
        for (change, outcome) in push.proposals.iter().zip(&mut answer.outcomes) {
            let latest = self.latest(change.key);
            let live = latest.and_then(|(_, entry)| entry.data);
            match outcome {
                Outcome::Applied(rev, version) => {
                    promise!(*rev == self.head() + 1, "revision {rev} comes after {}", self.head());
                    if let Some((_, latest)) = latest {
                        self.may_replace(push.client, change.edit, change.basis, latest)?;
                    }
                    *version = self.append(change.key, after(change.op, live), Some(change.edit));
                }
                Outcome::Unchanged(shown) => {
                    promise!(after(change.op, live) == live, "{change:?} is no change to {latest:?}");
                    if let Some((rev, version)) = shown {
                        promise!(latest.is_some_and(|latest| latest.0 == *rev), "{change:?}: {rev} for {latest:?}");
                        *version = self.version_at(*rev);
                    }
                }
                Outcome::Conflict(Some(record)) => self.stamp(record)?,
                Outcome::Conflict(None) => {
                    let nothing = latest.is_none_or(|(_, entry)| entry.purged);
                    promise!(nothing, "conflict with nothing where there is {latest:?}");
                }
                Outcome::Rejected | Outcome::NotApplied => {}
            }
        }
        promise!(answer.head == self.head(), "head {} after {} revisions", answer.head, self.head());
        Ok(())
    }

    /// The promises about writes. `latest` is the record's last version, `basis` the one that the author looked at.
    fn may_replace(&self, author: usize, edit: u32, basis: Option<Version>, latest: Entry) -> Kept {
        let twice = self.history.iter().any(|entry| entry.edit == Some(edit));
        promise!(!twice, "edit {edit} of replica {author} was applied twice, now over {latest:?}");
        let looked_at_it = basis == Some(latest.version);
        if latest.data.is_some() {
            promise!(looked_at_it, "edit {edit} of replica {author} replaces {latest:?}, which it had not seen");
        } else {
            let told = self.known.get(&author).is_some_and(|known| known.dead.contains(&latest.version));
            let knowing = looked_at_it || basis.is_none() && (told || latest.purged);
            promise!(knowing, "edit {edit} of replica {author} makes a deleted record rise: {latest:?}");
        }
        Ok(())
    }

    /// The promise about what users see: within one history a record goes forward only. It is `version` that is shown,
    /// by an answer that speaks of `history`; `before` is what the replica held until now.
    pub fn may_show(&self, who: usize, history: usize, key: Key, version: Version, before: Option<Version>) -> Kept {
        let nothing = Known::default();
        let known = self.known.get(&who).unwrap_or(&nothing);
        let mut newer = known.dead.iter().copied().chain(before).filter(|known| *known > version);
        let newer = newer.find(|newer| {
            self.versions[*newer as usize - 1].key == key && self.is_kept(*newer, known.history, history)
        });
        let newer = newer.map(|newer| self.versions[newer as usize - 1]);
        promise!(newer.is_none(), "replica {who} goes back from {newer:?} to version {version}");
        Ok(())
    }

    /// The deletions that an answer told its author of.
    pub fn told_by(&self, answer: &Answer) -> Told {
        let shown = answer.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Applied(rev, _) | Outcome::Unchanged(Some((rev, _))) => Some(*rev),
            Outcome::Conflict(Some(record)) => Some(record.rev),
            _ => None,
        });
        let dead = shown.filter(|rev| self.history[*rev as usize - 1].data.is_none());
        self.told(dead.map(|rev| self.version_at(rev)).collect())
    }

    pub fn paged(&self, page: &mut Page, scope: Scope) -> Kept {
        promise!(page.head == self.head(), "a page says head {} at {}", page.head, self.head());
        page.changes.iter_mut().try_for_each(|change| self.stamp(change))?;
        let ascending = page.changes.is_sorted_by(|one, next| one.rev < next.rev);
        promise!(ascending, "a page is out of order: {:?}", page.changes);
        let truth = self.live_check(scope);
        promise!(page.check.is_none_or(|check| check == truth), "a page counts {:?} of {truth:?}", page.check);
        promise!(page.check.is_some() != page.has_more, "count and checksum belong to the last page");
        page.told = self.told(self.dead(scope, super::wire::rev_of(&page.cursor)));
        Ok(())
    }

    pub fn listed(&self, manifest: &mut Manifest, scope: Scope) -> Kept {
        let live: Vec<Rev> = self.live_at(self.head(), scope).into_values().map(|(rev, _)| rev).collect();
        promise!(manifest.revs == live.iter().copied().collect(), "manifest {:?} of {live:?}", manifest.revs);
        promise!(manifest.check == check_of(live.into_iter()), "the manifest's checksum is wrong");
        manifest.told = self.told(self.dead(scope, self.head()));
        Ok(())
    }

    /// `asked` are the revisions of a fetch from its first on.
    pub fn fetched(&self, fetched: &mut Fetched, asked: impl Iterator<Item = Rev>, scope: Scope) -> Kept {
        fetched.changes.iter_mut().try_for_each(|change| self.stamp(change))?;
        let live: HashSet<Rev> = self.live_at(self.head(), scope).into_values().map(|(rev, _)| rev).collect();
        let due = asked.filter(|rev| live.contains(rev) && fetched.next.is_none_or(|next| *rev < next));
        let given = fetched.changes.iter().map(|change| change.rev);
        promise!(due.eq(given), "a fetch gives {fetched:?}");
        Ok(())
    }

    pub fn tick(&mut self) {
        self.now += 1;
    }

    /// Old tombstones are gone; what a record's deletion means stays.
    pub fn purged(&mut self, age: u64) {
        let old = |entry: &&mut Entry| entry.data.is_none() && entry.at + age <= self.now;
        self.history.iter_mut().filter(old).for_each(|entry| entry.purged = true);
    }

    pub fn backed_up(&mut self) -> usize {
        self.backups.push(self.history.clone());
        self.backups.len() - 1
    }

    /// How many backups there are.
    pub fn backups(&self) -> usize {
        self.backups.len()
    }

    /// The history is the backup's again. Answers whether any of what was acknowledged is lost.
    pub fn restored(&mut self, backup: usize) -> bool {
        let versions = |history: &[Entry]| history.iter().map(|entry| entry.version).collect::<Vec<_>>();
        let lost = !versions(&self.backups[backup]).starts_with(&versions(&self.history));
        self.history = self.backups[backup].clone();
        self.restored.push(self.history.iter().map(|entry| entry.version).collect());
        lost
    }
}

/// What an operation makes of a record.
fn after(op: Op, live: Option<Data>) -> Option<Data> {
    match op {
        Op::Put(data) => Some(data),
        Op::Patch(patch) => live.map(|data| patch.of(data)),
        Op::Delete => None,
    }
}
