//! Inspecting a database: whether all that must always hold (DESIGN) does, while servers may be running on it.
//!
//! It works past the store: what is to be looked at may be what keeps a store from opening. Each space is looked at in one
//! snapshot, so that a write that comes meanwhile is there as a whole or not at all. A repair looks again under the lock
//! under which that space is written, and writes what mends it in the same transaction.
//!
//! - `fault`: what can be wrong, and what is to be done about it; `finding`: one that was found.
//! - `figures`, `rows`, `space`: the rules, pure. The backends read rows, and write what these say.
//! - `orphans`: rows whose space is gone, in statements that both databases understand.

mod fault;
mod figures;
mod finding;
pub(super) mod orphans;
mod rows;
mod space;

use std::sync::Arc;

use async_trait::async_trait;

use super::{DatabaseUrl, StoreError, postgres, sqlite};

pub use fault::Fault;
pub(super) use figures::Figures;
pub use finding::{Finding, Remedy};
pub(super) use rows::{Data, Row};
pub(super) use space::{EpochRow, Examination, Heading, Mend, OpenAt, Verdict};

/// Told now and then how many rows of a space were looked at, and of how many.
pub type Watch = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Rows between two words to a [`Watch`].
pub(super) const STEP: u64 = 10_000;

/// A space to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceKey {
    /// `spaces.id`.
    pub(super) id: i64,
    /// Its name as it is stored, which may be none.
    pub name: String,
}

/// Looks at a database, and mends it where it is told to and that is safe.
#[async_trait]
pub trait Inspector: Send + Sync {
    /// Looks at the database as a whole: its own check, its schema, what belongs to no space.
    async fn database(&self, repair: bool) -> Result<Vec<Finding>, StoreError>;

    /// The spaces in order of id. Those that are being deleted or copied here are nobody's yet, or any more.
    async fn spaces(&self) -> Result<Vec<SpaceKey>, StoreError>;

    /// Looks at a space; `None` when it is gone. Answers with the findings how many rows it has.
    async fn space(
        &self,
        space: &SpaceKey,
        repair: bool,
        watch: Watch,
    ) -> Result<Option<(Vec<Finding>, u64)>, StoreError>;

    /// Looks whether history was broken without clients having been told, of `space` or of all: after the spaces, since
    /// what mends them may tell it.
    async fn history(&self, space: Option<&SpaceKey>, repair: bool) -> Result<Vec<Finding>, StoreError>;
}

/// Who looks at the database that `url` names. Beside [`open`](super::open) and [`backup`](super::backup) the one place
/// that knows which backends there are.
///
/// # Errors
/// [`StoreError::Open`] when it cannot be opened, or its schema is of another version; a database is never made or
/// migrated here.
pub async fn inspector(url: &DatabaseUrl) -> Result<Box<dyn Inspector>, StoreError> {
    match url {
        DatabaseUrl::Sqlite(path) => Ok(Box::new(sqlite::SqliteInspector::open(path).await?)),
        DatabaseUrl::Postgres(url) => Ok(Box::new(postgres::PostgresInspector::open(url).await?)),
    }
}

/// What a look without a lock found, and what the look that mended found: what was to be mended is told as the second one
/// saw it.
pub(super) fn mended(seen: Vec<Finding>, mended: Vec<Finding>) -> Vec<Finding> {
    let told = |finding: &Finding| finding.remedy != Remedy::Repair;
    let still = seen.into_iter().filter(told);
    still.chain(mended.into_iter().filter(|finding| !told(finding)).map(Finding::mended)).collect()
}
