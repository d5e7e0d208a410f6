//! Retention on SQLite: reads in a snapshot, writes by the writer.

use std::time::Instant;

use async_trait::async_trait;

use super::transaction::Transaction;
use super::{SqliteStore, clients, purging, vacuum};
use crate::domain::client::{AnonymousPulls, KnownClient};
use crate::domain::forecast::Forecast;
use crate::domain::purge::{PurgeBounds, PurgeRule};
use crate::domain::{ClientName, SpaceName, Timestamp};
use crate::store::{Costs, GivenBack, Purged, RetentionStore, Sample, Sightings, StoreError};

#[async_trait]
impl RetentionStore for SqliteStore {
    async fn note_clients(&self, sightings: Sightings) -> Result<(), StoreError> {
        self.writer.write(move |tx| clients::note(tx, &sightings)).await
    }

    async fn clients(
        &self,
        space: SpaceName,
        after: Option<ClientName>,
        limit: usize,
    ) -> Result<Vec<KnownClient>, StoreError> {
        self.readers.read(move |connection| clients::page(connection, &space, after.as_ref(), limit)).await
    }

    async fn forget_client(&self, space: SpaceName, client: ClientName) -> Result<bool, StoreError> {
        self.writer.write(move |tx| clients::forget(tx, &space, &client)).await
    }

    async fn anonymous_pulls(&self, space: SpaceName, since: Timestamp) -> Result<Vec<AnonymousPulls>, StoreError> {
        self.readers.read(move |connection| clients::anonymous(connection, &space, since)).await
    }

    async fn expire_clients(&self, before: Timestamp, max_rows: usize) -> Result<usize, StoreError> {
        self.writer.write(move |tx| clients::expire(tx, before, max_rows)).await
    }

    async fn forecast(
        &self,
        space: SpaceName,
        rules: Vec<PurgeRule>,
        costs: Costs,
    ) -> Result<Vec<Forecast>, StoreError> {
        self.readers.read(move |connection| purging::forecast(connection, &space, &rules, costs)).await
    }

    async fn purge_bounds(&self, space: SpaceName, rule: PurgeRule) -> Result<PurgeBounds, StoreError> {
        self.readers.read(move |connection| purging::bounds(connection, &space, &rule)).await
    }

    async fn purge_step(&self, space: SpaceName, bounds: &PurgeBounds, max_rows: usize) -> Result<Purged, StoreError> {
        let (bounds, asked) = (bounds.clone(), Instant::now());
        let step = move |tx: &mut Transaction<'_>| {
            let waited = asked.elapsed();
            Ok(Purged { waited, ..purging::step(tx, &space, &bounds, max_rows)? })
        };
        self.writer.write(step).await
    }

    async fn give_back(&self, max_pages: usize) -> Result<GivenBack, StoreError> {
        // Looked at outside of the writer's queue: mostly there is nothing to give back.
        if self.readers.read(vacuum::surplus).await? == 0 {
            return Ok(GivenBack::default());
        }
        let asked = Instant::now();
        let step = move |tx: &mut Transaction<'_>| {
            let waited = asked.elapsed();
            Ok(GivenBack { pages: vacuum::step(tx.connection, max_pages)?, waited })
        };
        self.writer.write(step).await
    }

    async fn oldest_tombstone(&self, space: SpaceName) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(move |connection| purging::oldest(connection, &space)).await
    }

    async fn take_samples(&self, now: Timestamp, before: Timestamp) -> Result<(), StoreError> {
        self.writer.write(move |tx| clients::take_samples(tx, now, before)).await
    }

    async fn samples(&self, space: SpaceName) -> Result<Vec<Sample>, StoreError> {
        self.readers.read(move |connection| clients::samples_of(connection, &space)).await
    }
}
