//! What is computed at the moment it is asked for: ages grow while nothing happens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pilothouse_core::store::RegistryView;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use tokio::time::Instant;

/// Ages of the process and of what registries have said. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Ages {
    started: Instant,
    version: Arc<str>,
    registries: Arc<Mutex<Vec<Registry>>>,
}

#[derive(Debug)]
struct Registry {
    name: String,
    /// When it last wrote anything.
    written: Option<Instant>,
    /// Since when it, or a set of it, cannot be read.
    failing: Option<Instant>,
    /// Since when the guard holds a loss of it.
    held: Option<Instant>,
    /// Runs that ended without having been asked to.
    ended: u64,
}

impl Ages {
    pub(super) fn new(version: &str) -> Self {
        Self {
            started: Instant::now(),
            version: version.into(),
            registries: Arc::default(),
        }
    }

    /// These are all registries.
    pub(super) fn registries(&self, views: &[RegistryView]) {
        let now = Instant::now();
        let ago = |time: Duration| now.checked_sub(time).unwrap_or(now);
        let registry = |view: &RegistryView| {
            let sets = view.sets.iter().filter_map(|set| set.failing.as_ref());
            let failing = view.failing.iter().chain(sets);
            let held = view.sets.iter().filter_map(|set| set.held.as_ref());
            Registry {
                name: view.id.to_string(),
                written: view.age.map(ago),
                failing: failing.map(|failing| failing.since).max().map(ago),
                held: held.map(|held| held.since).max().map(ago),
                ended: view.ended.as_ref().map_or(0, |ended| ended.times),
            }
        };
        *self.registries.lock() = views.iter().map(registry).collect();
    }
}

impl Collector for Ages {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut build = encoder.encode_descriptor(
            "istio_build",
            "Build of this control plane",
            None,
            MetricType::Gauge,
        )?;
        build
            .encode_family(&[("component", "pilot"), ("tag", &*self.version)])?
            .encode_gauge(&1_i64)?;
        encoder
            .encode_descriptor(
                "istiod_uptime_seconds",
                "Seconds since this process started",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&self.started.elapsed().as_secs_f64())?;
        let registries = self.registries.lock();
        let age = |since: Option<Instant>| since.map(|since| since.elapsed().as_secs_f64());
        let mut family = |name, help, value: &dyn Fn(&Registry) -> Option<f64>| {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for registry in registries.iter() {
                if let Some(value) = value(registry) {
                    metric
                        .encode_family(&[("registry", registry.name.as_str())])?
                        .encode_gauge(&value)?;
                }
            }
            Ok::<(), fmt::Error>(())
        };
        family(
            "pilothouse_registry_age_seconds",
            "Seconds since a registry last wrote anything",
            &|registry| age(registry.written),
        )?;
        family(
            "pilothouse_registry_failing_seconds",
            "For how many seconds a registry, or a part of it, cannot be read: what is served of it is that old",
            &|registry| Some(age(registry.failing).unwrap_or(0.0)),
        )?;
        family(
            "pilothouse_registry_held_seconds",
            "For how many seconds the guard holds a loss of a registry: what is served of it is that old",
            &|registry| Some(age(registry.held).unwrap_or(0.0)),
        )?;
        family(
            "pilothouse_registry_ended_runs",
            "Runs of a registry that ended without having been asked to",
            &|registry| Some(registry.ended as f64),
        )
    }
}
