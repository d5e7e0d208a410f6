//! The JSON of the protocol, from a client's side: what is sent, and what comes back.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ReplicaError;
use crate::domain::{Checksum, CollectionName, Document, RecordId, Rev, Runs, Timestamp};

/// A record as it travels (§2). In a push's result a record that is not there has no revision.
#[derive(Deserialize)]
struct WireChange<'a> {
    collection: String,
    id: String,
    rev: Option<u64>,
    modified_at: Option<String>,
    deleted: bool,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The same, checked. Without a revision there is no such record.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub collection: CollectionName,
    pub id: RecordId,
    pub rev: Option<Rev>,
    pub modified_at: Timestamp,
    /// `None` in a tombstone.
    pub data: Option<Document>,
}

impl Remote {
    fn new(change: WireChange<'_>) -> Result<Self, ReplicaError> {
        let data = match change.data {
            Some(raw) if !change.deleted => Some(Document::parse(raw).map_err(wrong)?),
            None if change.deleted => None,
            _ => return Err(wrong("a record with data that is deleted, or without that is not")),
        };
        let modified_at = change.modified_at.map(|text| text.parse().map_err(wrong)).transpose()?;
        Ok(Self {
            collection: CollectionName::new(&change.collection).map_err(wrong)?,
            id: RecordId::new(change.id).map_err(wrong)?,
            rev: change.rev.map(|rev| Rev::new(rev).map_err(wrong)).transpose()?,
            modified_at: modified_at.unwrap_or_default(),
            data,
        })
    }
}

#[derive(Deserialize)]
struct WirePage<'a> {
    #[serde(borrow)]
    changes: Vec<WireChange<'a>>,
    cursor: String,
    has_more: bool,
    head: u64,
    count: Option<i64>,
    checksum: Option<String>,
}

/// A page of changes (§3).
pub(super) struct Page {
    pub changes: Vec<Remote>,
    pub cursor: String,
    pub head: Rev,
    /// Count and checksum of the live records; `None` while there is more.
    pub end: Option<(i64, Checksum)>,
}

impl Page {
    pub fn parse(body: &[u8]) -> Result<Self, ReplicaError> {
        let page: WirePage<'_> = parse(body)?;
        let end = match (page.has_more, page.count, page.checksum) {
            (true, ..) => None,
            (false, Some(count), Some(checksum)) => Some((count, checksum.parse().map_err(wrong)?)),
            (false, ..) => return Err(wrong("a last page without count and checksum")),
        };
        Ok(Self {
            changes: page.changes.into_iter().map(Remote::new).collect::<Result<_, _>>()?,
            cursor: page.cursor,
            head: Rev::new(page.head).map_err(wrong)?,
            end,
        })
    }
}

#[derive(Deserialize)]
struct WireManifest {
    epoch: String,
    cursor: String,
    head: u64,
    runs: Vec<u64>,
}

/// The exact set of live revisions (§6).
pub(super) struct Manifest {
    pub epoch: String,
    pub cursor: String,
    pub head: Rev,
    pub runs: Runs,
}

impl Manifest {
    pub fn parse(body: &[u8]) -> Result<Self, ReplicaError> {
        let manifest: WireManifest = parse(body)?;
        Ok(Self {
            epoch: manifest.epoch,
            cursor: manifest.cursor,
            head: Rev::new(manifest.head).map_err(wrong)?,
            runs: Runs::new(manifest.runs).map_err(wrong)?,
        })
    }
}

#[derive(Deserialize)]
struct WireFetched<'a> {
    #[serde(borrow)]
    changes: Vec<WireChange<'a>>,
    next: Option<u64>,
}

/// Fetched records (§6), and the revision from which to ask again.
pub(super) struct Fetched {
    pub changes: Vec<Remote>,
    pub next: Option<Rev>,
}

impl Fetched {
    pub fn parse(body: &[u8]) -> Result<Self, ReplicaError> {
        let page: WireFetched<'_> = parse(body)?;
        Ok(Self {
            changes: page.changes.into_iter().map(Remote::new).collect::<Result<_, _>>()?,
            next: page.next.map(|rev| Rev::new(rev).map_err(wrong)).transpose()?,
        })
    }
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow)]
    results: Vec<WireResult<'a>>,
    previous_head: u64,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct WireResult<'a> {
    status: String,
    rev: Option<u64>,
    modified_at: Option<String>,
    #[serde(borrow)]
    record: Option<WireChange<'a>>,
    #[serde(borrow)]
    problem: Option<&'a RawValue>,
}

/// What became of a push (§4).
pub(super) struct Answer {
    pub results: Vec<Outcome>,
    pub previous_head: Rev,
    /// `None` where there is no space, and nothing was applied that would have made it.
    pub cursor: Option<String>,
}

/// What became of one change.
pub(super) enum Outcome {
    /// `applied` or `unchanged`: it is as it was sent, under this revision. `None` where there is nothing left of it.
    Done { rev: Option<Rev>, modified_at: Timestamp },
    /// The server's own.
    Conflict(Remote),
    /// The problem, as JSON.
    Rejected(String),
}

impl Answer {
    pub fn parse(body: &[u8]) -> Result<Self, ReplicaError> {
        let answer: WireAnswer<'_> = parse(body)?;
        let outcome = |result: WireResult<'_>| match (result.status.as_str(), result.record, result.problem) {
            ("applied" | "unchanged", ..) => Ok(Outcome::Done {
                rev: result.rev.map(|rev| Rev::new(rev).map_err(wrong)).transpose()?,
                modified_at: result.modified_at.map(|at| at.parse().map_err(wrong)).transpose()?.unwrap_or_default(),
            }),
            ("conflict", Some(record), _) => Remote::new(record).map(Outcome::Conflict),
            ("rejected", _, Some(problem)) => Ok(Outcome::Rejected(problem.get().to_owned())),
            (status, ..) => Err(wrong(format_args!("a result {status:?}"))),
        };
        Ok(Self {
            results: answer.results.into_iter().map(outcome).collect::<Result<_, _>>()?,
            previous_head: Rev::new(answer.previous_head).map_err(wrong)?,
            cursor: answer.cursor,
        })
    }
}

/// An error as the server words it (§8); what cannot be read of it is empty.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub detail: String,
    /// Of a 410.
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub epoch: String,
    #[serde(default)]
    pub shared_rev: u64,
}

impl Problem {
    pub fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// A push's body.
#[derive(Serialize)]
pub(super) struct PushBody<'a> {
    pub changes: Vec<PushChange<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<&'a str>>,
    pub seq: i64,
}

/// A change in a push.
#[derive(Serialize)]
pub(super) struct PushChange<'a> {
    pub collection: &'a str,
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_rev: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// What is to be fetched.
#[derive(Serialize)]
pub(super) struct FetchBody<'a> {
    pub runs: &'a [u64],
    pub limit: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<&'a str>>,
}

/// The server's record in a list of conflicts.
#[derive(Serialize)]
pub(super) struct Theirs<'a> {
    pub collection: &'a str,
    pub id: &'a str,
    pub rev: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<String>,
    pub deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ReplicaError> {
    serde_json::from_slice(body).map_err(wrong)
}

pub(super) fn wrong(fault: impl std::fmt::Display) -> ReplicaError {
    ReplicaError::Protocol(fault.to_string())
}
