//! The store on PostgreSQL: any number of nodes on one database, none of which knows more than the others.
//!
//! - `connection` (with `hosts` and `tls`), `pool`: connections, and sessions on loan; `run`: snapshots and transactions on
//!   them, tried again where that is safe; `fault`: what their errors mean; `migrate`: the schema; `home`: noticing a
//!   failover or a restore.
//! - `queue`, `task`, `group`, `writer`: writes, grouped; `transaction`: a group in memory; `statements`: sets of rows.
//! - `admin`: writes that are no client's edits; `retention` (with `clients` and `purging`): who was seen, and what may go; `copying`: a space as it lies, to another store or from one.
//! - `reads`: what is read in a snapshot; `rows`: spaces read as a whole.
//! - `tokens`: who may come in.
//! - `survey`: a look at the whole database.
//! - `states`: spaces in memory, which answer polls; `link`: what other nodes do; `leader`: which node compacts;
//!   `standby`: rows read elsewhere.
//! - `inspect`: whether all of it is as it must be.

mod admin;
mod clients;
mod connection;
mod copying;
mod fault;
mod group;
mod home;
mod hosts;
mod inspect;
mod leader;
mod link;
mod migrate;
mod pool;
mod purging;
mod queue;
mod reads;
mod retention;
mod rows;
mod run;
mod standby;
mod statements;
mod states;
mod survey;
mod task;
mod tls;
mod tokens;
mod transaction;
mod writer;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::runtime::Handle;

use crate::domain::pull::{PullRequest, Pulled, View};
use crate::domain::push::{PushRequest, Pushed};
use crate::domain::record::{RecordWrite, Written};
use crate::domain::repair::{FetchRequest, Fetched, Manifest, ManifestRequest};
use crate::domain::{
    Change, Clock, CollectionName, Collections, Cursor, Progress, Quota, QuotaChange, RecordId, RetentionPolicy, Since,
    SpaceName, SpaceState, Timestamp,
};
use crate::feed::Feed;
use crate::store::meters::WriteCounts;
use crate::store::rows::NameRange;
use crate::store::writes::Defaults;
use crate::store::{
    DatabaseUrl, ListRequest, Listing, Meters, PolicyChange, PostgresUrl, Store, StoreError, StoreOptions, Survey,
};
use connection::{Connector, Role};
use fault::Fault;
pub(super) use inspect::PostgresInspector;
use leader::Leader;
use link::Link;
use pool::{FirstLook, Pool};
use run::Work;
use standby::Standby;
use states::{Known, States};
use writer::{Tools, Writer};

/// Connections for what is written besides pushes.
const ADMIN_CONNECTIONS: u32 = 2;
/// A server is given this much longer than its own limits before its connection is taken for dead.
const GRACE: Duration = Duration::from_secs(5);

/// The store on a PostgreSQL database.
pub struct PostgresStore {
    writes: Pool,
    reads: Pool,
    standby: Option<Standby>,
    writer: Writer,
    states: Arc<States>,
    link: Link,
    leader: Leader,
    feed: Feed,
    clock: Arc<dyn Clock>,
    default_policy: RetentionPolicy,
    default_quota: Quota,
    patience: Duration,
    runtime: Handle,
}

