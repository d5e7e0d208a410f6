//! What is read when Prometheus asks: the store's own numbers, the compactor's, and the last look at the database.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::survey::SPACES;
use super::writing::Writing;
use crate::compactor::Account;
use crate::domain::{Quota, Timestamp};
use crate::store::{Meters, PoolMeters, Survey, SurveyedSpace};

/// Microseconds in a second.
const MICROS: f64 = 1e6;

/// All of it, at one moment.
#[derive(Debug)]
pub(super) struct Present {
    pub now: Timestamp,
    pub subscribers: usize,
    pub connections: u32,
    pub streams: u32,
    pub clients: usize,
    pub store: Meters,
    pub compactor: Account,
    /// What counts for spaces that say nothing of it.
    pub default_quota: Quota,
    /// Nothing where the database did not answer.
    pub survey: Option<Arc<Survey>>,
}

impl Collector for Present {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writing(encoder);
        out.gauge("subscribers", "Long polls and event streams that wait", &self.subscribers)?;
        out.gauge("connections", "Connections of clients", &self.connections)?;
        out.gauge("streams", "Event streams, long polls and streams of lines that are open", &self.streams)?;
        let help = "Tokens and addresses that are kept count of, as they took something lately";
        out.gauge("throttled_clients", help, &(self.clients as u64))?;
        writes(&mut out, &self.store)?;
        connections(&mut out, &self.store)?;
        compactor(&mut out, &self.compactor)?;
        let help = "Whether the database answered when its spaces and its size were last looked at";
        out.gauge("database_up", help, &u32::from(self.survey.is_some()))?;
        let Some(survey) = &self.survey else { return Ok(()) };
        totals(&mut out, survey)?;
        spaces(&mut out, &survey.spaces, self.now)?;
        quotas(&mut out, &survey.spaces, self.default_quota)?;
        room(&mut out, survey)
    }
}

fn writes(out: &mut Writing<'_>, store: &Meters) -> fmt::Result {
    let writes = &store.writes;
    out.gauge("write_queue_length", "Writes that wait for a transaction", &writes.waiting)?;
    out.gauge("write_queue_limit", "Writes that may wait before more are turned away", &writes.limit)?;
    out.counter("writes_refused", "Writes turned away because too many waited", &writes.refused)?;
    out.histogram("write_group_size", "Writes that shared a transaction", &writes.group_sizes, 1.0)?;
    let help = "Seconds of such a transaction, its commit included";
    out.histogram("write_group_seconds", help, &writes.group_micros, MICROS)?;
    out.histogram("commit_seconds", "Seconds of a commit, until it was on the disk", &writes.commit_micros, MICROS)
}

fn connections(out: &mut Writing<'_>, store: &Meters) -> fmt::Result {
    let of = |value: fn(&PoolMeters) -> u64| store.pools.iter().map(move |pool| (pool.name, value(pool)));
    out.gauges("pool_connections_limit", "Connections there may be", "pool", of(|pool| pool.limit))?;
    out.gauges("pool_connections_in_use", "Connections at work", "pool", of(|pool| pool.in_use))?;
    out.gauges("pool_connections_idle", "Connections that are open and idle", "pool", of(|pool| pool.idle))?;
    out.gauges("pool_waiting", "Reads or writes that wait for a connection", "pool", of(|pool| pool.waiting))?;
    let Some(listener) = &store.listener else { return Ok(()) };
    let help = "Whether this node hears of the commits of others at once";
    out.gauge("listener_connected", help, &u32::from(listener.connected))?;
    let help = "Times that the connection on which other nodes are heard was lost; it is opened again each time";
    out.counter("listener_losses", help, &listener.losses)
}

fn compactor(out: &mut Writing<'_>, compactor: &Account) -> fmt::Result {
    out.gauge(
        "compactor_leader",
        "Whether this process was the one to purge old tombstones when it last asked",
        &u32::from(compactor.leads),
    )?;
    out.counter("compactor_tombstones_purged", "Tombstones purged", &compactor.tombstones)?;
    out.counter("compactor_purged_bytes", "Bytes of the ids of tombstones purged", &compactor.bytes)?;
    out.counter("compactor_rows_swept", "Rows removed of spaces that were deleted", &compactor.swept)?;
    let help = "Seconds of a step of the compactor, its wait for the writer included";
    out.histogram("compactor_step_seconds", help, &compactor.step_micros, MICROS)?;
    let help = "Pages of free space given back to the system";
    out.counter("compactor_pages_given_back", help, &compactor.pages)?;
    let help = "Seconds that steps of the compactor waited for their turn among writes; it rests the longer for it";
    out.counter("compactor_wait_seconds", help, &compactor.waited.as_secs_f64())?;
    let help = "Seconds that the compactor rested between steps, so that others had their turn";
    out.counter("compactor_rest_seconds", help, &compactor.rested.as_secs_f64())?;
    let help = "Tombstones that are due where a purge is under way";
    out.gauge("compactor_tombstones_left", help, &compactor.left)?;
    out.counter("compactor_rounds", "Rounds over all spaces that came to their end", &compactor.rounds)?;
    out.counter("compactor_rounds_failed", "Rounds that an error ended", &compactor.failed_rounds)?;
    let Some(last) = compactor.last_round else { return Ok(()) };
    let help = "When the last round came to its end, in seconds since 1970";
    out.gauge("compactor_last_round_timestamp_seconds", help, &seconds(last.micros()))
}

