//! The store: few, whole operations on spaces, each one transaction (DESIGN: what must always hold).
//!
//! A backend implements [`Store`]; nothing above it knows which one. The only function that names the backends is
//! [`open`]. A store never names an HTTP status: it answers in the domain's words, or with a [`StoreError`].

mod copying;
mod failure;
mod inspect;
mod meters;
pub mod postgres;
mod retention;
mod rows;
mod schema;
pub mod sqlite;
mod survey;
mod tokens;
mod url;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::pull::{PullRequest, Pulled};
use crate::domain::push::{PushRequest, Pushed};
use crate::domain::record::{RecordWrite, Written};
use crate::domain::repair::{FetchRequest, Fetched, Manifest, ManifestRequest};
use crate::domain::{
    Change, Clock, CollectionName, Quota, QuotaChange, RecordId, Retention, RetentionPolicy, SpaceName, SpaceState,
    SystemClock,
};
use crate::feed::Feed;

pub use copying::{Batch, ClientSeq, CollectionDifference, CopyUnderWay, Copying, RowsRequest};
pub use failure::StoreError;
pub use inspect::{Fault, Finding, Inspector, Remedy, SpaceKey, Watch, inspector};
pub use meters::{Distribution, ListenerMeters, Meters, PoolMeters, Spread, WriteMeters};
use retention::DAY;
pub use retention::{Costs, GivenBack, Purged, RetentionStore, Sample, Sightings};
pub use survey::{Room, Survey, SurveyedSpace, TableRows, Total};
pub use tokens::TokenStore;
pub use url::{DatabaseUrl, DatabaseUrlFault, PostgresUrl, redacted};

/// What the server keeps. Every operation sees one snapshot, or is one durable transaction.
///
/// Every operation on a space that does not exist answers [`StoreError::NoSpace`], save where it says otherwise.
/// A write that was begun is carried out even if its caller goes away.
#[async_trait]
pub trait Store: Copying + RetentionStore + TokenStore + Send + Sync + 'static {
    /// The spaces whose names begin with `prefix`, in order of name, those after `after`, at most `limit`.
    async fn spaces(
        &self,
        prefix: &str,
        after: Option<SpaceName>,
        limit: usize,
    ) -> Result<Vec<Arc<SpaceState>>, StoreError>;

    /// A space without its records.
    async fn space(&self, name: &SpaceName) -> Result<Arc<SpaceState>, StoreError>;

    /// Creates a space, or changes what is given of its policy. The flag says whether it was created.
    async fn configure(&self, name: SpaceName, policy: PolicyChange) -> Result<(Arc<SpaceState>, bool), StoreError>;

    /// Changes what is given of a space's quota.
    async fn set_quota(&self, name: SpaceName, change: QuotaChange) -> Result<Arc<SpaceState>, StoreError>;

    /// The quota of spaces that say nothing of it.
    fn default_quota(&self) -> Quota;

    /// Removes a space with all it holds.
    async fn delete_space(&self, name: SpaceName) -> Result<(), StoreError>;

    /// What changed since X (§3). An up-to-date pull reads no record.
    async fn pull(&self, request: PullRequest) -> Result<Pulled, StoreError>;

    /// Applies a client's edits (§4). Never answers [`StoreError::NoSpace`]: see [`Pushed::NoSpace`].
    async fn push(&self, request: PushRequest) -> Result<Pushed, StoreError>;

    /// Writes one record under preconditions (§5). Never answers [`StoreError::NoSpace`]: see [`Written::NoSpace`].
    async fn write(&self, request: RecordWrite) -> Result<Written, StoreError>;

    /// A record, live or as a tombstone; `None` when there is neither.
    async fn record(
        &self,
        space: SpaceName,
        collection: CollectionName,
        id: RecordId,
    ) -> Result<Option<Change>, StoreError>;

    /// The live records of a collection in order of id, by bytes (§5).
    async fn list(&self, request: ListRequest) -> Result<Listing, StoreError>;

    /// The exact set of live revisions (§6).
    async fn manifest(&self, request: ManifestRequest) -> Result<Manifest, StoreError>;

    /// The live records that have given revisions (§6).
    async fn fetch(&self, request: FetchRequest) -> Result<Fetched, StoreError>;

    /// Removes some rows of spaces that were deleted. Answers how many; 0 when none are left.
    async fn sweep_step(&self, max_rows: usize) -> Result<usize, StoreError>;

    /// Whether the background compactor of this process is the one to run: where several nodes share a database, one of
    /// them at a time is told so. It keeps the right until the store is closed or its connection is lost.
    async fn may_compact(&self) -> Result<bool, StoreError>;

    /// Opens a new epoch at the present head (§1): history was broken there.
    async fn open_epoch(&self, space: SpaceName) -> Result<Arc<SpaceState>, StoreError>;

    /// Whether the store answers.
    async fn ready(&self) -> Result<(), StoreError>;

    /// What the store counts of itself, and what it can say of itself without asking the database.
    fn meters(&self) -> Meters;

    /// A look at the whole database, with the `spaces` spaces that have the most tombstones. It costs about as much as
    /// reading the counts of every collection, so that it is not for every request.
    async fn survey(&self, spaces: usize) -> Result<Survey, StoreError>;

    /// Finishes what was begun and closes. Later calls answer [`StoreError::Unavailable`].
    async fn close(&self);
}

