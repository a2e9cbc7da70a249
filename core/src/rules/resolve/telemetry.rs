//! `Telemetry` → what proxies report, and to which providers.

mod effective;
mod metrics;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;

use super::mesh_config::providers::tags;
use crate::mesh::{Sampling, TagValue};
use crate::model::Labels;
use crate::registry::{Meta, ObjectKey};
use crate::rules::spec::{self, telemetry as written};

pub use effective::{Effective, LogProvider, Spans, TelemetrySide, effective, effective_rules};
pub use metrics::{Counted, Metric, MetricsOf, MetricsOverride, TagOverride};

/// A checked rule, with defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Telemetry {
    /// Which object it is.
    pub key: ObjectKey,
    /// When it was made; absent counts as oldest.
    pub created: Option<Timestamp>,
    /// The workloads whose proxies it is for; `None`: all of the namespace.
    pub selector: Option<Labels>,
    /// Whether it is for an object that it is attached to, which nothing here reads.
    pub is_attached: bool,
    /// Access logs.
    pub logs: Vec<Logs>,
    /// Spans.
    pub tracing: Vec<TracingOf>,
    /// Metrics.
    pub metrics: Vec<MetricsOf>,
}

/// Access logs of a part of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Logs {
    /// Of which traffic.
    pub of: Part,
    /// The names of who takes them; none: those that take them anyway.
    pub providers: Vec<Arc<str>>,
    /// That there are none.
    pub disabled: bool,
    /// Of which requests and connections, in CEL; `None`: all.
    pub filter: Option<Arc<str>>,
}

/// Spans of a part of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TracingOf {
    /// Of which traffic.
    pub of: Part,
    /// The name of who takes them; `None`: who takes them anyway.
    pub provider: Option<Arc<str>>,
    /// That there are none; `None`: as is said elsewhere.
    pub disabled: Option<bool>,
    /// How many requests are traced.
    pub sampling: Option<Sampling>,
    /// Tags of every span, sorted by name.
    pub tags: Option<Vec<(Arc<str>, TagValue)>>,
    /// Whether a request's identity says whether it is traced.
    pub by_request_id: Option<bool>,
    /// Whether there are tags about the workload.
    pub istio_tags: Option<bool>,
}

/// Which traffic something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// All.
    Both,
    /// One side's.
    One(TelemetrySide),
}

impl Part {
    /// Whether that side is part of it.
    pub fn has(self, side: TelemetrySide) -> bool {
        self == Self::Both || self == Self::One(side)
    }

    fn of(mode: written::WorkloadMode) -> Self {
        match mode {
            written::WorkloadMode::ClientAndServer => Self::Both,
            written::WorkloadMode::Client => Self::One(TelemetrySide::Client),
            written::WorkloadMode::Server => Self::One(TelemetrySide::Server),
        }
    }
}

impl Telemetry {
    /// Its place among rules for the same workloads: age (absent is oldest), then name.
    pub fn age(&self) -> (Option<Timestamp>, &str) {
        (self.created, &self.key.name)
    }

    /// The names of all providers in it, as often as they are written.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<str>> {
        let logs = self.logs.iter().flat_map(|logs| &logs.providers);
        let tracing = self.tracing.iter().flat_map(|one| &one.provider);
        let metrics = self.metrics.iter().flat_map(|one| &one.providers);
        logs.chain(tracing).chain(metrics)
    }
}

/// What a checked rule means.
pub fn telemetry(meta: &Meta, spec: &spec::Telemetry) -> Telemetry {
    let labels = spec.selector.as_ref().map(|of| of.match_labels.clone());
    Telemetry {
        key: meta.key.clone(),
        created: meta.created,
        selector: labels.filter(|labels| !labels.is_empty()),
        is_attached: spec.target_ref.is_some() || !spec.target_refs.is_empty(),
        logs: spec.access_logging.iter().map(logs).collect(),
        tracing: spec.tracing.iter().map(tracing).collect(),
        metrics: spec.metrics.iter().map(metrics::metrics).collect(),
    }
}

fn logs(written: &written::AccessLogging) -> Logs {
    Logs {
        of: part(written.matches.as_ref()),
        providers: names(&written.providers),
        disabled: written.disabled.unwrap_or_default(),
        filter: written
            .filter
            .as_ref()
            .map(|filter| filter.expression.as_str().into()),
    }
}

fn tracing(written: &written::Tracing) -> TracingOf {
    TracingOf {
        of: part(written.matches.as_ref()),
        provider: names(&written.providers).into_iter().next(),
        disabled: written.disable_span_reporting,
        sampling: written
            .random_sampling_percentage
            .and_then(|percent| Sampling::of_percent(percent.get())),
        tags: written.custom_tags.as_ref().map(tags),
        by_request_id: written.use_request_id_for_trace_sampling,
        istio_tags: written.enable_istio_tags,
    }
}

fn part(matches: Option<&written::ModeMatch>) -> Part {
    matches.map_or(Part::Both, |matches| Part::of(matches.mode))
}

fn names(providers: &[written::ProviderRef]) -> Vec<Arc<str>> {
    let all = providers.iter();
    all.map(|provider| provider.name.as_str().into()).collect()
}
