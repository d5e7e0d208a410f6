//! The real server: a store in a home of its own, closed and opened, copied and put back as an operator would.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::value::RawValue;
use strandline::domain::pull::{PullRequest, Pulled};
use strandline::domain::purge::PurgeRule;
use strandline::domain::push::{self, PushRequest, Pushed};
use strandline::domain::record::{self, RecordWrite, Written};
use strandline::domain::repair::{FetchRequest, ManifestRequest};
use strandline::domain::{self, Checksum, ClientName, Clock, Collections, Document, ManualClock, SpaceName, State};
use strandline::store::{self, PolicyChange, Store, StoreOptions};
use tokio::runtime::Runtime;

use super::wire::{
    Answer, Base, Change, Data, Fetched, Key, MAX_RECORD_BYTES, Manifest, Op, Outcome, Page, Push, Resync, Rev, Scope,
    Server, Since, Told,
};
use crate::support::{Backup, Home};

/// Every store's threads block where they must, so that one runtime serves all.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
const BEGINNING: domain::Timestamp = domain::Timestamp::from_micros(1_795_377_600_000_000);
const NO_LIMIT: usize = 1 << 20;
/// So few that a purge takes several steps.
const PURGED_AT_ONCE: usize = 2;

pub struct Real {
    /// Before its home goes.
    store: Option<Arc<dyn Store>>,
    home: Home,
    clock: Arc<ManualClock>,
    backups: Vec<Copies>,
}

/// A backup made in every way that there is.
struct Copies {
    plain: Backup,
    by_the_product: Option<Backup>,
}