impl PostgresStore {
    /// Connects, brings the schema up to date, and opens new epochs where the database is not where it was. To be called
    /// on the runtime that will drive the connections.
    ///
    /// # Errors
    /// [`StoreError::Open`] with a sentence for the person who started the program; it names no password.
    pub async fn open(url: &PostgresUrl, options: StoreOptions) -> Result<Self, StoreError> {
        let remote = &options.remote;
        let connector = Connector::new(url, Role::Primary, remote)?;
        let cannot =
            |why: &dyn std::fmt::Display| StoreError::Open(format!("the database {url} cannot be opened: {why}"));
        migrate::run(connector.connect().await.map_err(|error| cannot(&error))?).await?;

        let states = Arc::new(States::default());
        let look = first_look(Arc::clone(&states), options.feed.clone());
        let patience = remote.connect_timeout;
        let writes = Pool::new(
            connector.clone(),
            remote.writers.saturating_add(ADMIN_CONNECTIONS),
            patience,
            Some(Arc::clone(&look)),
        )?;
        let reads = Pool::new(connector.clone(), options.readers, patience, Some(look))?;
        let standby = match &remote.read_database {
            None => None,
            Some(DatabaseUrl::Postgres(url)) => {
                let connector = Connector::new(url, Role::Standby, remote)?;
                Some(Standby::new(Pool::new(connector, options.readers, patience, None)?, patience))
            }
            Some(url) => return Err(StoreError::Open(format!("{url} cannot be a standby of a PostgreSQL database"))),
        };
        // The first session looks where the database is, before anything is answered.
        reads.session().await.map_err(|fault| cannot(&fault))?.settle();

        let link = Link::new();
        link.start(connector.clone(), reads.clone(), Arc::clone(&states), options.feed.clone());
        let patience = remote.statement_timeout.saturating_add(remote.lock_timeout).saturating_add(GRACE);
        let tools = Tools {
            pool: writes.clone(),
            states: Arc::clone(&states),
            link: link.clone(),
            feed: options.feed.clone(),
            clock: Arc::clone(&options.clock),
            defaults: Defaults { retention: options.default_retention, quota: options.default_quota },
            patience,
            counts: WriteCounts::default(),
        };
        Ok(Self {
            writer: Writer::new(tools, remote.writers, options.queue),
            writes,
            reads,
            standby,
            states,
            link,
            leader: Leader::new(connector),
            feed: options.feed,
            clock: options.clock,
            default_policy: RetentionPolicy::of(options.default_retention),
            default_quota: options.default_quota,
            patience,
            runtime: Handle::current(),
        })
    }

    /// Runs `work` in one snapshot of the primary.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Work<T>,
    {
        run::read(&self.runtime, &self.reads, self.patience, work).await
    }

    /// Runs `work` in a transaction that writes, and makes it known that `space` was changed.
    async fn transact<T, W>(&self, space: Option<SpaceName>, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Work<T>,
    {
        let known = space.map(|space| self.made_known(space));
        let ended = move || {
            if let Some(known) = known {
                known();
            }
        };
        run::transact(&self.runtime, &self.writes, self.patience, work, ended).await
    }

    /// What is done once `space` was changed, also where it is not known whether it was: then the space is read anew.
    fn made_known(&self, space: SpaceName) -> impl FnOnce() + Send + 'static {
        let (states, feed, link) = (Arc::clone(&self.states), self.feed.clone(), self.link.clone());
        move || {
            states.changed(&space);
            feed.wake(&space);
            link.tell(&space);
        }
    }

    /// A space as it is in the database now.
    async fn load(&self, name: &SpaceName) -> Result<Arc<Known>, StoreError> {
        let (name, states) = (name.clone(), Arc::clone(&self.states));
        self.read(move |connection| {
            let (name, states) = (name.clone(), Arc::clone(&states));
            async move {
                let ticket = states.ticket();
                let known = rows::existing_space(connection, &name, states.remembered(&name).as_ref()).await?;
                states.read(ticket, &known);
                Ok(known)
            }
            .boxed()
        })
        .await
    }

    /// Reads the rows of a pull: from the standby where that has what the primary had a moment ago, else from the
    /// primary.
    async fn pull_rows(
        &self,
        request: Arc<PullRequest>,
        now: Timestamp,
        known: Arc<Known>,
    ) -> Result<Pulled, StoreError> {
        if let Some(standby) = &self.standby {
            let (asked, remembered) = (Arc::clone(&request), Arc::clone(&known));
            let read = standby.read(&self.runtime, move |connection| {
                let (asked, remembered) = (Arc::clone(&asked), Arc::clone(&remembered));
                async move { reads::pull(connection, &asked, now, Some(&remembered)).await }.boxed()
            });
            if let Some((pulled, seen)) = read.await
                && caught_up(&pulled, &seen, &known)
            {
                return Ok(pulled);
            }
        }
        let states = Arc::clone(&self.states);
        self.read(move |connection| {
            let (request, states, known) = (Arc::clone(&request), Arc::clone(&states), Arc::clone(&known));
            async move {
                let ticket = states.ticket();
                let (pulled, known) = reads::pull(connection, &request, now, Some(&known)).await?;
                states.read(ticket, &known);
                Ok(pulled)
            }
            .boxed()
        })
        .await
    }
}