/// What is to change of a space's policy; `None` leaves it as it is, or as a new space has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyChange {
    /// See [`RetentionPolicy::retention`].
    pub retention: Option<Retention>,
    /// See [`RetentionPolicy::hold_for_clients`].
    pub hold_for_clients: Option<bool>,
    /// See [`RetentionPolicy::max_retention`].
    pub max_retention: Option<Retention>,
    /// See [`RetentionPolicy::max_tombstones`]; `Some(None)` takes the bound away.
    pub max_tombstones: Option<Option<u64>>,
}

impl PolicyChange {
    /// `policy` with the change made.
    #[must_use]
    pub fn applied_to(self, policy: RetentionPolicy) -> RetentionPolicy {
        RetentionPolicy {
            retention: self.retention.unwrap_or(policy.retention),
            hold_for_clients: self.hold_for_clients.unwrap_or(policy.hold_for_clients),
            max_retention: self.max_retention.unwrap_or(policy.max_retention),
            max_tombstones: self.max_tombstones.unwrap_or(policy.max_tombstones),
        }
    }
}

/// A page of a collection's list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// The space.
    pub space: SpaceName,
    /// The collection. One that was never written is empty.
    pub collection: CollectionName,
    /// Records after this id.
    pub after: Option<RecordId>,
    /// Records in the page, at the most.
    pub limit: usize,
    /// Bytes in the page, about; it holds one record at least.
    pub max_bytes: usize,
}

/// Live records in order of id.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The records.
    pub records: Vec<Change>,
    /// The last one's id when more are left.
    pub after: Option<RecordId>,
}

/// What a store is opened with.
#[derive(Clone)]
pub struct StoreOptions {
    /// Where its time comes from.
    pub clock: Arc<dyn Clock>,
    /// Whom it tells of commits.
    pub feed: Feed,
    /// The retention that a new space gets, and then has.
    pub default_retention: Retention,
    /// The quota of spaces that say nothing of it.
    pub default_quota: Quota,
    /// Read connections.
    pub readers: u32,
    /// Writes that may wait before more are turned away as [`StoreError::Busy`].
    pub queue: usize,
    /// What only a database server has need of.
    pub remote: RemoteOptions,
}

/// What a store on a database server is opened with; one on a file passes it over.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// A streaming standby that serves the rows of pulls.
    pub read_database: Option<DatabaseUrl>,
    /// Write connections.
    pub writers: u32,
    /// How long opening a connection, or waiting for a free one, may take.
    pub connect_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            read_database: None,
            writers: 8,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
        }
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            feed: Feed::default(),
            default_retention: Retention::DEFAULT,
            default_quota: Quota::default(),
            readers: 4,
            queue: 4096,
            remote: RemoteOptions::default(),
        }
    }
}

/// Opens the database that `url` names, makes its schema present, and opens new epochs where it was put back from a
/// backup. This is the only place that knows which backends there are.
///
/// # Errors
/// [`StoreError`] when it cannot be opened; its message says why and names no password.
pub async fn open(url: &DatabaseUrl, options: StoreOptions) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let path = path.clone();
            let store = tokio::task::spawn_blocking(move || sqlite::SqliteStore::open(&path, options));
            let store = store.await.map_err(StoreError::internal)??;
            Ok(Arc::new(store))
        }
        DatabaseUrl::Postgres(url) => Ok(Arc::new(postgres::PostgresStore::open(url, options).await?)),
    }
}

/// Copies the database that `url` names to `target` while a server may be running on it. A store that is opened on
/// the copy begins a new epoch, so that it is always safe to restore.
///
/// # Errors
/// [`StoreError`] when it cannot be read or the copy cannot be written; an existing `target` is never overwritten.
pub async fn backup(url: &DatabaseUrl, target: &std::path::Path) -> Result<(), StoreError> {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let (path, target) = (path.clone(), target.to_owned());
            let copy = tokio::task::spawn_blocking(move || sqlite::backup(&path, &target));
            copy.await.map_err(StoreError::internal)?
        }
        DatabaseUrl::Postgres(_) => Err(StoreError::Open(
            "a PostgreSQL database is backed up with its own tools: pg_basebackup, or pg_dump with --format=custom"
                .into(),
        )),
    }
}
