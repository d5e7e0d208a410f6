//! The words in which the model test speaks with a server: the protocol's requests and answers, nothing of the crate's.
//!
//! `Version`, `edit`, `basis` and `told` are notes of the ledger, which sees everything. They travel with the messages
//! so that it can tell later what a replica really saw; no server and no replica ever decides by them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub type Rev = u64;
/// One version of one record in everything that ever happened, lost histories included.
pub type Version = u32;
/// The collections asked for; `None` for all.
pub type Scope = Option<&'static [&'static str]>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub collection: &'static str,
    pub id: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Data {
    pub title: u32,
    pub done: bool,
}

/// The longest data that a server of this test takes, in bytes: a title of one or two digits.
pub const MAX_RECORD_BYTES: usize = 25;
/// A title that makes a record too large.
pub const TOO_LARGE: u32 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Patch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<bool>,
}

impl Patch {
    pub fn of(self, data: Data) -> Data {
        Data { title: self.title.unwrap_or(data.title), done: self.done.unwrap_or(data.done) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Put(Data),
    Patch(Patch),
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Absent,
    Seen(Rev),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Key,
    pub rev: Rev,
    /// `None` for a tombstone.
    pub data: Option<Data>,
    pub version: Version,
}

#[derive(Clone, Debug)]
pub struct Proposal {
    pub key: Key,
    pub base: Base,
    pub op: Op,
    /// Which edit of a user it is: a push that is sent twice carries the same ones.
    pub edit: u32,
    /// The version that the user looked at.
    pub basis: Option<Version>,
}

#[derive(Clone, Debug)]
pub struct Push {
    pub proposals: Vec<Proposal>,
    pub cursor: Option<String>,
    pub scope: Scope,
    pub client: usize,
    pub seq: u64,
    pub atomic: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied(Rev, Version),
    Unchanged(Option<(Rev, Version)>),
    Conflict(Option<Change>),
    Rejected,
    NotApplied,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub outcomes: Vec<Outcome>,
    pub previous_head: Rev,
    pub head: Rev,
    pub cursor: String,
    pub duplicate: bool,
    /// It was atomic, and something stood against it (409).
    pub refused: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Since<'a> {
    Nothing,
    Cursor(&'a str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub changes: Vec<Change>,
    pub cursor: String,
    pub has_more: bool,
    pub head: Rev,
    pub horizon: Rev,
    pub check: Option<(u64, u64)>,
    pub told: Told,
}

/// The deletions that an answer tells of, by a tombstone or by silence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The history that it speaks of: how many restores had been when it was made.
    pub history: usize,
    pub dead: Vec<Version>,
}

/// The 410.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resync {
    pub reason: &'static str,
    pub epoch: String,
    pub head: Rev,
    pub horizon: Rev,
    pub shared_rev: Rev,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub cursor: String,
    pub head: Rev,
    pub horizon: Rev,
    pub revs: BTreeSet<Rev>,
    pub check: (u64, u64),
    pub told: Told,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub changes: Vec<Change>,
    pub next: Option<Rev>,
}

/// A server of one space, as its clients and its operator see it.
pub trait Server {
    fn pull(&mut self, since: Since, scope: Scope, limit: usize) -> Result<Page, Resync>;
    fn push(&mut self, push: &Push) -> Result<Answer, Resync>;
    fn manifest(&mut self, scope: Scope) -> Manifest;
    fn fetch(&mut self, revs: &BTreeSet<Rev>, scope: Scope, from: Rev, limit: usize) -> Fetched;
    /// An unconditional write over REST. Answers the record as it is then; `None` where there is none to patch or delete.
    fn write(&mut self, key: Key, op: Op) -> Option<Change>;
    /// Purges every tombstone that is `age` seconds old or older.
    fn purge(&mut self, age: u64);
    fn restart(&mut self);
    /// Takes a backup, numbered from 0.
    fn back_up(&mut self);
    /// Puts a backup back: with `plainly`, by copying files; else by the product's own backup.
    fn restore(&mut self, backup: usize, plainly: bool);
    fn open_epoch(&mut self);
    fn epoch(&mut self) -> String;
    /// A second goes by.
    fn tick(&mut self);
    /// What a server that watches itself has found wrong.
    fn fault(&self) -> Option<String> {
        None
    }
}

pub fn in_scope(scope: Scope, key: Key) -> bool {
    scope.is_none_or(|names| names.contains(&key.collection))
}

/// The epoch of a cursor, which a client may read though the rest is opaque to it.
pub fn epoch_of(cursor: &str) -> &str {
    cursor.split('.').next().unwrap()
}

/// The revision of a cursor: the base of a client that has no other.
pub fn rev_of(cursor: &str) -> Rev {
    cursor.split(['.', '~']).nth(1).unwrap().parse().unwrap()
}

pub fn is_whole(cursor: &str) -> bool {
    cursor.matches('.').count() == 1
}

/// Count and checksum of a set of revisions (§1), written from the page and not from the crate.
pub fn check_of(revs: impl Iterator<Item = Rev>) -> (u64, u64) {
    revs.fold((0, 0), |(count, sum), rev| {
        let z = rev.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (count + 1, sum ^ z ^ (z >> 31))
    })
}