/// Whether a client has taken part of what it is to have, so that no answer may be older than what it took.
fn is_under_way(since: Since) -> bool {
    matches!(since, Since::Cursor(Cursor { progress: Progress::Delta | Progress::Initial { .. }, .. }))
}

/// Whether a standby's answer is as good as the primary's: a page of the same history, after which the client goes on at
/// once, or which ends no earlier than the primary's head was.
fn caught_up(pulled: &Pulled, standby: &Known, primary: &Known) -> bool {
    let (standby, primary) = (&standby.row.state, &primary.row.state);
    match pulled {
        Pulled::Page(page) if standby.lineage == primary.lineage => page.has_more || standby.head >= primary.head,
        _ => false,
    }
}

/// What a new connection to the primary does first: it looks where it leads. Elsewhere than before, nothing that is
/// remembered holds.
fn first_look(states: Arc<States>, feed: Feed) -> FirstLook {
    let last: Arc<Mutex<Option<String>>> = Arc::default();
    Arc::new(move |connection| {
        let (states, feed, last) = (Arc::clone(&states), feed.clone(), Arc::clone(&last));
        async move {
            let here = home::look(connection).await?;
            let before = last.lock().unwrap_or_else(PoisonError::into_inner).replace(here.clone());
            if before.is_some_and(|before| before != here) {
                states.forget();
                feed.wake_all();
            }
            Ok(())
        }
        .boxed()
    })
}

#[async_trait]
impl Store for PostgresStore {
    async fn spaces(
        &self,
        prefix: &str,
        after: Option<SpaceName>,
        limit: usize,
    ) -> Result<Vec<Arc<SpaceState>>, StoreError> {
        let names = Arc::new(NameRange::new(prefix, after.as_ref()));
        let spaces = self.read(move |connection| {
            let names = Arc::clone(&names);
            async move { rows::spaces(connection, &names, limit).await }.boxed()
        });
        Ok(spaces.await?.into_iter().map(|known| Arc::clone(&known.row.state)).collect())
    }

    async fn space(&self, name: &SpaceName) -> Result<Arc<SpaceState>, StoreError> {
        Ok(Arc::clone(&self.load(name).await?.row.state))
    }

    async fn configure(&self, name: SpaceName, policy: PolicyChange) -> Result<(Arc<SpaceState>, bool), StoreError> {
        let (default, now) = (self.default_policy, self.clock.now());
        self.transact(Some(name.clone()), move |connection| {
            let name = name.clone();
            async move { admin::configure(connection, &name, policy, default, now).await }.boxed()
        })
        .await
    }

    async fn set_quota(&self, name: SpaceName, change: QuotaChange) -> Result<Arc<SpaceState>, StoreError> {
        self.transact(Some(name.clone()), move |connection| {
            let name = name.clone();
            async move { admin::set_quota(connection, &name, change).await }.boxed()
        })
        .await
    }

    fn default_quota(&self) -> Quota {
        self.default_quota
    }

    async fn delete_space(&self, name: SpaceName) -> Result<(), StoreError> {
        self.transact(Some(name.clone()), move |connection| {
            let name = name.clone();
            async move { admin::delete(connection, &name).await }.boxed()
        })
        .await
    }