fn totals(out: &mut Writing<'_>, survey: &Survey) -> fmt::Result {
    let total = &survey.total;
    out.gauge("spaces", "Spaces", &total.spaces)?;
    out.gauge("records", "Live records in all spaces", &total.records)?;
    out.gauge("record_bytes", "Bytes of their ids and data, as clients wrote them", &total.record_bytes)?;
    out.gauge("tombstones", "Tombstones in all spaces", &total.tombstones)?;
    out.gauge("tombstone_bytes", "Bytes of their ids", &total.tombstone_bytes)
}

/// What is said of a number that only some spaces are told apart by.
fn told(what: &str) -> String {
    format!("{what}; of the {SPACES} spaces with the most tombstones")
}

/// Numbers of single spaces. There are many of those, so that only some are told apart.
fn spaces(out: &mut Writing<'_>, spaces: &[SurveyedSpace], now: Timestamp) -> fmt::Result {
    let of = |value: fn(&SurveyedSpace) -> u64| spaces.iter().map(move |space| (space.name.as_str(), value(space)));
    out.gauges("space_head", &told("The newest revision"), "space", of(|space| space.head.get()))?;
    out.gauges("space_horizon", &told("The newest revision purged"), "space", of(|space| space.horizon.get()))?;
    out.gauges("space_records", &told("Live records"), "space", of(|space| space.records))?;
    let help = told("Bytes of the live records' ids and data");
    out.gauges("space_record_bytes", &help, "space", of(|space| space.record_bytes))?;
    out.gauges("space_tombstones", &told("Tombstones"), "space", of(|space| space.tombstones))?;
    let known = told("Clients that name themselves and were seen");
    out.gauges("space_clients", &known, "space", of(|space| space.clients))?;
    let behind = told("Clients that will be told to resync: they are behind the horizon of what they ask for");
    out.gauges("space_clients_behind", &behind, "space", of(|space| space.clients_behind))?;
    let age = |oldest: Timestamp| seconds(now.micros().saturating_sub(oldest.micros()).max(0));
    let ages = spaces.iter().map(|space| (space.name.as_str(), space.oldest_tombstone.map_or(0.0, age)));
    let help = told("The age of the oldest tombstone, 0 where there is none");
    out.gauges("space_oldest_tombstone_age_seconds", &help, "space", ages)?;
    let window = |space: &SurveyedSpace| space.retention.window().map(|window| window.as_secs());
    let windows = spaces.iter().filter_map(|space| Some((space.name.as_str(), window(space)?)));
    out.gauges("space_retention_seconds", &told("How long tombstones are kept, unless for ever"), "space", windows)
}

/// What single spaces may hold, those that have a quota.
fn quotas(out: &mut Writing<'_>, spaces: &[SurveyedSpace], default: Quota) -> fmt::Result {
    let of = |limit: fn(Quota) -> Option<u64>| {
        spaces.iter().filter_map(move |space| Some((space.name.as_str(), limit(space.quota.under(default))?)))
    };
    let help = told("Live records there may be, where that is bounded");
    out.gauges("space_quota_records", &help, "space", of(|quota| quota.records))?;
    let help = told("Bytes of the live records' ids and data there may be, where that is bounded");
    out.gauges("space_quota_bytes", &help, "space", of(|quota| quota.bytes))
}

fn room(out: &mut Writing<'_>, survey: &Survey) -> fmt::Result {
    let room = &survey.room;
    out.gauge("database_size_bytes", "Bytes of the database, its indexes included", &room.database_bytes)?;
    if let Some(free) = room.free_bytes {
        out.gauge("database_free_bytes", "Bytes of the database that are free to be filled again", &free)?;
    }
    if let Some(wal) = room.wal_bytes {
        out.gauge("wal_size_bytes", "Bytes of the file beside the database that takes commits first", &wal)?;
    }
    if room.tables.is_empty() {
        return Ok(());
    }
    let of = |value: fn(&crate::store::TableRows) -> i64| {
        room.tables.iter().map(move |table| (table.name.as_str(), value(table)))
    };
    out.gauges("table_rows", "Rows of a table, as PostgreSQL estimates them", "table", of(|table| table.live))?;
    let help = "Dead rows of a table that vacuum has not removed yet, as PostgreSQL estimates them";
    out.gauges("table_dead_rows", help, "table", of(|table| table.dead))
}

#[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 stay below 2^53 for 285 years")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / MICROS
}
