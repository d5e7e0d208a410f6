//! A store of its own for each test, with a clock that the test turns.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use strandline::domain::access::{Token, TokenHash, TokenId};
use strandline::domain::client::{AnonymousPulls, KnownClient};
use strandline::domain::forecast::Forecast;
use strandline::domain::pull::{Page, PullRequest, Pulled, Resync};
use strandline::domain::purge::{PurgeBounds, PurgeRule};
use strandline::domain::push::{Base, Op, Outcome, Proposal, PushAnswer, PushRequest, Pushed};
use strandline::domain::record::{Guard, RecordWrite, Written};
use strandline::domain::{
    Change, ClientName, Clock, CollectionName, Collections, Cursor, Document, ManualClock, Patch, Quota, QuotaChange,
    RecordId, Rev, Since, SpaceName, SpaceState, State, Timestamp,
};
use strandline::feed::Feed;
use strandline::store::{
    self, Copying, Costs, DatabaseUrl, RetentionStore, Store, StoreError, StoreOptions, TokenStore,
};

use crate::support::{Backup, Home};

/// A store in a home that goes with it.
pub struct Fixture {
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    pub feed: Feed,
    pub home: Home,
}

/// 2026-11-22T20:00:00Z
pub const NOON: Timestamp = Timestamp::from_micros(1_795_377_600_000_000);

impl Fixture {
    pub async fn new() -> Self {
        Self::at(Home::new()).await
    }

    /// With this quota for spaces that say nothing of it.
    pub async fn bounded(default_quota: Quota) -> Self {
        let mut fixture = Self::at(Home::new()).await;
        fixture.close().await;
        let options = StoreOptions { clock: Arc::clone(&fixture.clock) as _, default_quota, ..StoreOptions::default() };
        fixture.store = store::open(&fixture.home.url(), options).await.unwrap();
        fixture
    }

    pub async fn at(home: Home) -> Self {
        let (clock, feed) = (Arc::new(ManualClock::new(NOON)), Feed::default());
        let store = open(&home.url(), &clock, &feed).await.unwrap();
        Self { store, clock, feed, home }
    }

    pub async fn close(&mut self) {
        self.store.close().await;
        // The file is free only when the store is gone, not merely closed.
        self.store = Arc::new(Nowhere);
    }

    pub async fn reopen(&mut self) {
        self.close().await;
        self.store = open(&self.home.url(), &self.clock, &self.feed).await.unwrap();
    }

    /// A backup as it is made best: with the product's own means, where it has any.
    pub async fn back_up(&mut self) -> Backup {
        if let Some(backup) = self.home.back_up().await {
            return backup;
        }
        self.copy().await
    }

    /// A copy that the product knows nothing of.
    pub async fn copy(&mut self) -> Backup {
        self.close().await;
        let copy = self.home.copy();
        self.store = open(&self.home.url(), &self.clock, &self.feed).await.unwrap();
        copy
    }

