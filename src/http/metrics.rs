//! What the server counts, for Prometheus (PROTOCOL.md §9).

use std::fmt::Write as _;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::domain::SpaceState;
use crate::domain::pull::Reason;
use crate::domain::push::{Outcome, Pushed};

use super::wire::push_answer;

/// Spaces that `/metrics` tells apart, the first in order of name: every one costs some lines a scrape.
pub const SPACES: usize = 200;

/// Seconds. An up-to-date poll takes tens of microseconds, an initial sync of millions of records seconds.
const BUCKETS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: PullKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpaceLabels {
    space: String,
}

/// What a pull came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PullKind {
    /// A 304.
    NotModified,
    /// A page with nothing new.
    UpToDate,
    /// A page of a delta.
    Delta,
    /// A page of an initial sync.
    Initial,
    /// A stream of lines.
    Lines,
    /// A stream of events.
    Events,
    /// A 410.
    Resync,
}

impl PullKind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::NotModified, "not_modified"),
        (Self::UpToDate, "up_to_date"),
        (Self::Delta, "delta"),
        (Self::Initial, "initial"),
        (Self::Lines, "lines"),
        (Self::Events, "events"),
        (Self::Resync, "resync"),
    ];
}

impl EncodeLabelValue for PullKind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let word = Self::ALL.iter().find(|(kind, _)| kind == self).map_or("", |(_, word)| word);
        encoder.write_str(word)
    }
}

/// Makes the histogram of a route.
#[derive(Clone, Debug)]
struct Latency;

impl MetricConstructor<Histogram> for Latency {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The counters of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram, Latency>,
    /// In the order of [`PullKind::ALL`], so that counting a poll hashes nothing.
    pulls: Vec<Counter>,
    resyncs: Family<ReasonLabels, Counter>,
    pushes: Family<OutcomeLabels, Counter>,
    changes: Family<OutcomeLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("strandline");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let latency = Family::<RouteLabels, Histogram, Latency>::new_with_constructor(Latency);
        let help = "Seconds from a request's head to its answer's head, but for long polls that were held";
        registry.register("http_request_seconds", help, latency.clone());
        let by_kind = Family::<KindLabels, Counter>::default();
        registry.register("pulls", "Pulls by what they came to", by_kind.clone());
        let pulls = PullKind::ALL.iter().map(|(kind, _)| by_kind.get_or_create_owned(&KindLabels { kind: *kind }));
        let pulls = pulls.collect();
        let resyncs = Family::<ReasonLabels, Counter>::default();
        registry.register("resyncs", "Clients told to resync, by reason", resyncs.clone());
        let pushes = Family::<OutcomeLabels, Counter>::default();
        registry.register("pushes", "Pushes by outcome", pushes.clone());
        let changes = Family::<OutcomeLabels, Counter>::default();
        registry.register("pushed_changes", "Pushed changes by outcome", changes.clone());
        Self { registry, requests, latency, pulls, resyncs, pushes, changes }
    }
}

impl Metrics {
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
        let place = PullKind::ALL.iter().position(|(known, _)| *known == kind);
        if let Some(counter) = place.and_then(|place| self.pulls.get(place)) {
            counter.inc();
        }
    }

    /// Counts a 410, of a pull or a push.
    pub fn count_resync(&self, reason: Reason) {
        self.resyncs.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc();
    }

    /// Counts a push and what became of its changes.
    pub fn count_push(&self, pushed: &Pushed) {
        let (outcome, results): (_, &[Outcome]) = match pushed {
            Pushed::Done(answer) if answer.duplicate => ("duplicate", &answer.results),
            Pushed::Done(answer) => ("done", &answer.results),
            Pushed::Refused(answer) => ("refused", &answer.results),
            Pushed::Resync(resync) => {
                self.count_resync(resync.reason);
                ("resync", &[])
            }
            Pushed::NoSpace => ("no_space", &[]),
        };
        self.pushes.get_or_create(&OutcomeLabels { outcome }).inc();
        for result in results {
            self.changes.get_or_create(&OutcomeLabels { outcome: push_answer::status(result) }).inc();
        }
    }

    /// All of it as text, with the state of some spaces and the number of subscribers.
    ///
    /// # Errors
    /// None that could be expected: the text is written to memory.
    pub fn to_text<'s>(
        &self,
        spaces: impl IntoIterator<Item = &'s SpaceState>,
        subscribers: usize,
    ) -> Result<String, std::fmt::Error> {
        let mut present = Registry::with_prefix("strandline");
        let waiting: Gauge = Gauge::default();
        waiting.set(i64::try_from(subscribers).unwrap_or(i64::MAX));
        present.register("subscribers", "Long polls and event streams that wait", waiting);
        let gauges =
            ["head", "horizon", "records", "tombstones"].map(|name| (name, Family::<SpaceLabels, Gauge>::default()));
        for state in spaces {
            let tally = state.tally(None);
            let values = [state.head.get(), tally.horizon.get(), tally.live, tally.tombstones];
            for ((_, family), value) in gauges.iter().zip(values) {
                let labels = SpaceLabels { space: state.name.to_string() };
                family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
        for (name, family) in gauges {
            let help = format!("The {name} of a space, of the first {SPACES} spaces by name");
            present.register(format!("space_{name}"), help, family);
        }
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry)?;
        text::encode_registry(&mut out, &present)?;
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}