impl Real {
    pub fn new() -> Self {
        let clock = Arc::new(ManualClock::new(BEGINNING));
        let mut real = Self { store: None, home: Home::quick(), clock, backups: Vec::new() };
        real.open();
        let keep = PolicyChange { retention: Some(domain::Retention::Forever), ..PolicyChange::default() };
        RUNTIME.block_on(real.store().configure(space(), keep)).unwrap();
        real
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    fn open(&mut self) {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let options = StoreOptions { clock, readers: 1, ..StoreOptions::default() };
        self.store = Some(RUNTIME.block_on(store::open(&self.home.url(), options)).unwrap());
    }

    fn close(&mut self) {
        let store = self.store.take().unwrap();
        RUNTIME.block_on(store.close());
        assert_eq!(Arc::strong_count(&store), 1, "a closed store is still in use");
    }
}

fn space() -> SpaceName {
    SpaceName::new("model").unwrap()
}

fn collections(scope: Scope) -> Option<Collections> {
    scope.map(|names| Collections::parse(&names.join(",")).unwrap())
}

fn rev(rev: Rev) -> domain::Rev {
    domain::Rev::new(rev).unwrap()
}

fn json(value: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

fn op_of(op: Op) -> push::Op {
    match op {
        Op::Put(data) => push::Op::Put(Document::parse(&json(&data)).unwrap()),
        Op::Patch(patch) => push::Op::Patch(domain::Patch::parse(&json(&patch)).unwrap()),
        Op::Delete => push::Op::Delete,
    }
}

fn names(key: Key) -> (domain::CollectionName, domain::RecordId) {
    (key.collection.parse().unwrap(), domain::RecordId::new(key.id.to_string()).unwrap())
}

fn change_of(change: &domain::Change) -> Change {
    let collections = ["lists", "notes", "todos"];
    let collection = collections.into_iter().find(|name| *name == change.collection.as_str()).unwrap();
    let key = Key { collection, id: change.id.as_str().parse().unwrap() };
    let data = match &change.state {
        State::Live(data) => Some(serde_json::from_str::<Data>(data.as_str()).unwrap()),
        State::Deleted => None,
    };
    Change { key, rev: change.rev.get(), data, version: 0 }
}

fn check_of((count, sum): (u64, Checksum)) -> (u64, u64) {
    (count, u64::from_str_radix(&sum.to_string(), 16).unwrap())
}

fn resync_of(resync: domain::pull::Resync) -> Resync {
    Resync {
        reason: resync.reason.as_str(),
        epoch: resync.epoch.to_string(),
        head: resync.head.get(),
        horizon: resync.horizon.get(),
        shared_rev: resync.shared_rev.get(),
    }
}

fn outcome_of(outcome: &push::Outcome) -> Outcome {
    match outcome {
        push::Outcome::Applied { rev, .. } => Outcome::Applied(rev.get(), 0),
        push::Outcome::Unchanged(here) => Outcome::Unchanged(here.map(|(rev, _)| (rev.get(), 0))),
        push::Outcome::Conflict(record) => Outcome::Conflict(record.as_ref().map(change_of)),
        push::Outcome::Rejected(_) => Outcome::Rejected,
        push::Outcome::NotApplied => Outcome::NotApplied,
    }
}

fn answer_of(answer: &push::PushAnswer, refused: bool) -> Answer {
    Answer {
        outcomes: answer.results.iter().map(outcome_of).collect(),
        previous_head: answer.previous_head.get(),
        head: answer.head.get(),
        cursor: answer.cursor.unwrap().to_string(),
        duplicate: answer.duplicate,
        refused,
    }
}

impl Server for Real {
    fn pull(&mut self, since: Since, scope: Scope, limit: usize) -> Result<Page, Resync> {
        let since = match since {
            Since::Nothing => domain::Since::Nothing,
            Since::Cursor(text) => domain::Since::Cursor(text.parse().unwrap()),
        };
        let collections = collections(scope);
        let request =
            PullRequest { space: space(), since, collections, limit, max_bytes: NO_LIMIT, upto: None, held: None };
        match RUNTIME.block_on(self.store().pull(request)).unwrap() {
            Pulled::Page(page) => Ok(Page {
                changes: page.changes.iter().map(change_of).collect(),
                cursor: page.cursor.to_string(),
                has_more: page.has_more,
                head: page.head.get(),
                horizon: page.horizon.get(),
                check: page.check.map(check_of),
                told: Told::default(),
            }),
            Pulled::Resync(resync) => Err(resync_of(resync)),
            Pulled::NotModified { .. } => panic!("not modified, without a condition"),
        }
    }

    fn push(&mut self, push: &Push) -> Result<Answer, Resync> {
        let proposals = push.proposals.iter().map(|change| {
            let (collection, id) = names(change.key);
            let base = match change.base {
                Base::Absent => push::Base::Absent,
                Base::Seen(base) => push::Base::Seen(rev(base)),
            };
            push::Proposal { collection, id, base, op: op_of(change.op) }
        });
        let request = PushRequest {
            space: space(),
            changes: proposals.collect(),
            cursor: push.cursor.as_ref().map(|cursor| cursor.parse().unwrap()),
            collections: collections(push.scope),
            seq: Some((ClientName::new(&format!("client-{}", push.client)).unwrap(), push.seq)),
            atomic: push.atomic,
            max_record_bytes: MAX_RECORD_BYTES,
        };
        match RUNTIME.block_on(self.store().push(request)).unwrap() {
            Pushed::Done(answer) => Ok(answer_of(&answer, false)),
            Pushed::Refused(answer) => Ok(answer_of(&answer, true)),
            Pushed::Resync(resync) => Err(resync_of(resync)),
            Pushed::OverQuota(excess) => panic!("there is no quota: {excess}"),
            Pushed::NoSpace => panic!("the space is gone"),
        }
    }

    fn manifest(&mut self, scope: Scope) -> Manifest {
        let request = ManifestRequest { space: space(), collections: collections(scope), from: None, to: None };
        let manifest = RUNTIME.block_on(self.store().manifest(request)).unwrap();
        Manifest {
            cursor: manifest.cursor.unwrap().to_string(),
            head: manifest.head.get(),
            horizon: manifest.horizon.get(),
            revs: manifest.runs.ranges().flatten().collect(),
            check: check_of((manifest.count, manifest.checksum)),
            told: Told::default(),
        }
    }

    fn fetch(&mut self, revs: &BTreeSet<Rev>, scope: Scope, from: Rev, limit: usize) -> Fetched {
        let (collections, runs) = (collections(scope), revs.iter().map(|one| rev(*one)).collect());
        let request = FetchRequest { space: space(), collections, runs, from: rev(from), limit, max_bytes: NO_LIMIT };
        let fetched = RUNTIME.block_on(self.store().fetch(request)).unwrap();
        Fetched { changes: fetched.changes.iter().map(change_of).collect(), next: fetched.next.map(domain::Rev::get) }
    }

    fn write(&mut self, key: Key, op: Op) -> Option<Change> {
        let (collection, id) = names(key);
        let guard = record::Guard::default();
        let request =
            RecordWrite { space: space(), collection, id, op: op_of(op), guard, max_record_bytes: MAX_RECORD_BYTES };
        match RUNTIME.block_on(self.store().write(request)).unwrap() {
            Written::Done { record, .. } => Some(change_of(&record)),
            _ => None,
        }
    }

    fn purge(&mut self, age: u64) {
        let cut = self.clock.now().minus(Duration::from_secs(age));
        let rule = PurgeRule { cut: Some(cut), hold: None, keep: None };
        let bounds = RUNTIME.block_on(self.store().purge_bounds(space(), rule)).unwrap();
        while RUNTIME.block_on(self.store().purge_step(space(), &bounds, PURGED_AT_ONCE)).unwrap().more {}
    }

    fn restart(&mut self) {
        self.close();
        self.open();
    }

    fn back_up(&mut self) {
        let by_the_product = RUNTIME.block_on(self.home.back_up());
        self.close();
        let plain = self.home.copy();
        self.open();
        self.backups.push(Copies { plain, by_the_product });
    }

    fn restore(&mut self, backup: usize, plainly: bool) {
        self.close();
        let Copies { plain, by_the_product } = &self.backups[backup];
        self.home.put_back(by_the_product.as_ref().filter(|_| !plainly).unwrap_or(plain));
        self.open();
    }

    fn open_epoch(&mut self) {
        RUNTIME.block_on(self.store().open_epoch(space())).unwrap();
    }

    fn epoch(&mut self) -> String {
        RUNTIME.block_on(self.store().space(&space())).unwrap().epoch().to_string()
    }

    fn tick(&mut self) {
        self.clock.advance(Duration::from_secs(1));
    }
}
