//! The store on one SQLite file: a writer thread, a pool of readers, and a memory of spaces that answers polls.
//!
//! - `writer` and `transaction`: group commit; `writes`: what a write does within it; `checkpointer`: the WAL kept short.
//! - `readers` and `reads`: snapshots and what is read in them; `rows`: rows to domain values.
//! - `states`: spaces in memory, right for as long as `wal_index` says that nothing was committed.
//! - `retention` (with `clients` and `purging`): who was seen, and what may go; `vacuum`: free space given back.
//! - `copying`: a space as it lies, to another store or from one.
//! - `tokens`: who may come in.
//! - `survey`: a look at the whole file.
//! - `heads` and `restore`: noticing a file that was put back from a backup; `backup`: making one.
//! - `inspect`: whether all of it is as it must be.

mod backup;
mod checkpointer;
mod clients;
mod connection;
mod copying;
mod heads;
mod inspect;
mod purging;
mod readers;
mod reads;
mod restore;
mod retention;
mod rows;
mod states;
mod survey;
mod tokens;
mod transaction;
mod vacuum;
mod wal_index;
mod watcher;
mod writer;
mod writes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::pull::{PullRequest, Pulled, View};
use crate::domain::push::{PushRequest, Pushed};
use crate::domain::record::{RecordWrite, Written};
use crate::domain::repair::{FetchRequest, Fetched, Manifest, ManifestRequest};
use crate::domain::{
    Change, Clock, CollectionName, Collections, Quota, QuotaChange, RecordId, RetentionPolicy, SpaceName, SpaceState,
};
use crate::store::rows::NameRange;
use crate::store::writes::{self as shared, Defaults};
use crate::store::{ListRequest, Listing, Meters, PolicyChange, Store, StoreError, StoreOptions, Survey};

pub use backup::backup;
use checkpointer::Checkpointer;
pub(super) use inspect::SqliteInspector;
use readers::Readers;
use states::States;
use transaction::Transaction;
use watcher::Watcher;
use writer::Writer;

/// The store on an SQLite file.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    watcher: Watcher,
    checkpointer: Checkpointer,
    // Dropped after every connection above: it holds a descriptor of SQLite's own file.
    states: Arc<States>,
    clock: Arc<dyn Clock>,
    default_policy: RetentionPolicy,
    default_quota: Quota,
    path: PathBuf,
    _claim: Claim,
}

