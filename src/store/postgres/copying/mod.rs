//! Copying a space from or to PostgreSQL: what is read of a source is here, what is done to a copy in `target`.

mod target;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;

use super::fault::Fault;
use super::reads::Filling;
use super::states::Known;
use super::{PostgresStore, rows, run};
use crate::domain::{Change, ClientName, SpaceName, SpaceState};
use crate::store::rows::{CHANGE, ChangeColumns};
use crate::store::schema::{clients, records};
use crate::store::{Batch, ClientSeq, CollectionDifference, CopyUnderWay, Copying, RowsRequest, StoreError};

/// What counting a row may take: far more than it does.
const PATIENCE: Duration = Duration::from_micros(200);

#[async_trait]
impl Copying for PostgresStore {
    async fn rows(&self, request: RowsRequest) -> Result<Batch, StoreError> {
        let (request, remembered) = (Arc::new(request), Arc::clone(&self.states));
        self.read(move |connection| {
            let (request, remembered) = (Arc::clone(&request), remembered.remembered(&request.space));
            async move { batch(connection, &request, remembered.as_ref()).await }.boxed()
        })
        .await
    }

    async fn seqs(
        &self,
        space: SpaceName,
        after: Option<ClientName>,
        limit: usize,
    ) -> Result<Vec<ClientSeq>, StoreError> {
        let (asked, remembered) = (Arc::new((space, after)), Arc::clone(&self.states));
        self.read(move |connection| {
            let (asked, remembered) = (Arc::clone(&asked), remembered.remembered(&asked.0));
            async move { seqs(connection, &asked.0, asked.1.as_ref(), limit, remembered.as_ref()).await }.boxed()
        })
        .await
    }

    async fn begin_copy(&self, source: Arc<SpaceState>) -> Result<CopyUnderWay, StoreError> {
        self.transact(None, move |connection| {
            let source = Arc::clone(&source);
            async move { target::begin(connection, &source).await }.boxed()
        })
        .await
    }

    async fn copy_rows(&self, copy: &CopyUnderWay, rows: Vec<Change>) -> Result<(), StoreError> {
        let given = Arc::new((copy.clone(), rows));
        self.transact(None, move |connection| {
            let given = Arc::clone(&given);
            async move { target::write_rows(connection, &given.0, &given.1).await }.boxed()
        })
        .await
    }

    async fn copy_seqs(&self, copy: &CopyUnderWay, seqs: Vec<ClientSeq>) -> Result<(), StoreError> {
        let given = Arc::new((copy.clone(), seqs));
        self.transact(None, move |connection| {
            let given = Arc::clone(&given);
            async move { target::write_seqs(connection, &given.0, &given.1).await }.boxed()
        })
        .await
    }

    async fn finish_copy(
        &self,
        copy: &CopyUnderWay,
        source: Arc<SpaceState>,
    ) -> Result<Vec<CollectionDifference>, StoreError> {
        let tally = source.tally(None);
        let count = u32::try_from(tally.live + tally.tombstones).unwrap_or(u32::MAX);
        let patience = self.patience.saturating_add(PATIENCE.saturating_mul(count));
        let ended = self.made_known(source.name.clone());
        let given = Arc::new((copy.clone(), source));
        let finish = run::transact(
            &self.runtime,
            &self.writes,
            patience,
            move |connection| {
                let given = Arc::clone(&given);
                async move { target::finish(connection, &given.0, &given.1).await }.boxed()
            },
            ended,
        );
        finish.await
    }

    async fn discard_copy(&self, space: SpaceName) -> Result<bool, StoreError> {
        self.transact(None, move |connection| {
            let space = space.clone();
            async move { target::discard(connection, &space).await }.boxed()
        })
        .await
    }
}

async fn batch(
    mut connection: &AsyncPgConnection,
    request: &RowsRequest,
    remembered: Option<&Arc<Known>>,
) -> Result<Batch, Fault> {
    let known = rows::existing_space(connection, &request.space, remembered).await?;
    let space = &known.row;
    let mut page = Filling::new(request.limit, request.max_bytes, &space.state.tally(None));
    let mut after = request.after;
    while let Some(count) = page.wanted() {
        let found = records::table
            .filter(records::space_id.eq(space.id).and(records::rev.gt(after.to_stored())))
            .order(records::rev)
            .limit(count)
            .select(CHANGE)
            .load_stream::<ChangeColumns>(&mut connection)
            .await?;
        page.fill(space, found, count).await?;
        after = page.rows.changes.last().map_or(after, |change| change.rev);
    }
    Ok(Batch { rows: page.rows.changes, more: page.rows.cut, state: Arc::clone(&space.state) })
}

async fn seqs(
    mut connection: &AsyncPgConnection,
    space: &SpaceName,
    after: Option<&ClientName>,
    limit: usize,
    remembered: Option<&Arc<Known>>,
) -> Result<Vec<ClientSeq>, Fault> {
    let space = rows::existing_space(connection, space, remembered).await?.row.id;
    let found = clients::table
        .filter(clients::space_id.eq(space).and(clients::name.gt(after.map_or("", ClientName::as_str))))
        .order(clients::name)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select((clients::name, clients::seq, clients::used_at))
        .load::<(String, i64, i64)>(&mut connection)
        .await?;
    Ok(found.into_iter().map(ClientSeq::from_stored).collect::<Result<_, _>>()?)
}
