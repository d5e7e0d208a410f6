//! The database itself as a [`Target`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::{CliError, Pushed, Pushing, SpaceInfo, Target};
use crate::access::{self, NewToken};
use crate::compactor::{self, Compacted, Order};
use crate::domain::access::TokenId;
use crate::domain::pull::{Page, PullRequest, Pulled};
use crate::domain::push::{self, Outcome, Proposal, PushRequest};
use crate::domain::{
    ClientName, Clock, CollectionName, Collections, Cursor, QuotaChange, RecordId, Retention, RetentionPolicy, Since,
    SpaceName, SpaceState, SystemClock,
};
use crate::http::Limits;
use crate::http::wire::quota::SpaceQuota;
use crate::http::wire::retention::{Known, Plan, RetentionState};
use crate::http::wire::stats::Stats;
use crate::http::wire::tokens::{IssuedToken, ListedToken};
use crate::stats;
use crate::store::{self, DatabaseUrl, ListRequest, PolicyChange, Store, StoreError, StoreOptions};

/// Records in a page, at the most.
const PAGE: usize = 5_000;
/// Bytes in a page, about.
const PAGE_BYTES: usize = 4 << 20;
/// Rows removed in one transaction, so that a server on the same database waits for none of them long.
const SWEEP_ROWS: usize = 1_000;

/// An open database.
pub struct Local {
    store: Arc<dyn Store>,
    /// Where it lies, if it is a file.
    file: Option<PathBuf>,
}

impl Local {
    /// Opens it, and makes it if it is not there.
    pub async fn open(database: &DatabaseUrl) -> Result<Self, CliError> {
        let file = match database {
            DatabaseUrl::Sqlite(path) => Some(path.clone()),
            DatabaseUrl::Postgres(_) => None,
        };
        Ok(Self { store: store::open(database, StoreOptions::default()).await?, file })
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
            let page = self.store.spaces("", after, PAGE).await?;
            all.extend(page.iter().map(|state| SpaceInfo::from(&**state)));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(all),
            }
        }
    }

    async fn space(&self, name: &SpaceName) -> Result<SpaceInfo, CliError> {
        Ok(SpaceInfo::from(&*self.store.space(name).await?))
    }

    async fn create(&self, name: &SpaceName, retention: Option<Retention>) -> Result<SpaceInfo, CliError> {
        let policy = PolicyChange { retention, ..PolicyChange::default() };
        let (state, _) = self.store.configure(name.clone(), policy).await?;
        Ok(SpaceInfo::from(&*state))
    }

    async fn delete(&self, name: &SpaceName) -> Result<(), CliError> {
        self.store.delete_space(name.clone()).await?;
        // The space is gone; its rows go now, as no server may ever run here. One that does would go on with them.
        while self.store.sweep_step(SWEEP_ROWS).await? > 0 {}
        Ok(())
    }

    async fn retention(&self, name: &SpaceName) -> Result<RetentionPolicy, CliError> {
        Ok(self.store.space(name).await?.policy)
    }

    async fn set_retention(&self, name: &SpaceName, change: PolicyChange) -> Result<RetentionPolicy, CliError> {
        // Asked first: `configure` would make a space of a mistyped name.
        self.store.space(name).await?;
        Ok(self.store.configure(name.clone(), change).await?.0.policy)
    }

    async fn quota(&self, name: &SpaceName) -> Result<SpaceQuota, CliError> {
        Ok(SpaceQuota::new(&*self.store.space(name).await?, None))
    }

    async fn set_quota(&self, name: &SpaceName, change: QuotaChange) -> Result<SpaceQuota, CliError> {
        Ok(SpaceQuota::new(&*self.store.set_quota(name.clone(), change).await?, None))
    }

    async fn plan(&self, name: &SpaceName, windows: &[Retention]) -> Result<Plan, CliError> {
        Ok(Plan::new(windows, &stats::plan(&*self.store, &SystemClock, name, windows).await?))
    }

    async fn explain(&self, name: &SpaceName) -> Result<RetentionState, CliError> {
        Ok(RetentionState::from(&compactor::explain(&*self.store, &SystemClock, name).await?))
    }

    async fn stats(&self, name: &SpaceName) -> Result<Stats, CliError> {
        Ok(Stats::from(&stats::collect(&*self.store, &SystemClock, name).await?))
    }

    async fn clients(&self, name: &SpaceName) -> Result<Vec<Known>, CliError> {
        let head = self.store.space(name).await?.head;
        let clients = self.store.clients(name.clone(), None, usize::MAX).await?;
        Ok(clients.iter().map(|client| Known::new(client, head)).collect())
    }

    async fn forget_client(&self, name: &SpaceName, client: &ClientName) -> Result<bool, CliError> {
        Ok(self.store.forget_client(name.clone(), client.clone()).await?)
    }

    async fn issue_token(&self, new: NewToken) -> Result<IssuedToken, CliError> {
        let (token, secret) = access::issue(&*self.store, &SystemClock, new).await?;
        Ok(IssuedToken { token: secret, listed: ListedToken::from(&token) })
    }

    async fn tokens(&self) -> Result<Vec<ListedToken>, CliError> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.tokens(after, PAGE).await?;
            all.extend(page.iter().map(ListedToken::from));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
                _ => return Ok(all),
            }
        }
    }

    async fn revoke_token(&self, id: &TokenId) -> Result<bool, CliError> {
        Ok(self.store.revoke_token(id.clone(), SystemClock.now()).await?.is_some())
    }

    fn database_bytes(&self) -> Option<u64> {
        let file = self.file.as_ref()?;
        // What was written last is in the log beside it, until that is written back.
        let mut log = OsString::from(file);
        log.push("-wal");
        let size = |path: PathBuf| std::fs::metadata(path).map(|file| file.len()).ok();
        Some(size(file.clone())? + size(log.into()).unwrap_or(0))
    }

    async fn compact(&self, name: &SpaceName, order: Order) -> Result<Compacted, CliError> {
        Ok(compactor::compact(&*self.store, &SystemClock, name, order, &compactor::Progress::default()).await?)
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
        match self.store.pull(request).await? {
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
        match self.store.push(request).await? {
            push::Pushed::Done(answer) | push::Pushed::Refused(answer) => {
                let results = answer.results.into_iter().map(pushing).collect();
                Ok(Pushed { results, head: answer.head })
            }
            push::Pushed::Resync(resync) => Err(CliError::Resync(resync.reason)),
            push::Pushed::OverQuota(excess) => Err(CliError::OverQuota(excess.to_string())),
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
        let listing = self.store.list(request).await?;
        Ok((listing.records.into_iter().map(|change| change.id).collect(), listing.after))
    }

    async fn close(&self) {
        self.store.close().await;
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
