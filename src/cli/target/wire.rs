//! The protocol's answers as a client reads them (PROTOCOL.md §2 to §8).

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{CliError, Pushing};
use crate::compactor::Compacted;
use crate::domain::pull::{Page, Reason};
use crate::domain::push::{Base, Op, Proposal};
use crate::domain::{Change, CollectionName, Cursor, Document, RecordId, RetentionPolicy, Rev, State, Timestamp};
use crate::store::PolicyChange;

/// An answer that the protocol does not have.
pub fn unexpected(what: impl std::fmt::Display) -> CliError {
    CliError::Failed(format!("the server answered what this program does not understand ({what}): is it Strandline?"))
}

/// `application/problem+json`.
#[derive(Debug, Default, Deserialize)]
pub struct Problem {
    /// The stable word.
    #[serde(default)]
    pub code: String,
    /// What went wrong, for people.
    pub detail: Option<String>,
    /// The same, shorter.
    pub title: Option<String>,
    /// Of `resync_required`.
    pub reason: Option<String>,
}

impl Problem {
    /// The sentence in it, without a full stop.
    pub fn sentence(&self) -> Option<&str> {
        self.detail.as_deref().or(self.title.as_deref()).map(|text| text.trim_end_matches('.'))
    }

    /// The reason of a 410.
    pub fn reason(&self) -> Option<Reason> {
        let all = [Reason::Epoch, Reason::Ahead, Reason::Scope, Reason::Purged];
        all.into_iter().find(|reason| Some(reason.as_str()) == self.reason.as_deref())
    }
}

/// `{"spaces":[…],"after":…}`
#[derive(Debug, Deserialize)]
pub struct Spaces {
    /// A page of them.
    pub spaces: Vec<super::SpaceInfo>,
    /// The last one's name when more are left.
    pub after: Option<String>,
}

/// A retention policy.
#[derive(Debug, Deserialize)]
pub struct Policy {
    retention: String,
    #[serde(default)]
    hold_for_clients: bool,
    max_retention: Option<String>,
    max_tombstones: Option<u64>,
}

impl Policy {
    /// As the domain has it.
    pub fn into_policy(self) -> Result<RetentionPolicy, CliError> {
        let default = RetentionPolicy::of(self.retention.parse().map_err(unexpected)?);
        let max_retention = match self.max_retention {
            Some(text) => text.parse().map_err(unexpected)?,
            None => default.max_retention,
        };
        let Self { hold_for_clients, max_tombstones, .. } = self;
        Ok(RetentionPolicy { hold_for_clients, max_retention, max_tombstones, ..default })
    }
}

/// The body that changes a retention policy: what is absent stays as it is, and null takes the bound away.
pub fn policy_body(change: PolicyChange) -> String {
    let PolicyChange { retention, hold_for_clients, max_retention, max_tombstones } = change;
    let members = [
        ("retention", retention.map(|window| window.to_string().into())),
        ("hold_for_clients", hold_for_clients.map(Value::from)),
        ("max_retention", max_retention.map(|window| window.to_string().into())),
        ("max_tombstones", max_tombstones.map(Value::from)),
    ];
    let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect()).to_string()
}

/// The answer to `compact`.
#[derive(Debug, Deserialize)]
pub struct Compaction {
    purged: u64,
    bytes: u64,
    horizon_before: u64,
    horizon: u64,
    clients_behind: u64,
}

impl Compaction {
    /// As the compactor has it.
    pub fn into_compacted(self) -> Result<Compacted, CliError> {
        Ok(Compacted {
            tombstones: self.purged,
            bytes: self.bytes,
            horizon_before: Rev::new(self.horizon_before).map_err(unexpected)?,
            horizon: Rev::new(self.horizon).map_err(unexpected)?,
            clients_behind: self.clients_behind,
        })
    }
}

/// A record as it travels.
#[derive(Debug, Deserialize)]
pub struct WireChange<'a> {
    collection: String,
    id: String,
    rev: Option<u64>,
    modified_at: Option<String>,
    #[serde(default)]
    deleted: bool,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl WireChange<'_> {
    /// As the domain has it.
    pub fn into_change(self) -> Result<Change, CliError> {
        let state = match (self.deleted, self.data) {
            (true, None) => State::Deleted,
            (false, Some(raw)) => State::Live(Document::parse(raw).map_err(unexpected)?),
            _ => return Err(unexpected("a change with neither data nor deleted")),
        };
        let (Some(rev), Some(modified_at)) = (self.rev, self.modified_at) else {
            return Err(unexpected("a change without a revision"));
        };
        Ok(Change {
            collection: CollectionName::new(&self.collection).map_err(unexpected)?,
            id: RecordId::new(self.id).map_err(unexpected)?,
            rev: Rev::new(rev).map_err(unexpected)?,
            modified_at: modified_at.parse::<Timestamp>().map_err(unexpected)?,
            state,
        })
    }
}

