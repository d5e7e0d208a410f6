//! The offline client: a copy of a space in a local SQLite file, with an outbox of edits (clients/PROTOCOL-CLIENT.md).
//!
//! The user reads and writes the file, online or not; [`Replica::sync`] does the rest. Whatever happens in between, the
//! killing of the process included, nothing that the user did is lost without being listed as a conflict, nothing that was
//! deleted rises again, and once a sync has ended well the replica is what the server has, proven by count and checksum.
//!
//! ```no_run
//! use strandline::replica::{Options, Origin, Replica};
//!
//! let origin = Origin { url: "http://127.0.0.1:7878".into(), space: "demo".parse()?, collections: None };
//! let replica = Replica::create("demo.replica".as_ref(), &origin, Options::default())?;
//! let (todos, milk) = ("todos".parse()?, strandline::domain::RecordId::new("milk")?);
//! replica.put(&todos, &milk, &Replica::document(r#"{"title":"Buy milk"}"#)?)?;
//! let report = replica.sync()?;
//! println!("{} pushed, {} pulled, {} conflicts", report.pushed, report.pulled, report.conflicts);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every call is blocking, and every step of a sync is one local transaction. Any number of threads and processes may use
//! one file at once.
//!
//! - `edit` is what the user does and sees, `conflict` what was discarded of it; `state` is where the replica stands, `status`
//!   what of that is for people, `database` the file.
//! - `step` says what is to be done next, `sync` asks, `apply` books the answer; `wire` is the protocol's JSON.

mod apply;
mod conflict;
mod database;
mod edit;
mod error;
mod follow;
mod schema;
mod state;
mod status;
mod step;
mod sync;
mod transport;
mod watch;
mod wire;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::SqliteConnection;
use diesel::prelude::*;
use serde_json::value::RawValue;

use crate::domain::{Checksum, CollectionName, Collections, Document, JsonFault, RecordId, SpaceName};
use database::Database;
use schema::{edits, records, replica, sending};
use sync::Sync;
use watch::Watchers;

pub use conflict::Conflict;
pub use error::ReplicaError;
pub use follow::{Followed, Stop};
pub use status::Status;
pub use sync::{Progress, Report};
pub use transport::{Http, Request, Response, Transport};
pub use watch::{LocalChange, Watch};

/// Between the address of a server and the name of a space.
const SPACES: &str = "/v1/spaces/";

/// What a replica is a copy of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The server's address, such as `http://127.0.0.1:7878`.
    pub url: String,
    /// The space.
    pub space: SpaceName,
    /// The collections that are copied; `None` for all.
    pub collections: Option<Collections>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.space, self.url)?;
        match &self.collections {
            Some(collections) => write!(f, " (collections {collections})"),
            None => Ok(()),
        }
    }
}

/// How a replica is used. Nothing of it is stored.
#[derive(Clone)]
pub struct Options {
    /// The token for the server.
    pub token: Option<String>,
    /// How requests are sent; `None` for [`Http`] to the origin's address.
    pub transport: Option<Arc<dyn Transport>>,
    /// How often a request is made before a sync gives up.
    pub tries: u32,
    /// Asked before each commit to the file; where it says no, the commit fails with [`ReplicaError::Interrupted`]. For
    /// tests of what a process leaves that is killed.
    pub before_commit: Option<Arc<dyn Fn() -> bool + Send + std::marker::Sync>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { token: None, transport: None, tries: 5, before_commit: None }
    }
}

/// A set of records, summed up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sum {
    /// How many.
    pub records: u64,
    /// Their checksum (PROTOCOL.md §1).
    pub checksum: String,
}

impl Sum {
    fn new(count: i64, checksum: Checksum) -> Self {
        Self { records: u64::try_from(count).unwrap_or(0), checksum: checksum.to_string() }
    }
}

/// Whether a replica was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether count and checksum in the file were those of its records.
    pub sound: bool,
    /// Whether the records were the server's, without a repair for being different.
    pub same: bool,
    /// The records that were held, when they were compared.
    pub here: Sum,
    /// What the server had then; `None` where it has no such space.
    pub server: Option<Sum>,
    /// What was done.
    pub report: Report,
}

impl Verdict {
    /// Whether the replica was what the server has. Where it was not, a repair may have mended it since.
    pub fn was_right(&self) -> bool {
        self.sound && self.same
    }
}

/// A replica. Clones share it.
#[derive(Clone)]
pub struct Replica(Arc<Shared>);

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Replica").field(&self.0.origin).finish()
    }
}

struct Shared {
    database: Mutex<Database>,
    transport: Arc<dyn Transport>,
    tries: u32,
    origin: Origin,
    client: String,
    watchers: Watchers,
}

