//! What the server counts, for Prometheus (PROTOCOL.md §9). docs/operations.md says what each metric means.
//!
//! - here: what requests count, each in a counter that was found beforehand;
//! - `words`: counters by a word of a closed set;
//! - `survey`: what is known of the whole database, looked at now and then;
//! - `present` (by `writing`): what is read when Prometheus asks; `process`: what the operating system knows.

mod present;
#[cfg(target_os = "linux")]
mod process;
mod survey;
mod words;
mod writing;

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Api;
use super::throttle::Limit;
use super::wire::push_answer;
use crate::domain::pull::Reason;
use crate::domain::push::{Outcome, Oversize, Pushed};
use crate::domain::quota::Measure;
use crate::store::StoreError;
use present::Present;
use survey::Surveyor;
use words::Words;

pub use words::{PullKind, Repair, Via};

/// Seconds. An up-to-date poll takes tens of microseconds, an initial sync of millions of records seconds.
const BUCKETS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

const PREFIX: &str = "strandline";

/// One kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The method.
    pub method: String,
    /// The route's pattern, so that the number of series is bounded.
    pub route: &'static str,
    /// The status.
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

/// Makes the histogram of a route.
#[derive(Clone, Debug)]
struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The counters of this process, and the last look at its database.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram, Latency>,
    pulls: Words<7>,
    resyncs: Words<4>,
    pushes: Words<10>,
    changes: Words<5>,
    over_quota: Words<3>,
    sent: Words<4>,
    sent_bytes: Words<5>,
    repairs: Words<2>,
    refusals: Words<{ Limit::WORDS.len() }>,
    surveyor: Surveyor,
}

