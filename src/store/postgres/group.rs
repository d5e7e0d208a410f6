//! One attempt at a group of writes: four round trips, however many writes and records there are.
//!
//! 1. `BEGIN`, and the rows of the spaces, locked until the commit;
//! 2. what is there of every record and client that the writes are about (a statement's snapshot is taken when it runs, so
//!    that it sees whatever was committed before the locks were had);
//! 3. what the writes came to, as sets of rows;
//! 4. `COMMIT`.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::{try_join, try_join5};
use tokio::time::timeout;

use super::fault::Fault;
use super::pool::Session;
use super::rows::{self, VERSIONED, VersionedColumns};
use super::statements::{
    Existing as ReadExisting, Insert, MakeCollections, Seqs, SetSeqs, Update, UpdateCollections, UpdateSpaces,
};
use super::states::{Known, States};
use super::task::Task;
use super::transaction::Transaction;
use crate::domain::push::Existing;
use crate::domain::{Clock, Document, RecordId, Rev, SpaceName, Timestamp};
use crate::store::StoreError;
use crate::store::meters::WriteCounts;
use crate::store::schema::{epochs, spaces};
use crate::store::writes::Defaults;

/// The isolation in which each statement sees what was committed before it: whoever has waited for a lock must see what
/// the one before him did.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// The waiting writes of each space of a group.
pub(super) type Group = Vec<(SpaceName, Vec<Task>)>;

/// Whether a group waits for the locks of its spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locking {
    /// It is of one space, and waits; where there is no such space, it may make it.
    Wait,
    /// It is of several, and leaves out those that are locked by somebody else or do not exist: no space waits for
    /// another one's lock, and so none for ever.
    Skip,
}

/// How an attempt failed.
pub(super) enum Failure {
    /// Nothing was changed.
    Undone(Fault),
    /// The connection broke while the commit was on its way: it may have been carried out.
    Unknown(String),
}

impl<E: Into<Fault>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Undone(error.into())
    }
}

/// What an attempt needs beside its connection.
pub(super) struct Attempt<'a> {
    pub states: &'a States,
    pub clock: &'a dyn Clock,
    pub defaults: Defaults,
    /// How long the server may take over a step before the connection is taken for dead.
    pub patience: Duration,
    pub counts: &'a WriteCounts,
}

impl Attempt<'_> {
    /// Runs the group in one transaction. Answers the spaces that it changed, as they are now; the group then holds only
    /// those that had their turn, and `left` those that were locked or missing.
    pub async fn run(
        &self,
        session: Session,
        group: &mut Group,
        locking: Locking,
        left: &mut Group,
    ) -> Result<Vec<Arc<Known>>, Failure> {
        let begun = Instant::now();
        let connection = session.connection()?;
        let locked = self.within(lock(connection, group, locking)).await?;
        if locking == Locking::Skip {
            let (turn, rest) = std::mem::take(group).into_iter().partition(|(name, _)| has(&locked, name));
            *group = turn;
            left.extend::<Group>(rest);
        }
        if group.is_empty() {
            session.roll_back().await;
            return Ok(Vec::new());
        }
        let known = self.within(self.known(connection, locked)).await?;
        let mut transaction = Transaction::new(self.clock.now(), self.defaults);
        for known in &known {
            transaction.add(known);
        }
        self.within(read(connection, group, &mut transaction)).await?;
        for task in group.iter_mut().flat_map(|(_, tasks)| tasks) {
            task.run(&mut transaction)?;
        }
        if transaction.dirty().next().is_none() {
            session.roll_back().await;
            return Ok(Vec::new());
        }
        let versions = self.within(write(connection, &mut transaction)).await?;
        let committing = Instant::now();
        self.commit(connection).await?;
        let size = group.iter().map(|(_, tasks)| tasks.len()).sum();
        self.counts.committed(size, begun.elapsed(), committing.elapsed());
        session.settle();
        let changed = transaction.into_dirty().filter_map(|space| {
            let version = versions.get(&space.id?)?;
            space.into_known(*version).map(Arc::new)
        });
        Ok(changed.collect())
    }

    /// What is there of each locked space: remembered, or read.
    async fn known(
        &self,
        connection: &AsyncPgConnection,
        locked: Vec<VersionedColumns>,
    ) -> Result<Vec<Arc<Known>>, Fault> {
        let (mut known, mut unknown) = (Vec::with_capacity(locked.len()), Vec::new());
        for (row, version) in locked {
            let name = row.1.as_deref().and_then(|name| SpaceName::new(name).ok());
            let remembered = name.and_then(|name| self.states.remembered(&name));
            match remembered.filter(|remembered| (remembered.row.id, remembered.version) == (row.0, version)) {
                Some(remembered) => known.push(remembered),
                None => unknown.push((row, version)),
            }
        }
        if !unknown.is_empty() {
            known.extend(rows::assemble(connection, unknown).await?);
        }
        Ok(known)
    }

    async fn commit(&self, mut connection: &AsyncPgConnection) -> Result<(), Failure> {
        match self.within(async { Ok(connection.batch_execute("COMMIT").await?) }).await {
            Ok(()) => Ok(()),
            Err(Fault::Lost(why)) => Err(Failure::Unknown(why)),
            // The server refused it, and so rolled it back.
            Err(fault) => Err(Failure::Undone(fault)),
        }
    }

    async fn within<T>(&self, step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        timeout(self.patience, step).await.unwrap_or_else(|_| Err(Fault::Lost("the server did not answer".into())))
    }
}