    /// What a restore does: the store is closed, what it had is replaced by the backup, and it is opened.
    pub async fn restore(&mut self, backup: &Backup) {
        self.close().await;
        self.home.put_back(backup);
        self.store = open(&self.home.url(), &self.clock, &self.feed).await.unwrap();
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub async fn state(&self) -> Arc<SpaceState> {
        self.store.space(&space()).await.unwrap()
    }

    /// Pushes in one push, with nothing but the changes.
    pub async fn push(&self, changes: Vec<Proposal>) -> PushAnswer {
        match self.store.push(PushRequest { changes, ..push() }).await.unwrap() {
            Pushed::Done(answer) => answer,
            other => panic!("the push was not carried out: {other:?}"),
        }
    }

    /// Writes a record whatever is there; its revision.
    pub async fn put(&self, collection: &str, id: &str, data: &str) -> Rev {
        applied(&self.push(vec![proposal(collection, id, Base::Any, put_op(data))]).await.results[0])
    }

    /// Deletes a record whatever is there; its tombstone's revision.
    pub async fn delete(&self, collection: &str, id: &str) -> Rev {
        applied(&self.push(vec![proposal(collection, id, Base::Any, Op::Delete)]).await.results[0])
    }

    pub async fn pulled(&self, since: &str, collections: Option<&str>, limit: usize) -> Pulled {
        self.store.pull(PullRequest { limit, ..pull(since, collections) }).await.unwrap()
    }

    pub async fn page(&self, since: &str) -> Page {
        page(self.pulled(since, None, 1000).await)
    }

    pub async fn resync(&self, since: &str) -> Resync {
        match self.pulled(since, None, 1000).await {
            Pulled::Resync(resync) => resync,
            other => panic!("expected a resync, got {other:?}"),
        }
    }

    /// Purges everything that is a tombstone now.
    pub async fn purge(&self) -> strandline::store::Purged {
        let cut = self.clock.now().max(self.state().await.modified_at);
        self.purge_up_to(cut, 10_000).await.unwrap()
    }

    /// Purges at most so many tombstones of this time or before.
    pub async fn purge_up_to(&self, cut: Timestamp, max_rows: usize) -> Result<store::Purged, StoreError> {
        let bounds = self.store.purge_bounds(space(), older(cut)).await?;
        self.store.purge_step(space(), &bounds, max_rows).await
    }

    /// What a purge of all tombstones of this time or before would do.
    pub async fn forecast(&self, cut: Timestamp) -> Forecast {
        self.store.forecast(space(), vec![older(cut)], Costs::Told).await.unwrap().pop().unwrap()
    }

    /// Every live record, read page by page of `limit` with the self-check at the end.
    pub async fn everything(&self, limit: usize) -> Vec<Change> {
        let mut replica = std::collections::BTreeMap::new();
        let mut since = String::new();
        loop {
            let page = page(self.pulled(&since, None, limit).await);
            for change in page.changes {
                replica.insert((change.collection.clone(), change.id.clone()), change);
            }
            since = page.cursor.to_string();
            if let Some((count, checksum)) = page.check {
                replica.retain(|_, change| !change.is_deleted());
                assert_eq!(replica.len() as u64, count);
                assert_eq!(replica.values().map(|c| c.rev).collect::<strandline::domain::Checksum>(), checksum);
                return replica.into_values().collect();
            }
        }
    }
}

pub async fn open(url: &DatabaseUrl, clock: &Arc<ManualClock>, feed: &Feed) -> Result<Arc<dyn Store>, StoreError> {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let options = StoreOptions { clock, feed: feed.clone(), ..StoreOptions::default() };
    store::open(url, options).await
}

pub fn space() -> SpaceName {
    SpaceName::new("demo").unwrap()
}

pub fn pull(since: &str, collections: Option<&str>) -> PullRequest {
    PullRequest {
        space: space(),
        since: if since.is_empty() { Since::Nothing } else { Since::parse(since).unwrap() },
        collections: collections.map(|list| Collections::parse(list).unwrap()),
        limit: 1000,
        max_bytes: usize::MAX,
        upto: None,
        held: None,
    }
}

pub fn page(pulled: Pulled) -> Page {
    match pulled {
        Pulled::Page(page) => page,
        other => panic!("expected a page, got {other:?}"),
    }
}

pub fn push() -> PushRequest {
    PushRequest {
        space: space(),
        changes: Vec::new(),
        cursor: None,
        collections: None,
        seq: None,
        atomic: false,
        max_record_bytes: 1 << 20,
    }
}

pub fn proposal(collection: &str, id: &str, base: Base, op: Op) -> Proposal {
    Proposal { collection: CollectionName::new(collection).unwrap(), id: RecordId::new(id).unwrap(), base, op }
}

pub fn document(text: &str) -> Document {
    Document::parse(serde_json::from_str::<&RawValue>(text).unwrap()).unwrap()
}

pub fn put_op(text: &str) -> Op {
    Op::Put(document(text))
}

pub fn patch(text: &str) -> Patch {
    Patch::parse(serde_json::from_str::<&RawValue>(text).unwrap()).unwrap()
}

pub fn rev(value: u64) -> Rev {
    Rev::new(value).unwrap()
}

pub fn applied(outcome: &Outcome) -> Rev {
    match outcome {
        Outcome::Applied { rev, .. } => *rev,
        other => panic!("expected applied, got {other:?}"),
    }
}

pub fn cursor(text: &str) -> Cursor {
    text.parse().unwrap()
}

/// `id@rev` of each, with a minus before a tombstone: short enough to compare whole pages.
pub fn brief(changes: &[Change]) -> Vec<String> {
    let sign = |change: &Change| if matches!(change.state, State::Deleted) { "-" } else { "" };
    changes.iter().map(|change| format!("{}{}@{}", sign(change), change.id, change.rev)).collect()
}

pub fn write(id: &str, op: Op, guard: Guard) -> RecordWrite {
    RecordWrite {
        space: space(),
        collection: CollectionName::new("todos").unwrap(),
        id: RecordId::new(id).unwrap(),
        op,
        guard,
        max_record_bytes: 1 << 20,
    }
}

pub fn done(written: Written) -> (Change, bool) {
    match written {
        Written::Done { record, created } => (record, created),
        other => panic!("expected a write, got {other:?}"),
    }
}

/// The rule by which everything goes that is of this time or before.
pub fn older(cut: Timestamp) -> PurgeRule {
    PurgeRule { cut: Some(cut), hold: None, keep: None }
}

/// What a fixture holds while its store is closed.
struct Nowhere;

macro_rules! nowhere {
    ($trait:ident, $($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* $({ $($more:tt)* })?) => {
        #[async_trait::async_trait]
        impl $trait for Nowhere {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, StoreError> {
                $(let _ = $arg;)*
                Err(StoreError::Unavailable("closed".into()))
            })*
            $($($more)*)?
        }
    };
}

nowhere! { Store,
    spaces(prefix: &str, after: Option<SpaceName>, limit: usize) -> Vec<Arc<SpaceState>>;
    space(name: &SpaceName) -> Arc<SpaceState>;
    configure(name: SpaceName, policy: store::PolicyChange) -> (Arc<SpaceState>, bool);
    set_quota(name: SpaceName, change: QuotaChange) -> Arc<SpaceState>;
    delete_space(name: SpaceName) -> ();
    pull(request: PullRequest) -> Pulled;
    push(request: PushRequest) -> Pushed;
    write(request: RecordWrite) -> Written;
    record(space: SpaceName, collection: CollectionName, id: RecordId) -> Option<Change>;
    list(request: store::ListRequest) -> store::Listing;
    manifest(request: strandline::domain::repair::ManifestRequest) -> strandline::domain::repair::Manifest;
    fetch(request: strandline::domain::repair::FetchRequest) -> strandline::domain::repair::Fetched;
    sweep_step(max_rows: usize) -> usize;
    may_compact() -> bool;
    open_epoch(space: SpaceName) -> Arc<SpaceState>;
    ready() -> ();
    survey(spaces: usize) -> store::Survey;
    {
        fn default_quota(&self) -> Quota {
            unreachable!("there is nothing to hold")
        }

        fn meters(&self) -> store::Meters {
            unreachable!("there is nothing to measure")
        }

        async fn close(&self) {}
    }
}

nowhere! { RetentionStore,
    note_clients(sightings: store::Sightings) -> ();
    clients(space: SpaceName, after: Option<ClientName>, limit: usize) -> Vec<KnownClient>;
    forget_client(space: SpaceName, client: ClientName) -> bool;
    anonymous_pulls(space: SpaceName, since: Timestamp) -> Vec<AnonymousPulls>;
    expire_clients(before: Timestamp, max_rows: usize) -> usize;
    forecast(space: SpaceName, rules: Vec<PurgeRule>, costs: Costs) -> Vec<Forecast>;
    purge_bounds(space: SpaceName, rule: PurgeRule) -> PurgeBounds;
    purge_step(space: SpaceName, bounds: &PurgeBounds, max_rows: usize) -> store::Purged;
    give_back(max_pages: usize) -> store::GivenBack;
    oldest_tombstone(space: SpaceName) -> Option<Timestamp>;
    take_samples(now: Timestamp, before: Timestamp) -> ();
    samples(space: SpaceName) -> Vec<store::Sample>;
}

nowhere! { TokenStore,
    add_token(token: Token) -> bool;
    token(hash: TokenHash) -> Option<Token>;
    issued_token(id: TokenId) -> Option<Token>;
    tokens(after: Option<TokenId>, limit: usize) -> Vec<Token>;
    revoke_token(id: TokenId, now: Timestamp) -> Option<Token>;
    end_session(hash: TokenHash) -> ();
    expire_sessions(before: Timestamp, max_rows: usize) -> usize;
    has_tokens() -> bool;
}

nowhere! { Copying,
    rows(request: store::RowsRequest) -> store::Batch;
    seqs(space: SpaceName, after: Option<ClientName>, limit: usize) -> Vec<store::ClientSeq>;
    begin_copy(source: Arc<SpaceState>) -> store::CopyUnderWay;
    copy_rows(copy: &store::CopyUnderWay, rows: Vec<Change>) -> ();
    copy_seqs(copy: &store::CopyUnderWay, seqs: Vec<store::ClientSeq>) -> ();
    finish_copy(copy: &store::CopyUnderWay, source: Arc<SpaceState>) -> Vec<store::CollectionDifference>;
    discard_copy(space: SpaceName) -> bool;
}
