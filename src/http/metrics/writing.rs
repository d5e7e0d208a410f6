//! Metrics whose values are read when Prometheus asks, and not kept in a registry.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::store::Spread;

type Written = Result<(), fmt::Error>;

/// Writes such metrics, one after the other.
pub(super) struct Writing<'e>(pub DescriptorEncoder<'e>);

impl Writing<'_> {
    /// Names a metric, in a sentence that ends as those of a registry do.
    fn describe<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, &format!("{help}."), None, kind)
    }

    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: &impl EncodeGaugeValue) -> Written {
        self.describe(name, help, MetricType::Gauge)?.encode_gauge(value)
    }

    /// Such a value for each of several things, told apart by `label`.
    pub fn gauges<'v, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (&'v str, V)>,
    ) -> Written {
        let mut family = self.describe(name, help, MetricType::Gauge)?;
        for (word, value) in values {
            family.encode_family(&[(label, word)])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A value that only goes up; its name is to end in `_total`, which is added here.
    pub fn counter(&mut self, name: &str, help: &str, value: &impl EncodeCounterValue) -> Written {
        let mut encoder = self.describe(name, help, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, _, f64>(value, None)
    }

    /// A distribution, of whose units `per` make one of the metric's.
    #[expect(clippy::cast_precision_loss, reason = "bounds are small, and sums are for rates")]
    pub fn histogram(&mut self, name: &str, help: &str, spread: &Spread, per: f64) -> Written {
        let mut buckets: Vec<(f64, u64)> =
            spread.buckets.iter().map(|(bound, count)| (*bound as f64 / per, *count)).collect();
        buckets.push((f64::INFINITY, spread.above));
        let count = buckets.iter().map(|(_, count)| count).sum();
        let mut encoder = self.describe(name, help, MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(spread.sum as f64 / per, count, &buckets, None)
    }
}