fn has(locked: &[VersionedColumns], name: &SpaceName) -> bool {
    locked.iter().any(|(row, _)| row.1.as_deref() == Some(name.as_str()))
}

/// Begins, and locks the rows of the group's spaces. `BEGIN` is one message that nothing precedes; so it is sent first,
/// and what is sent with it runs within the transaction.
async fn lock(connection: &AsyncPgConnection, group: &Group, locking: Locking) -> Result<Vec<VersionedColumns>, Fault> {
    let (mut first, mut second) = (connection, connection);
    let names: Vec<&str> = group.iter().map(|(name, _)| name.as_str()).collect();
    let rows = spaces::table.filter(spaces::name.eq_any(&names)).select(VERSIONED).for_update();
    let begin = first.batch_execute(BEGIN);
    let ((), locked) = match locking {
        Locking::Wait => try_join(begin, rows.load::<VersionedColumns>(&mut second)).await?,
        Locking::Skip => try_join(begin, rows.skip_locked().load::<VersionedColumns>(&mut second)).await?,
    };
    Ok(locked)
}

/// Reads what is there of all that the group is about.
async fn read(connection: &AsyncPgConnection, group: &Group, transaction: &mut Transaction) -> Result<(), Fault> {
    let (mut records, mut seqs) = (ReadExisting::default(), Seqs::default());
    let mut places = HashMap::new();
    let mut owners = HashMap::new();
    for (name, tasks) in group {
        let Some(space) = transaction.get_mut(name) else { continue };
        let Some(id) = space.id else { continue };
        owners.insert(id, name);
        for task in tasks {
            for (collection, record) in task.keys() {
                let Some(collection_id) = space.collections.get(collection).copied() else { continue };
                space.asked(collection, record);
                places.insert(collection_id, (name, collection));
                records.collections.push(collection_id);
                records.ids.push(record.as_str());
            }
            if let Some(client) = task.client() {
                seqs.spaces.push(id);
                seqs.names.push(client);
            }
        }
    }
    let (mut one, mut other) = (connection, connection);
    let (records, seqs) = try_join(
        async {
            if records.ids.is_empty() {
                return Ok(Vec::new());
            }
            records.load::<(i64, String, i64, i64, Option<String>)>(&mut one).await
        },
        async {
            if seqs.names.is_empty() {
                return Ok(Vec::new());
            }
            seqs.load::<(i64, String, i64)>(&mut other).await
        },
    )
    .await?;
    for (collection_id, id, rev, modified_at, data) in records {
        let Some((name, collection)) = places.get(&collection_id) else { continue };
        let existing = Existing::Record {
            rev: Rev::from_stored(rev),
            modified_at: Timestamp::from_micros(modified_at),
            data: data.map(|data| Document::from_stored(data.into_boxed_str())),
        };
        if let Some(space) = transaction.get_mut(name) {
            space.found(collection, RecordId::from_stored(id), existing);
        }
    }
    for (space_id, client, seq) in seqs {
        if let Some(space) = owners.get(&space_id).and_then(|name| transaction.get_mut(name)) {
            space.found_seq(client, seq.unsigned_abs());
        }
    }
    Ok(())
}