/// A page of changes.
#[derive(Debug, Deserialize)]
pub struct WirePage<'a> {
    #[serde(borrow)]
    changes: Vec<WireChange<'a>>,
    cursor: String,
    has_more: bool,
    head: u64,
    horizon: u64,
    valid_until: Option<String>,
    count: Option<u64>,
    checksum: Option<String>,
}

impl WirePage<'_> {
    /// As the domain has it.
    pub fn into_page(self) -> Result<Page, CliError> {
        let check = match (self.count, self.checksum) {
            (Some(count), Some(checksum)) => Some((count, checksum.parse().map_err(unexpected)?)),
            _ => None,
        };
        Ok(Page {
            changes: self.changes.into_iter().map(WireChange::into_change).collect::<Result<_, _>>()?,
            cursor: self.cursor.parse().map_err(unexpected)?,
            has_more: self.has_more,
            head: Rev::new(self.head).map_err(unexpected)?,
            horizon: Rev::new(self.horizon).map_err(unexpected)?,
            valid_until: self.valid_until.map(|time| time.parse()).transpose().map_err(unexpected)?,
            check,
        })
    }
}

/// A page of a collection's list; of the records only their ids.
#[derive(Debug, Deserialize)]
pub struct WireList {
    /// The records.
    pub records: Vec<Named>,
    /// The last one's id when more are left.
    pub after: Option<String>,
}

/// A record of which only the id matters.
#[derive(Debug, Deserialize)]
pub struct Named {
    /// The id.
    pub id: String,
}

/// The answer to a push.
#[derive(Debug, Deserialize)]
pub struct WirePushed {
    /// One a change, in order.
    pub results: Vec<WireResult>,
    /// The head after it.
    pub head: u64,
}

/// What became of one change.
#[derive(Debug, Deserialize)]
pub struct WireResult {
    status: String,
    record: Option<Held>,
    problem: Option<Problem>,
}

/// The server's record in a conflict; its data does not matter here.
#[derive(Debug, Deserialize)]
struct Held {
    rev: Option<u64>,
}

impl WireResult {
    /// As the command line has it.
    pub fn into_pushing(self) -> Result<Pushing, CliError> {
        match self.status.as_str() {
            "applied" => Ok(Pushing::Applied),
            "unchanged" => Ok(Pushing::Unchanged),
            "conflict" => {
                let rev = self.record.and_then(|held| held.rev).map(Rev::new).transpose().map_err(unexpected)?;
                Ok(Pushing::Conflict(rev))
            }
            "rejected" => {
                let problem = self.problem.unwrap_or_default();
                Ok(Pushing::Rejected(problem.sentence().unwrap_or(&problem.code).to_owned()))
            }
            other => Err(unexpected(format_args!("a push result {other:?}"))),
        }
    }
}

/// The body of a push. It is put together as text, because data is text that stays as it is.
pub fn push_body(changes: &[Proposal], cursor: Option<Cursor>) -> String {
    let changes: Vec<String> = changes.iter().map(change_body).collect();
    let cursor = cursor.map(|cursor| format!(",\"cursor\":\"{cursor}\"")).unwrap_or_default();
    format!("{{\"changes\":[{}]{cursor}}}", changes.join(","))
}

fn change_body(change: &Proposal) -> String {
    let base = match change.base {
        Base::Absent => String::new(),
        Base::Seen(rev) => format!(",\"base_rev\":{rev}"),
        Base::Any => ",\"base_rev\":\"*\"".into(),
    };
    let (member, value) = match &change.op {
        Op::Put(data) => ("data", data.as_str()),
        Op::Patch(patch) => ("patch", patch.as_str()),
        // What nests too deep is kept back by the import, and nothing else here is too large before the server says so.
        Op::Delete | Op::Oversize(_) => ("deleted", "true"),
    };
    let id = serde_json::Value::from(change.id.as_str());
    format!("{{\"collection\":\"{}\",\"id\":{id}{base},\"{member}\":{value}}}", change.collection)
}
