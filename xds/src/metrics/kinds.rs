//! Metrics whose handles are found once: an event costs an atomic addition or an uncontended lock, never a look-up by label.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::resource::ResourceType;

/// A counter that is printed under exactly the name it was given.
///
/// The OpenMetrics counter of `prometheus-client` appends `_total`; dashboards made for Istio ask for `pilot_xds_pushes`.
#[derive(Debug, Clone, Default)]
pub struct RawCounter(Arc<AtomicU64>);

impl RawCounter {
    /// Adds one.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// Adds `n`.
    pub fn inc_by(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// What has been counted.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TypedMetric for RawCounter {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for RawCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.get())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// One metric for each value of a label whose values are known beforehand.
#[derive(Debug, Clone)]
pub struct Each<M, const N: usize> {
    label: &'static str,
    values: [&'static str; N],
    metrics: [M; N],
}

/// One metric for each type of resource, under the label `type`.
pub type PerType<M> = Each<M, { ResourceType::ALL.len() }>;

impl<M, const N: usize> Each<M, N> {
    /// One metric, made by `new`, for each of `values`.
    pub fn new(label: &'static str, values: [&'static str; N], new: impl Fn() -> M) -> Self {
        Self {
            label,
            values,
            metrics: std::array::from_fn(|_| new()),
        }
    }

    /// All of them, by value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &M)> {
        self.values.iter().copied().zip(&self.metrics)
    }

    /// The metric of this value; `None` for a value that is not among those given to [`Each::new`].
    pub fn get(&self, value: &str) -> Option<&M> {
        let place = self.values.iter().position(|known| *known == value)?;
        self.metrics.get(place)
    }
}

impl<M> PerType<M> {
    /// One metric, made by `new`, for each type of resource.
    pub fn per_type(new: impl Fn() -> M) -> Self {
        Self::new("type", ResourceType::ALL.map(ResourceType::short), new)
    }

    /// The metric of this type.
    pub fn of(&self, resource_type: ResourceType) -> &M {
        &self.metrics[resource_type.index()]
    }
}

impl<M: TypedMetric, const N: usize> TypedMetric for Each<M, N> {
    const TYPE: MetricType = M::TYPE;
}

impl<M: EncodeMetric + TypedMetric, const N: usize> EncodeMetric for Each<M, N> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, metric) in self.values.iter().zip(&self.metrics) {
            metric.encode(encoder.encode_family(&[(self.label, *value)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn counters_keep_their_names() {
        let mut registry = Registry::default();
        let (plain, each) = (
            RawCounter::default(),
            PerType::per_type(RawCounter::default),
        );
        registry.register("pilot_plain", "A counter", plain.clone());
        registry.register("pilot_each", "A counter of each type", each.clone());
        plain.inc();
        each.of(ResourceType::Endpoint).inc_by(2);
        assert_eq!(each.get("eds").map(RawCounter::get), Some(2));
        assert!(each.get("sds").is_none());

        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert_eq!(
            text,
            "# HELP pilot_plain A counter.\n\
             # TYPE pilot_plain counter\n\
             pilot_plain 1\n\
             # HELP pilot_each A counter of each type.\n\
             # TYPE pilot_each counter\n\
             pilot_each{type=\"cds\"} 0\n\
             pilot_each{type=\"eds\"} 2\n\
             pilot_each{type=\"lds\"} 0\n\
             pilot_each{type=\"rds\"} 0\n\
             pilot_each{type=\"nds\"} 0\n\
             # EOF\n"
        );
    }

    #[test]
    fn histograms_have_a_type_as_well() {
        let mut registry = Registry::default();
        let each = PerType::per_type(|| Histogram::new([1.0]));
        registry.register("pilot_time", "Times", each.clone());
        each.of(ResourceType::Route).observe(0.5);

        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(
            text.contains("pilot_time_bucket{le=\"1.0\",type=\"rds\"} 1"),
            "{text}"
        );
        assert!(text.contains("pilot_time_count{type=\"cds\"} 0"), "{text}");
    }
}