/// Writes back what the group changed; answers the new versions of the spaces, by id.
async fn write(connection: &AsyncPgConnection, transaction: &mut Transaction) -> Result<HashMap<i64, i64>, Fault> {
    make(connection, transaction).await?;
    let (mut added, mut replaced, mut collections) =
        (Insert::default(), Update::default(), UpdateCollections::default());
    let (mut spaces, mut seqs) = (UpdateSpaces::default(), SetSeqs::default());
    let mut versions = HashMap::new();
    for space in transaction.dirty() {
        let id = space.id.ok_or_else(|| Fault::Store(StoreError::internal("a space was written without an id")))?;
        for row in space.rows() {
            let collection = space.collections.get(row.collection).copied();
            let collection =
                collection.ok_or_else(|| StoreError::internal("a collection was written without an id"))?;
            if row.stored {
                replaced.revs.push(row.rev.to_stored());
                replaced.collections.push(collection);
                replaced.ids.push(row.id.as_str());
                replaced.times.push(row.modified_at.micros());
                replaced.data.push(row.data.map(Document::as_str));
            } else {
                added.spaces.push(id);
                added.revs.push(row.rev.to_stored());
                added.collections.push(collection);
                added.ids.push(row.id.as_str());
                added.times.push(row.modified_at.micros());
                added.data.push(row.data.map(Document::as_str));
            }
        }
        for (name, state) in space.written() {
            let Some(id) = space.collections.get(name) else { continue };
            collections.push(*id, state);
        }
        for (client, seq) in space.new_seqs() {
            seqs.spaces.push(id);
            seqs.names.push(client);
            seqs.seqs.push(i64::try_from(seq).map_err(StoreError::internal)?);
            seqs.times.push(transaction.now.micros());
        }
        let version = new_version();
        spaces.push(id, &space.state, version);
        versions.insert(id, version);
    }
    let (new, old, no_seqs) = (added.ids.len(), replaced.ids.len(), seqs.names.is_empty());
    let (mut first, mut second, mut third, mut fourth, mut last) =
        (connection, connection, connection, connection, connection);
    let (_, done, ..) = try_join5(
        async { if new == 0 { Ok(0) } else { added.execute(&mut first).await } },
        async { if old == 0 { Ok(0) } else { replaced.execute(&mut second).await } },
        collections.execute(&mut third),
        spaces.execute(&mut fourth),
        async { if no_seqs { Ok(0) } else { seqs.execute(&mut last).await } },
    )
    .await?;
    if done != old {
        // The space is locked, so that nobody else removes a row.
        return Err(Fault::Store(StoreError::internal(format!("{done} of {old} records are still there"))));
    }
    Ok(versions)
}

/// Makes the spaces and collections that are new, which then have ids.
async fn make(connection: &AsyncPgConnection, transaction: &mut Transaction) -> Result<(), Fault> {
    let mut new = MakeCollections::default();
    for space in transaction.dirty_mut() {
        if space.id.is_none() {
            space.id = Some(make_space(connection, &space.state).await?);
        }
    }
    for space in transaction.dirty() {
        for (name, _) in space.written().filter(|(name, _)| !space.collections.contains_key(*name)) {
            new.spaces.extend(space.id);
            new.names.push(name.as_str());
        }
    }
    if new.names.is_empty() {
        return Ok(());
    }
    let mut connection = connection;
    let made = new.load::<(i64, i64, String)>(&mut connection).await?;
    for space in transaction.dirty_mut() {
        for (id, _, name) in made.iter().filter(|(_, owner, _)| Some(*owner) == space.id) {
            let name = crate::domain::CollectionName::new(name).map_err(StoreError::internal)?;
            space.collections.insert(name, *id);
        }
    }
    Ok(())
}

/// Makes a space. Where another node was first, its unique name tells, and the next attempt finds it made.
pub(super) async fn make_space(
    mut connection: &AsyncPgConnection,
    state: &crate::domain::SpaceState,
) -> Result<i64, Fault> {
    let id = diesel::insert_into(spaces::table)
        .values((
            spaces::name.eq(state.name.as_str()),
            spaces::head.eq(0),
            spaces::retention.eq(state.policy.retention.to_string()),
            spaces::hold_for_clients.eq(state.policy.hold_for_clients),
            spaces::max_retention.eq(state.policy.max_retention.to_string()),
            spaces::max_tombstones.eq(state.policy.max_tombstones.map(u64::cast_signed)),
            spaces::created_at.eq(state.created_at.micros()),
            spaces::modified_at.eq(state.modified_at.micros()),
            spaces::version.eq(new_version()),
        ))
        .returning(spaces::id)
        .get_result::<i64>(&mut connection)
        .await?;
    diesel::insert_into(epochs::table)
        .values((
            epochs::space_id.eq(id),
            epochs::ordinal.eq(0),
            epochs::epoch.eq(state.epoch().to_string()),
            epochs::opened_at.eq(0),
        ))
        .execute(&mut connection)
        .await?;
    Ok(id)
}

/// A version that no transaction ever had.
pub(super) fn new_version() -> i64 {
    let (bits, _) = uuid::Uuid::new_v4().as_u64_pair();
    bits.cast_signed()
}