impl SqliteStore {
    /// Opens the file, made where there is none, brings its schema up to date, and opens new epochs where it was put
    /// back from a backup. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Open`] with a sentence for the person who started the program.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let claim = Claim::take(path)?;
        let mut connection = connection::open_writer(path)?;
        let heads = restore::check(&mut connection, path)?;
        let readers = Readers::open(path, options.readers)?;
        let states = Arc::new(States::open(path)?);
        let watcher = Watcher::start(path, heads, Arc::clone(&states), options.feed.clone())?;
        let checkpointer = Checkpointer::start(path, Arc::clone(&states))?;
        let clock = Arc::clone(&options.clock);
        let defaults = Defaults { retention: options.default_retention, quota: options.default_quota };
        let writer =
            Writer::start(connection, options.clock, options.feed, Arc::clone(&states), defaults, options.queue)?;
        let default_policy = RetentionPolicy::of(defaults.retention);
        Ok(Self {
            writer,
            readers,
            watcher,
            checkpointer,
            states,
            clock,
            default_policy,
            default_quota: defaults.quota,
            path: path.to_owned(),
            _claim: claim,
        })
    }

    /// A space as it is right after a write to it.
    async fn written(&self, name: SpaceName) -> Result<Arc<SpaceState>, StoreError> {
        self.space(&name).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn spaces(
        &self,
        prefix: &str,
        after: Option<SpaceName>,
        limit: usize,
    ) -> Result<Vec<Arc<SpaceState>>, StoreError> {
        let names = NameRange::new(prefix, after.as_ref());
        let read = move |connection: &mut _| rows::spaces(connection, &names, limit);
        Ok(self.readers.read(read).await?.into_iter().map(|row| row.state).collect())
    }

    async fn space(&self, name: &SpaceName) -> Result<Arc<SpaceState>, StoreError> {
        self.states.get(name)?.ok_or_else(|| StoreError::NoSpace(name.clone()))
    }

    async fn configure(&self, name: SpaceName, policy: PolicyChange) -> Result<(Arc<SpaceState>, bool), StoreError> {
        let (space, default) = (name.clone(), self.default_policy);
        let created = self.writer.write(move |tx| writes::configure(tx, &space, policy, default)).await?;
        Ok((self.written(name).await?, created))
    }

    async fn set_quota(&self, name: SpaceName, change: QuotaChange) -> Result<Arc<SpaceState>, StoreError> {
        let space = name.clone();
        let set = move |tx: &mut Transaction<'_>| {
            let rule = change.applied_to(tx.existing_space(&space)?.state.quota);
            tx.set_quota(&space, rule)
        };
        self.writer.write(set).await?;
        self.written(name).await
    }

    fn default_quota(&self) -> Quota {
        self.default_quota
    }

    async fn delete_space(&self, name: SpaceName) -> Result<(), StoreError> {
        self.writer.write(move |tx| tx.delete_space(&name)).await
    }

    async fn pull(&self, request: PullRequest) -> Result<Pulled, StoreError> {
        let state = self.space(&request.space).await?;
        let tally = state.tally(request.collections.as_ref());
        let now = self.clock.now();
        let scope = request.collections.as_ref().map(Collections::scope);
        // Nothing new, nothing known, or no way on: the space's own row says so, and no record is read.
        if let Some(answer) = (View { state: &state, tally: &tally, scope, now }).without_rows(&request) {
            return Ok(answer);
        }
        self.readers.read(move |connection| reads::pull(connection, &request, now)).await
    }

    async fn push(&self, request: PushRequest) -> Result<Pushed, StoreError> {
        self.writer.write(move |tx| shared::push(tx, &request)).await
    }

    async fn write(&self, request: RecordWrite) -> Result<Written, StoreError> {
        self.writer.write(move |tx| shared::write(tx, &request)).await
    }

    async fn record(
        &self,
        space: SpaceName,
        collection: CollectionName,
        id: RecordId,
    ) -> Result<Option<Change>, StoreError> {
        self.readers.read(move |connection| reads::record(connection, &space, &collection, &id)).await
    }

    async fn list(&self, request: ListRequest) -> Result<Listing, StoreError> {
        self.readers.read(move |connection| reads::list(connection, &request)).await
    }

    async fn manifest(&self, request: ManifestRequest) -> Result<Manifest, StoreError> {
        self.readers.read(move |connection| reads::manifest(connection, &request)).await
    }

    async fn fetch(&self, request: FetchRequest) -> Result<Fetched, StoreError> {
        self.readers.read(move |connection| reads::fetch(connection, &request)).await
    }

    async fn sweep_step(&self, max_rows: usize) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.writer.write(move |tx| writes::sweep_step(tx, now, max_rows)).await
    }

    async fn may_compact(&self) -> Result<bool, StoreError> {
        // Another process on the file does no harm: each step of each is a transaction.
        Ok(true)
    }

    async fn open_epoch(&self, space: SpaceName) -> Result<Arc<SpaceState>, StoreError> {
        let name = space.clone();
        self.writer.write(move |tx| tx.open_epoch(&name)).await?;
        self.written(space).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.readers.read(|connection| rows::spaces(connection, &NameRange::all(), 1).map(|_| ())).await
    }

    fn meters(&self) -> Meters {
        Meters { writes: self.writer.meters(), pools: vec![self.readers.meters()], listener: None }
    }

    async fn survey(&self, spaces: usize) -> Result<Survey, StoreError> {
        let path = self.path.clone();
        self.readers.read(move |connection| survey::survey(connection, &path, spaces)).await
    }

    async fn close(&self) {
        // Joining threads blocks, but only for the commits that are waited for anyway, and they wait for no runtime.
        self.writer.close();
        self.watcher.close();
        self.checkpointer.close();
        self.readers.close();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.writer.close();
        self.watcher.close();
        self.checkpointer.close();
        self.readers.close();
    }
}

/// The right to be this process's one store on a file: a second one, closed first, would take the first one's locks
/// along (see `wal_index`).
struct Claim(PathBuf);

static CLAIMED: std::sync::Mutex<std::collections::BTreeSet<PathBuf>> =
    std::sync::Mutex::new(std::collections::BTreeSet::new());

impl Claim {
    fn take(path: &Path) -> Result<Self, StoreError> {
        let cannot = |why: String| StoreError::Open(format!("the database {} cannot be opened: {why}", path.display()));
        let path = std::path::absolute(path).map_err(|error| cannot(error.to_string()))?;
        let mut claimed = CLAIMED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !claimed.insert(path.clone()) {
            return Err(cannot("this process has it open already".into()));
        }
        Ok(Self(path))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&self.0);
    }
}
