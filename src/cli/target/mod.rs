//! What a subcommand works on: the database itself, or a server that has it. Each command is written once, against
//! [`Target`], in the domain's words.

mod choice;
mod local;
mod remote;
mod wire;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::CliError;
use crate::access::NewToken;
use crate::compactor::{Compacted, Order};
use crate::domain::access::TokenId;
use crate::domain::pull::Page;
use crate::domain::push::Proposal;
use crate::domain::{
    ClientName, CollectionName, Collections, Cursor, QuotaChange, RecordId, Retention, RetentionPolicy, Rev, Since,
    SpaceName,
};
use crate::http::wire::quota::SpaceQuota;
use crate::http::wire::retention::{Known, Plan, RetentionState};
use crate::http::wire::stats::Stats;
use crate::http::wire::tokens::{IssuedToken, ListedToken};
use crate::store::PolicyChange;

#[cfg(test)]
pub use local::Local;

pub use choice::{DatabaseArgs, MayCreate, SpaceChoice, TargetArgs, must_exist};

/// The few operations that the subcommands need.
#[async_trait]
pub trait Target: Send + Sync {
    /// All spaces, in order of name.
    async fn spaces(&self) -> Result<Vec<SpaceInfo>, CliError>;

    /// One space, or [`CliError::NoSpace`].
    async fn space(&self, name: &SpaceName) -> Result<SpaceInfo, CliError>;

    /// Makes a space; where there is one already, it gets this retention.
    async fn create(&self, name: &SpaceName, retention: Option<Retention>) -> Result<SpaceInfo, CliError>;

    /// Removes a space with all it holds.
    async fn delete(&self, name: &SpaceName) -> Result<(), CliError>;

    /// The rule for a space's tombstones.
    async fn retention(&self, name: &SpaceName) -> Result<RetentionPolicy, CliError>;

    /// Changes what is given of that rule.
    async fn set_retention(&self, name: &SpaceName, change: PolicyChange) -> Result<RetentionPolicy, CliError>;

    /// How much a space may hold.
    async fn quota(&self, name: &SpaceName) -> Result<SpaceQuota, CliError>;

    /// Changes what is given of that.
    async fn set_quota(&self, name: &SpaceName, change: QuotaChange) -> Result<SpaceQuota, CliError>;

    /// What purges by each of these windows would do now.
    async fn plan(&self, name: &SpaceName, windows: &[Retention]) -> Result<Plan, CliError>;

    /// What holds a space's horizon where it is, and who.
    async fn explain(&self, name: &SpaceName) -> Result<RetentionState, CliError>;

    /// A space's numbers.
    async fn stats(&self, name: &SpaceName) -> Result<Stats, CliError>;

    /// The known clients of a space, in order of name.
    async fn clients(&self, name: &SpaceName) -> Result<Vec<Known>, CliError>;

    /// Forgets where a client was seen; whether it was known.
    async fn forget_client(&self, name: &SpaceName, client: &ClientName) -> Result<bool, CliError>;

    /// Issues a token.
    async fn issue_token(&self, new: NewToken) -> Result<IssuedToken, CliError>;

    /// The tokens that were issued, in the order of their making.
    async fn tokens(&self) -> Result<Vec<ListedToken>, CliError>;

    /// Revokes a token; whether there is one of that id.
    async fn revoke_token(&self, id: &TokenId) -> Result<bool, CliError>;

    /// Bytes of the database; `None` where that cannot be seen from here.
    fn database_bytes(&self) -> Option<u64>;

    /// Purges tombstones now, or says what that would do.
    async fn compact(&self, name: &SpaceName, order: Order) -> Result<Compacted, CliError>;

    /// A page of what changed since X; [`CliError::Resync`] where no delta leads on from there.
    async fn pull(&self, space: &SpaceName, since: Since, collections: Option<&Collections>) -> Result<Page, CliError>;

    /// Applies edits in one transaction. With `cursor`, only if that is still of the present history.
    async fn push(&self, space: &SpaceName, changes: &[Proposal], cursor: Option<Cursor>) -> Result<Pushed, CliError>;

    /// A page of the live ids of a collection after `after`, in order, and the last one when more are left.
    async fn live_ids(
        &self,
        space: &SpaceName,
        collection: &CollectionName,
        after: Option<RecordId>,
    ) -> Result<(Vec<RecordId>, Option<RecordId>), CliError>;

    /// Finishes what was begun.
    async fn close(&self);
}

/// A space as `GET /v1/spaces/{space}` tells it (PROTOCOL.md §2).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpaceInfo {
    /// Its name.
    pub space: String,
    /// The history that is being written.
    pub epoch: String,
    /// Its newest revision.
    pub head: u64,
    /// The newest tombstone ever purged.
    pub horizon: u64,
    /// The whole cursor of the head.
    pub cursor: String,
    /// Live records.
    pub records: u64,
    /// Tombstones not yet purged.
    pub tombstones: u64,
    /// Of the live records' revisions, 16 hex digits.
    pub checksum: String,
    /// How long tombstones are remembered.
    pub retention: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub modified_at: String,
}

impl SpaceInfo {
    /// The cursor of the head, as a value.
    pub fn cursor(&self) -> Result<Cursor, CliError> {
        self.cursor.parse().map_err(wire::unexpected)
    }

    /// The name, as a value.
    pub fn name(&self) -> Result<SpaceName, CliError> {
        SpaceName::new(&self.space).map_err(wire::unexpected)
    }
}

/// The answer to a push.
#[derive(Debug)]
pub struct Pushed {
    /// One a change, in order.
    pub results: Vec<Pushing>,
    /// The head after it.
    pub head: Rev,
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq)]
pub enum Pushing {
    /// It took a revision.
    Applied,
    /// The record was that way already.
    Unchanged,
    /// The record there, at this revision, stays.
    Conflict(Option<Rev>),
    /// A limit stands against it; the sentence says which.
    Rejected(String),
}