impl Metrics {
    /// Counters at zero. What is said of the whole database may be as old as `survey_age`.
    pub fn new(survey_age: Duration) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        // A gauge: the older format of Prometheus knows no other kind of metric for this.
        let build = Family::<[(&'static str, &'static str); 1], Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "Always 1, with the version of the server", build);
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let latency = Family::<RouteLabels, Histogram, Latency>::new_with_constructor(Latency);
        let help = "Seconds from a request's head to its answer's head, but for long polls that were held";
        registry.register("http_request_seconds", help, latency.clone());
        let mut words = words::Register(&mut registry);
        Self {
            pulls: words.of("pulls", "Pulls by what they came to", "kind", PullKind::WORDS),
            resyncs: words.of(
                "resyncs",
                "Clients told to resync, by reason",
                "reason",
                [Reason::Epoch, Reason::Ahead, Reason::Scope, Reason::Purged].map(Reason::as_str),
            ),
            pushes: words.of(
                "pushes",
                "Pushes by outcome",
                "outcome",
                [
                    "done",
                    "duplicate",
                    "refused",
                    "resync",
                    "quota_exceeded",
                    "no_space",
                    "busy",
                    "unavailable",
                    "storage_full",
                    "failed",
                ],
            ),
            changes: words.of(
                "pushed_changes",
                "Pushed changes by outcome",
                "outcome",
                ["applied", "unchanged", "conflict", "rejected", "not_applied"],
            ),
            over_quota: words.of(
                "quota_refusals",
                "Pushes, changes of pushes and writes of records refused because of a space's quota",
                "quota",
                Measure::ALL.map(Measure::as_str),
            ),
            sent: words.of("changes_sent", "Changes sent, by what they were sent in", "via", Via::RECORDS),
            sent_bytes: words.of(
                "sent_bytes",
                "Bytes of changes and manifests sent, before compression, by what they were sent in",
                "via",
                Via::WORDS,
            ),
            repairs: words.of("repairs", "Requests of clients that repair themselves", "kind", Repair::WORDS),
            refusals: words.of("refusals", "What went beyond a limit, by limit", "limit", Limit::WORDS),
            registry,
            requests,
            latency,
            surveyor: Surveyor::new(survey_age),
        }
    }

    /// The counter of one kind of request.
    pub fn requests(&self, labels: &RequestLabels) -> Counter {
        self.requests.get_or_create_owned(labels)
    }

    /// The latencies of one route.
    pub fn latency(&self, route: &'static str) -> Histogram {
        self.latency.get_or_create_owned(&RouteLabels { route })
    }

    /// Counts a pull.
    pub fn count_pull(&self, kind: PullKind) {
        self.pulls.add(kind.word(), 1);
    }

    /// Counts a 410, of a pull or a push.
    pub fn count_resync(&self, reason: Reason) {
        self.resyncs.add(reason.as_str(), 1);
    }

    /// Counts changes, and the bytes that they are sent as. A poll that has nothing counts nothing.
    pub fn count_sent(&self, via: Via, changes: usize, bytes: usize) {
        if changes > 0 {
            self.sent.add(via.word(), changes as u64);
            self.sent_bytes.add(via.word(), bytes as u64);
        }
    }

    /// Counts a manifest of so many bytes.
    pub fn count_manifest(&self, bytes: usize) {
        self.repairs.add(Repair::Manifest.word(), 1);
        self.sent_bytes.add(Via::Manifest.word(), bytes as u64);
    }

    /// Counts a request for records by their revisions.
    pub fn count_fetch(&self) {
        self.repairs.add(Repair::Fetch.word(), 1);
    }

    /// Counts what a quota stood against.
    pub fn count_over_quota(&self, measure: Measure, count: u64) {
        self.over_quota.add(measure.as_str(), count);
    }

    /// Counts what goes beyond a limit.
    pub fn count_refusal(&self, limit: Limit) {
        self.refusals.add(limit.word(), 1);
    }

    /// Counts a push and what became of its changes.
    pub fn count_push(&self, pushed: &Result<Pushed, StoreError>) {
        let (outcome, results): (_, &[Outcome]) = match pushed {
            Ok(Pushed::Done(answer)) if answer.duplicate => ("duplicate", &answer.results),
            Ok(Pushed::Done(answer)) => ("done", &answer.results),
            Ok(Pushed::Refused(answer)) => ("refused", &answer.results),
            Ok(Pushed::Resync(resync)) => {
                self.count_resync(resync.reason);
                ("resync", &[])
            }
            Ok(Pushed::OverQuota(excess)) => {
                self.count_over_quota(excess.measure, 1);
                ("quota_exceeded", &[])
            }
            Ok(Pushed::NoSpace) => ("no_space", &[]),
            Err(StoreError::Busy) => ("busy", &[]),
            Err(StoreError::Unavailable(_)) => ("unavailable", &[]),
            Err(StoreError::StorageFull) => ("storage_full", &[]),
            Err(_) => ("failed", &[]),
        };
        self.pushes.add(outcome, 1);
        // As a rule all of a push fare alike.
        for alike in results.chunk_by(|one, next| push_answer::status(one) == push_answer::status(next)) {
            if let Some(first) = alike.first() {
                self.changes.add(push_answer::status(first), alike.len() as u64);
            }
            if let [Outcome::Rejected(_), ..] = alike {
                let over_quota = |outcome: &&Outcome| matches!(outcome, Outcome::Rejected(Oversize::Quota(_)));
                let count = alike.iter().filter(over_quota).count();
                self.count_over_quota(Measure::RecordBytes, count as u64);
            }
        }
    }
}

/// All of it as text. A database that does not answer leaves the rest to be told.
///
/// # Errors
/// None that could be expected: the text is written to memory.
pub async fn text(api: &Api) -> Result<String, std::fmt::Error> {
    let survey = api.metrics.surveyor.latest(&api.store).await;
    let mut present = Registry::with_prefix(PREFIX);
    present.register_collector(Box::new(Present {
        now: api.clock.now(),
        subscribers: api.feed.subscribers(),
        connections: api.throttle.connections(),
        streams: api.throttle.streams(),
        clients: api.throttle.clients(),
        store: api.store.meters(),
        compactor: api.progress.read(),
        default_quota: api.store.default_quota(),
        survey,
    }));
    let mut out = String::new();
    text::encode_registry(&mut out, &api.metrics.registry)?;
    text::encode_registry(&mut out, &present)?;
    #[cfg(target_os = "linux")]
    text::encode_registry(&mut out, &process::registry())?;
    text::encode_eof(&mut out)?;
    Ok(out)
}
