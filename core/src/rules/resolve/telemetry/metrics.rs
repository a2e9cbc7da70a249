//! Metrics: what of Istio's is counted, and with which tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Part, TelemetrySide, names};
use crate::rules::spec::telemetry::{self as written, IstioMetric, TagOperation};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Requests.
    RequestCount,
    /// How long they take.
    RequestDuration,
    /// How large they are.
    RequestSize,
    /// How large their responses are.
    ResponseSize,
    /// Connections that have ended.
    TcpClosedConnections,
    /// What they have carried to clients.
    TcpSentBytes,
    /// What they have carried from clients.
    TcpReceivedBytes,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RequestCount,
        Self::RequestDuration,
        Self::RequestSize,
        Self::ResponseSize,
        Self::TcpClosedConnections,
        Self::TcpSentBytes,
        Self::TcpReceivedBytes,
    ];

    /// Those that an entry of a rule is about.
    fn of(metric: IstioMetric) -> Vec<Self> {
        match metric {
            IstioMetric::AllMetrics => Self::ALL.to_vec(),
            IstioMetric::RequestCount => vec![Self::RequestCount],
            IstioMetric::RequestDuration => vec![Self::RequestDuration],
            IstioMetric::RequestSize => vec![Self::RequestSize],
            IstioMetric::ResponseSize => vec![Self::ResponseSize],
            IstioMetric::TcpClosedConnections => vec![Self::TcpClosedConnections],
            IstioMetric::TcpSentBytes => vec![Self::TcpSentBytes],
            IstioMetric::TcpReceivedBytes => vec![Self::TcpReceivedBytes],
            IstioMetric::TcpOpenedConnections
            | IstioMetric::GrpcRequestMessages
            | IstioMetric::GrpcResponseMessages => Vec::new(),
        }
    }
}

/// What becomes of a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagOverride {
    /// It has this value, in CEL.
    Value(Arc<str>),
    /// It is not there.
    Removed,
}

/// What a rule says of metrics for some providers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MetricsOf {
    /// The names of who takes them; none: those that take them anyway.
    pub providers: Vec<Arc<str>>,
    /// What is other than Istio's defaults; the later goes over the earlier.
    pub overrides: Vec<MetricsOverride>,
}

/// What of metrics is other than Istio's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MetricsOverride {
    /// Of which traffic.
    pub of: Part,
    /// Which metrics.
    pub metrics: Vec<Metric>,
    /// Whether they are not counted; `None`: as is said elsewhere.
    pub disabled: Option<bool>,
    /// What becomes of their tags.
    pub tags: BTreeMap<Arc<str>, TagOverride>,
}

/// The metrics that are counted, and which of their tags are other than Istio's.
pub type Counted = BTreeMap<Metric, BTreeMap<Arc<str>, TagOverride>>;

pub(super) fn metrics(written: &written::Metrics) -> MetricsOf {
    MetricsOf {
        providers: names(&written.providers),
        overrides: written.overrides.iter().map(metrics_override).collect(),
    }
}

fn metrics_override(written: &written::MetricsOverride) -> MetricsOverride {
    let matches = written.matches.as_ref();
    let custom = matches.is_some_and(|matches| !matches.custom_metric.is_empty());
    let metric = matches.and_then(|matches| matches.metric);
    let tags = written.tag_overrides.iter().map(|(name, tag)| {
        let value = match tag.operation {
            TagOperation::Upsert => TagOverride::Value(tag.value.as_str().into()),
            TagOperation::Remove => TagOverride::Removed,
        };
        (Arc::from(name), value)
    });
    MetricsOverride {
        of: matches.map_or(Part::Both, |matches| Part::of(matches.mode)),
        metrics: match custom {
            true => Vec::new(),
            false => Metric::of(metric.unwrap_or_default()),
        },
        disabled: written.disabled,
        tags: tags.collect(),
    }
}

/// What is counted on one side for the provider of this name, by what rules say from the widest to the narrowest; `None`: it
/// takes no metrics.
pub(super) fn counted<'a>(
    provider: &str,
    defaults: &[Arc<str>],
    rules: impl Iterator<Item = &'a [MetricsOf]>,
    side: TelemetrySide,
) -> Option<Counted> {
    let mut taking = defaults.to_vec();
    let mut counted: Counted = Metric::ALL.map(|metric| (metric, BTreeMap::new())).into();
    let mut disabled: BTreeMap<Metric, bool> = BTreeMap::new();
    for rule in rules {
        // What names providers takes the place of those that were there.
        let named = rule.iter().flat_map(|one| &one.providers);
        let named: Vec<_> = named.cloned().collect();
        let before = match named.is_empty() {
            true => taking.clone(),
            false => std::mem::replace(&mut taking, named),
        };
        for one in rule {
            let providers = match one.providers.is_empty() {
                true => &before,
                false => &one.providers,
            };
            if !providers.iter().any(|name| **name == *provider) {
                continue;
            }
            for of in one.overrides.iter().filter(|of| of.of.has(side)) {
                for metric in &of.metrics {
                    if let Some(is_disabled) = of.disabled {
                        disabled.insert(*metric, is_disabled);
                    }
                    let tags = counted.entry(*metric).or_default();
                    tags.extend(
                        of.tags
                            .iter()
                            .map(|(name, tag)| (name.clone(), tag.clone())),
                    );
                }
            }
        }
    }
    counted.retain(|metric, _| !disabled.get(metric).copied().unwrap_or_default());
    let takes = taking.iter().any(|name| **name == *provider);
    (takes && !counted.is_empty()).then_some(counted)
}
