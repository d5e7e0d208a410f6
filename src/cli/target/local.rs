//! The database itself as a [`Target`].

use std::sync::Arc;

use async_trait::async_trait;

use super::{CliError, Pushed, Pushing, SpaceInfo, Target};
use crate::compactor::{self, Compacted, Order};
use crate::domain::pull::{Page, PullRequest, Pulled};
use crate::domain::push::{self, Outcome, Proposal, PushRequest};
use crate::domain::{
    CollectionName, Collections, Cursor, RecordId, Retention, RetentionPolicy, Since, SpaceName, SpaceState,
    SystemClock,
};
use crate::http::Limits;
use crate::store::{self, DatabaseUrl, ListRequest, PolicyChange, Store, StoreError, StoreOptions};

/// Records in a page, at the most.
const PAGE: usize = 5_000;
/// Bytes in a page, about.
const PAGE_BYTES: usize = 4 << 20;
/// Rows removed in one transaction, so that a server on the same database waits for none of them long.
const SWEEP_ROWS: usize = 1_000;

/// An open database.
pub struct Local(Arc<dyn Store>);

impl Local {
    /// Opens it, and makes it if it is not there.
    pub async fn open(database: &DatabaseUrl) -> Result<Self, CliError> {
        Ok(Self(store::open(database, StoreOptions::default()).await?))
    }
}

impl From<&SpaceState> for SpaceInfo {
    fn from(state: &SpaceState) -> Self {
        let tally = state.tally(None);
        Self {
            space: state.name.to_string(),
            epoch: state.epoch().to_string(),
            head: state.head.get(),
            horizon: tally.horizon.get(),
            cursor: Cursor::whole(state.epoch(), state.head, None).to_string(),
            records: tally.live,
            tombstones: tally.tombstones,
            checksum: tally.checksum.to_string(),
            retention: state.policy.retention.to_string(),
            created_at: state.created_at.to_string(),
            modified_at: state.modified_at.to_string(),
        }
    }
}

#[async_trait]
impl Target for Local {
    async fn spaces(&self) -> Result<Vec<SpaceInfo>, CliError> {
        let mut all: Vec<SpaceInfo> = Vec::new();
        let mut after = None;
        loop {
            let page = self.0.spaces(after, PAGE).await?;
            all.extend(page.iter().map(|state| SpaceInfo::from(&**state)));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(all),
            }
        }
    }

    async fn space(&self, name: &SpaceName) -> Result<SpaceInfo, CliError> {
        Ok(SpaceInfo::from(&*self.0.space(name).await?))
    }

    async fn create(&self, name: &SpaceName, retention: Option<Retention>) -> Result<SpaceInfo, CliError> {
        let policy = PolicyChange { retention, ..PolicyChange::default() };
        let (state, _) = self.0.configure(name.clone(), policy).await?;
        Ok(SpaceInfo::from(&*state))
    }

    async fn delete(&self, name: &SpaceName) -> Result<(), CliError> {
        self.0.delete_space(name.clone()).await?;
        // The space is gone; its rows go now, as no server may ever run here. One that does would go on with them.
        while self.0.sweep_step(SWEEP_ROWS).await? > 0 {}
        Ok(())
    }

    async fn retention(&self, name: &SpaceName) -> Result<RetentionPolicy, CliError> {
        Ok(self.0.space(name).await?.policy)
    }

    async fn set_retention(&self, name: &SpaceName, retention: Retention) -> Result<RetentionPolicy, CliError> {
        // Asked first: `configure` would make a space of a mistyped name.
        self.0.space(name).await?;
        let policy = PolicyChange { retention: Some(retention), ..PolicyChange::default() };
        Ok(self.0.configure(name.clone(), policy).await?.0.policy)
    }

    async fn compact(&self, name: &SpaceName, order: Order) -> Result<Compacted, CliError> {
        Ok(compactor::compact(&*self.0, &SystemClock, name, order, &compactor::Progress::default()).await?)
    }

    async fn pull(&self, space: &SpaceName, since: Since, collections: Option<&Collections>) -> Result<Page, CliError> {
        let request = PullRequest {
            space: space.clone(),
            since,
            collections: collections.cloned(),
            limit: PAGE,
            max_bytes: PAGE_BYTES,
            upto: None,
            held: None,
        };
        match self.0.pull(request).await? {
            Pulled::Page(page) => Ok(page),
            Pulled::Resync(resync) => Err(CliError::Resync(resync.reason)),
            // Only who says what it holds is told that it still holds.
            Pulled::NotModified { .. } => Err(StoreError::internal("an answer to what was not asked").into()),
        }
    }

    async fn push(&self, space: &SpaceName, changes: &[Proposal], cursor: Option<Cursor>) -> Result<Pushed, CliError> {
        let request = PushRequest {
            space: space.clone(),
            changes: changes.to_vec(),
            cursor,
            collections: None,
            seq: None,
            atomic: false,
            max_record_bytes: Limits::default().record_bytes,
        };
        match self.0.push(request).await? {
            push::Pushed::Done(answer) | push::Pushed::Refused(answer) => {
                let results = answer.results.into_iter().map(pushing).collect();
                Ok(Pushed { results, head: answer.head })
            }
            push::Pushed::Resync(resync) => Err(CliError::Resync(resync.reason)),
            push::Pushed::NoSpace => Err(CliError::NoSpace(space.clone())),
        }
    }

    async fn live_ids(
        &self,
        space: &SpaceName,
        collection: &CollectionName,
        after: Option<RecordId>,
    ) -> Result<(Vec<RecordId>, Option<RecordId>), CliError> {
        let request = ListRequest {
            space: space.clone(),
            collection: collection.clone(),
            after,
            limit: PAGE,
            max_bytes: PAGE_BYTES,
        };
        let listing = self.0.list(request).await?;
        Ok((listing.records.into_iter().map(|change| change.id).collect(), listing.after))
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

fn pushing(outcome: Outcome) -> Pushing {
    match outcome {
        Outcome::Applied { .. } => Pushing::Applied,
        Outcome::Unchanged(_) => Pushing::Unchanged,
        Outcome::Conflict(record) => Pushing::Conflict(record.map(|change| change.rev)),
        Outcome::Rejected(limit) => Pushing::Rejected(limit.to_string()),
        // Only an atomic push has it, and none is sent from here.
        Outcome::NotApplied => Pushing::Rejected("it was not applied".into()),
    }
}