impl Replica {
    /// Makes an empty replica of `origin` in a new file. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ReplicaError::Exists`], [`ReplicaError::Address`], [`ReplicaError::Token`], [`ReplicaError::Local`].
    pub fn create(path: &Path, origin: &Origin, options: Options) -> Result<Self, ReplicaError> {
        let transport = transport(origin, &options)?;
        if path.exists() {
            return Err(ReplicaError::Exists(path.to_owned()));
        }
        let mut database = Database::open(path, options.before_commit)?;
        let client = database.write(|file| {
            inscribe(file, origin)?;
            Ok(replica::table.select(replica::name).first::<String>(file)?)
        })?;
        Ok(Self::new(database, transport, options.tries, origin.clone(), client))
    }

    /// Opens the replica of `origin` in a file, or makes it. What a process left that was killed while it made one is
    /// taken over.
    ///
    /// # Errors
    /// [`ReplicaError::Exists`] where something else is in the file, [`ReplicaError::OtherOrigin`],
    /// [`ReplicaError::Address`], [`ReplicaError::Token`], [`ReplicaError::Local`].
    pub fn open_or_create(path: &Path, origin: &Origin, options: Options) -> Result<Self, ReplicaError> {
        transport(origin, &options)?;
        if path.exists() && !is_replica(path) && !is_blank(path) {
            return Err(ReplicaError::Exists(path.to_owned()));
        }
        Database::open(path, options.before_commit.clone())?.write(|file| inscribe(file, origin))?;
        let replica = Self::open(path, options)?;
        if replica.origin() != origin {
            return Err(ReplicaError::OtherOrigin(path.to_owned(), Box::new(replica.origin().clone())));
        }
        Ok(replica)
    }

    /// Opens the replica in a file.
    ///
    /// # Errors
    /// [`ReplicaError::NotAReplica`], [`ReplicaError::Token`], [`ReplicaError::Local`].
    #[expect(clippy::needless_pass_by_value, reason = "the same as for a new one")]
    pub fn open(path: &Path, options: Options) -> Result<Self, ReplicaError> {
        let not_one = || ReplicaError::NotAReplica(path.to_owned());
        if !is_replica(path) {
            return Err(not_one());
        }
        let mut database = Database::open(path, options.before_commit.clone())?;
        let columns = (replica::url, replica::collections, replica::name);
        let row = database.read(|file| Ok(replica::table.select(columns).first(file).optional()?))?;
        let (url, collections, client): (String, Option<String>, String) = row.ok_or_else(not_one)?;
        let (url, space) = url.rsplit_once(SPACES).ok_or_else(not_one)?;
        let broken = |fault: crate::domain::NameFault| ReplicaError::Local(fault.to_string());
        let origin = Origin {
            url: url.to_owned(),
            space: SpaceName::new(space).map_err(broken)?,
            collections: collections.map(|list| Collections::parse(&list)).transpose().map_err(broken)?,
        };
        let transport = transport(&origin, &options)?;
        Ok(Self::new(database, transport, options.tries, origin, client))
    }

    fn new(database: Database, transport: Arc<dyn Transport>, tries: u32, origin: Origin, client: String) -> Self {
        let (database, watchers) = (Mutex::new(database), Watchers::default());
        Self(Arc::new(Shared { database, transport, tries, origin, client, watchers }))
    }

    /// What it is a copy of.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// A record's data from JSON text, as [`Self::put`] takes it.
    ///
    /// # Errors
    /// [`JsonFault`] where it is no JSON object, or one that no server takes (PROTOCOL.md §2).
    pub fn document(json: &str) -> Result<Document, JsonFault> {
        let raw: &RawValue = serde_json::from_str(json).map_err(|_| JsonFault::Malformed)?;
        Document::parse(raw)
    }

    /// What the user sees of a record: the newest edit, or what the server has.
    ///
    /// # Errors
    /// [`ReplicaError::Local`].
    pub fn get(&self, collection: &CollectionName, id: &RecordId) -> Result<Option<Document>, ReplicaError> {
        self.read(|file| edit::see(file, collection.as_str(), id.as_str()))
    }