    async fn pull(&self, request: PullRequest) -> Result<Pulled, StoreError> {
        let (now, scope) = (self.clock.now(), request.collections.as_ref().map(Collections::scope));
        let without_rows = |known: &Known| {
            let state = &known.row.state;
            let tally = state.tally(request.collections.as_ref());
            (View { state, tally: &tally, scope, now }).without_rows(&request)
        };
        // Who is under way may hold what was read after a commit that this node has not heard of yet: fetched, or on a page
        // before this one. A state from before it would say that nothing is left to come, and count what is gone.
        let mut known = if is_under_way(request.since) { None } else { self.states.fresh(&request.space) };
        // Nothing new, or nothing known: the space's own row says so, and no record is read. Bad news may be old news:
        // the client may have heard of a commit by another node before this one has.
        match known.as_deref().and_then(without_rows) {
            Some(Pulled::Resync(_)) => known = None,
            Some(answer) => return Ok(answer),
            None => {}
        }
        let known = if let Some(known) = known {
            known
        } else {
            let known = self.load(&request.space).await?;
            if let Some(answer) = without_rows(&known) {
                return Ok(answer);
            }
            known
        };
        self.pull_rows(Arc::new(request), now, known).await
    }

    async fn push(&self, request: PushRequest) -> Result<Pushed, StoreError> {
        self.writer.push(request).await
    }

    async fn write(&self, request: RecordWrite) -> Result<Written, StoreError> {
        self.writer.write(request).await
    }

    async fn record(
        &self,
        space: SpaceName,
        collection: CollectionName,
        id: RecordId,
    ) -> Result<Option<Change>, StoreError> {
        let (wanted, remembered) = (Arc::new((space, collection, id)), self.states.clone());
        self.read(move |connection| {
            let (wanted, remembered) = (Arc::clone(&wanted), remembered.remembered(&wanted.0));
            async move {
                let (space, collection, id) = &*wanted;
                reads::record(connection, space, collection, id, remembered.as_ref()).await
            }
            .boxed()
        })
        .await
    }

    async fn list(&self, request: ListRequest) -> Result<Listing, StoreError> {
        let (request, remembered) = (Arc::new(request), self.states.clone());
        self.read(move |connection| {
            let (request, remembered) = (Arc::clone(&request), remembered.remembered(&request.space));
            async move { reads::list(connection, &request, remembered.as_ref()).await }.boxed()
        })
        .await
    }

    async fn manifest(&self, request: ManifestRequest) -> Result<Manifest, StoreError> {
        let (request, remembered) = (Arc::new(request), self.states.clone());
        self.read(move |connection| {
            let (request, remembered) = (Arc::clone(&request), remembered.remembered(&request.space));
            async move { reads::manifest(connection, &request, remembered.as_ref()).await }.boxed()
        })
        .await
    }

    async fn fetch(&self, request: FetchRequest) -> Result<Fetched, StoreError> {
        let (request, remembered) = (Arc::new(request), self.states.clone());
        self.read(move |connection| {
            let (request, remembered) = (Arc::clone(&request), remembered.remembered(&request.space));
            async move { reads::fetch(connection, &request, remembered.as_ref()).await }.boxed()
        })
        .await
    }

    async fn sweep_step(&self, max_rows: usize) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.transact(None, move |connection| async move { admin::sweep_step(connection, now, max_rows).await }.boxed())
            .await
    }

    async fn may_compact(&self) -> Result<bool, StoreError> {
        self.leader.leads().await.map_err(Fault::into_store)
    }

    async fn open_epoch(&self, space: SpaceName) -> Result<Arc<SpaceState>, StoreError> {
        self.transact(Some(space.clone()), move |connection| {
            let space = space.clone();
            async move { admin::open_epoch(connection, &space).await }.boxed()
        })
        .await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.read(|connection| async move { rows::spaces(connection, &NameRange::all(), 1).await.map(|_| ()) }.boxed())
            .await
    }

    fn meters(&self) -> Meters {
        let mut pools = vec![self.reads.meters("read"), self.writes.meters("write")];
        pools.extend(self.standby.iter().map(Standby::meters));
        Meters { writes: self.writer.meters(), pools, listener: Some(self.link.meters(&self.states)) }
    }

    async fn survey(&self, spaces: usize) -> Result<Survey, StoreError> {
        self.read(move |connection| async move { survey::survey(connection, spaces).await }.boxed()).await
    }

    async fn close(&self) {
        self.writer.close().await;
        self.leader.resign().await;
        self.link.take_leave(&self.writes).await;
        self.link.stop();
        self.writes.close();
        self.reads.close();
        self.standby.iter().for_each(Standby::close);
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.link.stop();
    }
}
