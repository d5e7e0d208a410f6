//! Retention on PostgreSQL: reads in a snapshot of the primary, writes in transactions of their own.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;

use super::{PostgresStore, clients, purging};
use crate::domain::client::{AnonymousPulls, KnownClient};
use crate::domain::forecast::Forecast;
use crate::domain::purge::{PurgeBounds, PurgeRule};
use crate::domain::{ClientName, SpaceName, Timestamp};
use crate::store::{Costs, GivenBack, Purged, RetentionStore, Sample, Sightings, StoreError};

#[async_trait]
impl RetentionStore for PostgresStore {
    async fn note_clients(&self, sightings: Sightings) -> Result<(), StoreError> {
        let sightings = Arc::new(sightings);
        self.transact(None, move |connection| {
            let sightings = Arc::clone(&sightings);
            async move { clients::note(connection, &sightings).await }.boxed()
        })
        .await
    }

    async fn clients(
        &self,
        space: SpaceName,
        after: Option<ClientName>,
        limit: usize,
    ) -> Result<Vec<KnownClient>, StoreError> {
        let states = Arc::clone(&self.states);
        self.read(move |connection| {
            let (space, after, known) = (space.clone(), after.clone(), states.remembered(&space));
            async move { clients::page(connection, &space, after.as_ref(), limit, known.as_ref()).await }.boxed()
        })
        .await
    }

    async fn forget_client(&self, space: SpaceName, client: ClientName) -> Result<bool, StoreError> {
        self.transact(None, move |connection| {
            let (space, client) = (space.clone(), client.clone());
            async move { clients::forget(connection, &space, &client).await }.boxed()
        })
        .await
    }

    async fn anonymous_pulls(&self, space: SpaceName, since: Timestamp) -> Result<Vec<AnonymousPulls>, StoreError> {
        let states = Arc::clone(&self.states);
        self.read(move |connection| {
            let (space, known) = (space.clone(), states.remembered(&space));
            async move { clients::anonymous(connection, &space, since, known.as_ref()).await }.boxed()
        })
        .await
    }

    async fn expire_clients(&self, before: Timestamp, max_rows: usize) -> Result<usize, StoreError> {
        self.transact(None, move |connection| {
            async move { clients::expire(connection, before, max_rows).await }.boxed()
        })
        .await
    }

    async fn forecast(
        &self,
        space: SpaceName,
        rules: Vec<PurgeRule>,
        costs: Costs,
    ) -> Result<Vec<Forecast>, StoreError> {
        let states = Arc::clone(&self.states);
        self.read(move |connection| {
            let (space, rules, known) = (space.clone(), rules.clone(), states.remembered(&space));
            async move { purging::forecast(connection, &space, &rules, costs, known.as_ref()).await }.boxed()
        })
        .await
    }

    async fn purge_bounds(&self, space: SpaceName, rule: PurgeRule) -> Result<PurgeBounds, StoreError> {
        let states = Arc::clone(&self.states);
        self.read(move |connection| {
            let (space, known) = (space.clone(), states.remembered(&space));
            async move { purging::bounds(connection, &space, &rule, known.as_ref()).await }.boxed()
        })
        .await
    }

    async fn purge_step(&self, space: SpaceName, bounds: &PurgeBounds, max_rows: usize) -> Result<Purged, StoreError> {
        let bounds = Arc::new(bounds.clone());
        self.transact(Some(space.clone()), move |connection| {
            let (space, bounds) = (space.clone(), Arc::clone(&bounds));
            async move { purging::step(connection, &space, &bounds, max_rows).await }.boxed()
        })
        .await
    }

    async fn give_back(&self, _max_pages: usize) -> Result<GivenBack, StoreError> {
        // Autovacuum does it, by the settings of the tables.
        Ok(GivenBack::default())
    }

    async fn oldest_tombstone(&self, space: SpaceName) -> Result<Option<Timestamp>, StoreError> {
        let states = Arc::clone(&self.states);
        self.read(move |connection| {
            let (space, known) = (space.clone(), states.remembered(&space));
            async move { purging::oldest(connection, &space, known.as_ref()).await }.boxed()
        })
        .await
    }

    async fn take_samples(&self, now: Timestamp, before: Timestamp) -> Result<(), StoreError> {
        self.transact(None, move |connection| {
            async move { clients::take_samples(connection, now, before).await }.boxed()
        })
        .await
    }

    async fn samples(&self, space: SpaceName) -> Result<Vec<Sample>, StoreError> {
        let states = Arc::clone(&self.states);
        self.read(move |connection| {
            let (space, known) = (space.clone(), states.remembered(&space));
            async move { clients::samples_of(connection, &space, known.as_ref()).await }.boxed()
        })
        .await
    }
}
