//! How a space is, and how it went: for the page and for `strandline stats`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::extract::{InSpace, TakesJson};
use super::problem::Problem;
use super::wire::retention::{Anonymous, CollectionStats, Sizes, SpaceSample, Stats, TombstoneAge};
use super::wire::schema;
use super::{Api, answer, clients, query};
use crate::domain::SpaceState;
use crate::domain::client::AnonymousPulls;
use crate::domain::retention::Unit;
use crate::domain::{Retention, Timestamp};
use crate::store::Sample;

/// Ages by which tombstones are counted.
const AGES: [(u64, Unit); 18] = [
    (0, Unit::Second),
    (1, Unit::Hour),
    (3, Unit::Hour),
    (6, Unit::Hour),
    (12, Unit::Hour),
    (1, Unit::Day),
    (2, Unit::Day),
    (3, Unit::Day),
    (5, Unit::Day),
    (7, Unit::Day),
    (14, Unit::Day),
    (21, Unit::Day),
    (30, Unit::Day),
    (45, Unit::Day),
    (60, Unit::Day),
    (90, Unit::Day),
    (180, Unit::Day),
    (365, Unit::Day),
];
/// Days of anonymous pulls that are told.
const DAYS: Retention = Retention::For { count: 30, unit: Unit::Day };

/// How a space is, and how it went over the last hours.
#[utoipa::path(
    get, path = "/v1/spaces/{space}/stats", operation_id = "readStats", tag = "status",
    params(schema::SpacePath, schema::ClientHeader),
    responses(
        (status = 200, description = "Its numbers", body = Stats),
        schema::Refusals, schema::UnknownSpace, schema::NoAcceptableForm,
    ),
)]
pub async fn read(req: HttpRequest, at: InSpace, _: TakesJson, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    query::none(req.query_string())?;
    clients::write_notes(&api, &at.space).await;
    let state = api.store.space(&at.space).await?;
    let now = api.clock.now().max(state.modified_at);
    let ages = AGES.map(|(count, unit)| Retention::For { count, unit });
    let times = ages.iter().filter_map(|age| age.cut(now)).collect();
    let counts = api.store.tombstone_ages(at.space.clone(), times).await?;
    let samples = api.store.samples(at.space.clone()).await?;
    let anonymous = api.store.anonymous_pulls(at.space, DAYS.cut(now).unwrap_or_default()).await?;
    let age = |(age, tombstones): (&Retention, u64)| TombstoneAge { older_than: age.to_string(), tombstones };
    let told = Stats {
        space: state.name.to_string(),
        sizes: Sizes { head: state.head.get(), ..Sizes::from(&state.tally(None)) },
        collections: state
            .collections
            .iter()
            .map(|(name, one)| CollectionStats { collection: name.to_string(), sizes: Sizes::from(one) })
            .collect(),
        tombstone_ages: ages.iter().zip(counts).map(age).collect(),
        history: samples.iter().map(sample).chain([present(&state, now)]).collect(),
        anonymous: anonymous.iter().map(pulls).collect(),
    };
    Ok(answer::value(answer::json(StatusCode::OK), &told))
}

fn sample(sample: &Sample) -> SpaceSample {
    SpaceSample {
        at: sample.at.to_string(),
        head: sample.head.get(),
        horizon: sample.horizon.get(),
        records: sample.live,
        tombstones: sample.tombstones,
    }
}

fn present(state: &SpaceState, now: Timestamp) -> SpaceSample {
    let tally = state.tally(None);
    SpaceSample {
        at: now.to_string(),
        head: state.head.get(),
        horizon: tally.horizon.get(),
        records: tally.live,
        tombstones: tally.tombstones,
    }
}

fn pulls(pulls: &AnonymousPulls) -> Anonymous {
    let (behind_from, behind_to) = pulls.bucket.range();
    Anonymous { behind_from, behind_to, pulls: pulls.pulls, last_seen: pulls.seen_at.to_string() }
}