    /// What the user sees of a collection: at most `limit` records in order of id, by bytes, those after `after`.
    ///
    /// # Errors
    /// [`ReplicaError::Local`].
    pub fn list(
        &self,
        collection: &CollectionName,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Vec<(RecordId, Document)>, ReplicaError> {
        self.read(|file| edit::list(file, collection.as_str(), after.map(RecordId::as_str), limit))
    }

    /// The collections in which there is anything.
    ///
    /// # Errors
    /// [`ReplicaError::Local`].
    pub fn collection_names(&self) -> Result<Vec<CollectionName>, ReplicaError> {
        let names = self.read(|file| {
            let mut names = records::table.select(records::collection).distinct().load::<String>(file)?;
            names.extend(edits::table.select(edits::collection).distinct().load::<String>(file)?);
            names.extend(sending::table.select(sending::collection).distinct().load::<String>(file)?);
            names.sort_unstable();
            names.dedup();
            Ok(names)
        })?;
        Ok(names.iter().filter_map(|name| CollectionName::new(name).ok()).collect())
    }

    /// Writes a record. It is in the file when this returns, and at the server after the next sync.
    ///
    /// # Errors
    /// [`ReplicaError::NotCopied`], [`ReplicaError::Local`].
    pub fn put(&self, collection: &CollectionName, id: &RecordId, data: &Document) -> Result<(), ReplicaError> {
        self.must_copy(collection)?;
        self.write(|file| edit::put(file, collection, id, data))?;
        self.tell(&[(collection.to_string(), id.to_string())]);
        Ok(())
    }

    /// Deletes a record. `false` when there is none.
    ///
    /// # Errors
    /// [`ReplicaError::NotCopied`], [`ReplicaError::Local`].
    pub fn delete(&self, collection: &CollectionName, id: &RecordId) -> Result<bool, ReplicaError> {
        self.must_copy(collection)?;
        let deleted = self.write(|file| edit::delete(file, collection, id))?;
        if deleted {
            self.tell(&[(collection.to_string(), id.to_string())]);
        }
        Ok(deleted)
    }

    /// Pushes, pulls, checks, and repairs where that is needed.
    ///
    /// # Errors
    /// [`ReplicaError`]; whatever it is, the next sync goes on where this one was.
    pub fn sync(&self) -> Result<Report, ReplicaError> {
        self.sync_with(&mut |_| {})
    }

    /// [`Self::sync`], telling how far it is.
    ///
    /// # Errors
    /// Those of [`Self::sync`].
    pub fn sync_with(&self, progress: &mut dyn FnMut(Progress)) -> Result<Report, ReplicaError> {
        Sync::new(self, progress).run()
    }

    /// Counts anew what is in the file, and compares it with the server, pulling what is new there; edits stay where they are.
    /// With `repair`, a difference is mended by comparing revision by revision; without, the next sync mends it.
    ///
    /// # Errors
    /// Those of [`Self::sync`]. That the replica is not what the server has is none, unless a repair did not help.
    pub fn verify(&self, repair: bool, progress: &mut dyn FnMut(Progress)) -> Result<Verdict, ReplicaError> {
        let sound = self.write(apply::recount)?;
        Sync::new(self, progress).check(sound, repair)
    }

    /// Tells of changes from now on.
    pub fn watch(&self) -> Watch {
        self.0.watchers.watch()
    }

    /// What is not copied cannot be edited: the server would have the record, and the replica not.
    fn must_copy(&self, collection: &CollectionName) -> Result<(), ReplicaError> {
        match self.collections() {
            Some(copied) if !copied.contains(collection) => Err(ReplicaError::NotCopied(collection.clone())),
            _ => Ok(()),
        }
    }

    fn collections(&self) -> Option<&Collections> {
        self.0.origin.collections.as_ref()
    }

    fn tries(&self) -> u32 {
        self.0.tries
    }

    fn send(&self, request: &Request) -> Result<Response, String> {
        self.0.transport.send(&self.0.client, request)
    }

    fn tell(&self, keys: &[apply::Key]) {
        self.0.watchers.tell(keys);
    }

    fn read<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T, ReplicaError>) -> Result<T, ReplicaError> {
        self.0.database.lock().unwrap_or_else(PoisonError::into_inner).read(work)
    }

    fn write<T>(&self, work: impl FnOnce(&mut SqliteConnection) -> Result<T, ReplicaError>) -> Result<T, ReplicaError> {
        self.0.database.lock().unwrap_or_else(PoisonError::into_inner).write(work)
    }
}

/// Writes down what a new file is a replica of. What is written already stays.
fn inscribe(file: &mut SqliteConnection, origin: &Origin) -> Result<(), ReplicaError> {
    let row = (
        replica::url.eq(format!("{}{SPACES}{}", origin.url.trim_end_matches('/'), origin.space)),
        replica::collections.eq(origin.collections.as_ref().map(ToString::to_string)),
        replica::name.eq(format!("replica-{}", uuid::Uuid::new_v4().simple())),
    );
    diesel::insert_or_ignore_into(replica::table).values(row).execute(file)?;
    Ok(())
}

/// Whether there is a file with a replica's tables. Looked at before anything is changed in it.
fn is_replica(path: &Path) -> bool {
    count_tables(path, "name IN ('replica', 'sending', 'edits')") == Some(3)
}

/// Whether a file is an empty one: what is left where a process was killed before there was anything in it.
fn is_blank(path: &Path) -> bool {
    count_tables(path, "TRUE") == Some(0)
}

/// How many tables a file has of those that `which` says; `None` where it is no database.
fn count_tables(path: &Path, which: &str) -> Option<i64> {
    if !path.is_file() {
        return None;
    }
    let mut connection = SqliteConnection::establish(path.to_str()?).ok()?;
    let query = format!("(SELECT count(*) FROM sqlite_master WHERE type = 'table' AND {which})");
    diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>(&query)).get_result(&mut connection).ok()
}

fn transport(origin: &Origin, options: &Options) -> Result<Arc<dyn Transport>, ReplicaError> {
    match &options.transport {
        Some(transport) => Ok(Arc::clone(transport)),
        None => Ok(Arc::new(Http::new(&origin.url, &origin.space, options.token.as_deref())?)),
    }
}
