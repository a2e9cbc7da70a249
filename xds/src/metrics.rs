//! What is counted and timed, under Istio's names where Istio has one.
//!
//! Dashboards and alerts depend on the names that begin with `pilot_`; those that begin with `pilothouse_` have no counterpart there.

mod kinds;
mod lacking;
mod live;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::conflicts::Conflicts;
use crate::extensions::Extension;
pub use kinds::{Each, PerType, RawCounter};
use live::Ages;

/// Values of the label `type` of `pilot_inbound_updates`.
pub const INBOUND: [&str; 4] = ["config", "eds", "svc", "svcdelete"];

/// Values of the label `type` of `pilot_push_triggers`.
pub const TRIGGERS: [&str; 5] = ["config", "endpoint", "service", "proxy", "global"];

/// At most so many versions of proxies are told apart: the text comes from them.
const VERSIONS: usize = 32;

/// Every metric of the control plane. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Metrics {
    connected: Family<Version, Gauge>,
    versions: Arc<Mutex<BTreeSet<String>>>,
    /// TCP and Unix connections that are open.
    pub connections: Gauge,
    /// Connections refused or closed, by the limit that they met.
    pub limited: Each<RawCounter, 9>,
    /// Initial transfers that wait for their turn.
    pub admission_waiting: Gauge,
    /// How long initial transfers waited for their turn, in seconds.
    pub admission_wait: Histogram,

    /// Responses sent.
    pub pushes: PerType<RawCounter>,
    /// Bytes of each response.
    pub size: PerType<Histogram>,
    /// From the moment a response was handed to HTTP/2 until its last byte was with the kernel, in seconds.
    pub send_time: Histogram,
    /// Making one response, in seconds.
    pub push_time: PerType<Histogram>,
    /// From a change to its last response to a proxy being handed over, in seconds.
    pub convergence: Histogram,
    /// From a change to a proxy's last ACK of it, in seconds.
    pub acknowledged: Histogram,
    /// Responses that proxies refused.
    pub rejects: PerType<RawCounter>,
    /// Proxies whose last response of a type was refused.
    pub rejected: PerType<Gauge>,
    /// Requests that answered an older response.
    pub expired_nonce: PerType<RawCounter>,
    /// Streams closed because their client did not take what was sent.
    pub write_timeout: RawCounter,
    /// Streams ended by an error of this server.
    pub internal_errors: RawCounter,
    /// Listeners and routes that were sent before what they refer to was acknowledged, because the wait had lasted too long.
    pub gate_timeouts: RawCounter,

    /// Services in the mesh.
    pub services: Gauge,
    /// From the first change of a batch to its publication being started, in seconds.
    pub debounce_time: Histogram,
    /// Publications, by what caused them.
    pub triggers: Each<RawCounter, 5>,
    /// Changes that came from registries.
    pub inbound: Each<RawCounter, 4>,
    /// Making one mesh's snapshots, in seconds.
    pub publish_time: Histogram,
    /// Resources serialised: each version of each counts once, whatever the number of proxies.
    pub encoded: PerType<RawCounter>,
    /// Objects that should keep something out and that nothing enforces, by kind.
    pub unenforced: Each<Gauge, 3>,
    /// Objects whose last text is rejected, the last good one being in force.
    pub rejected_objects: Gauge,
    /// Replacements of sets that the mass-loss guard holds.
    pub guard_holds: Gauge,
    /// Registries that have not delivered their first full set.
    pub registries_pending: Gauge,
    /// Clusters whose load assignment has no endpoint.
    pub without_instances: Gauge,
    /// DNS clusters that have no name to resolve.
    pub without_names: Gauge,
    /// Endpoints that may not be given requests.
    pub not_ready: Gauge,
    /// Connected sidecars whose address no service of their namespace has.
    pub without_service: Gauge,
    /// Translations asked for, by whether they were remembered.
    pub cache_reads: Each<RawCounter, 2>,
    /// Translations remembered.
    pub cache_size: Gauge,
    /// Translations forgotten because nobody has their resource any more.
    pub cache_evictions: RawCounter,
    /// Bytes of the longest message that a client has sent.
    pub received_max: Gauge,
    /// Streams of proxies that lack an extension, by its name.
    pub missing_extensions: Each<RawCounter, { Extension::ALL.len() }>,
    ages: Ages,
    /// Services that do not get a listener's address that they claim, because an older one has it.
    pub outbound_conflicts: Gauge,
    /// Services that do not decide what is spoken on a workload's port, because another one does.
    pub inbound_conflicts: Gauge,
}

impl Metrics {
    /// Makes them and adds them to `registry`; `version` is this build's.
    pub fn new(registry: &mut Registry, version: &str) -> Self {
        let metrics = Self {
            connected: Family::default(),
            versions: Arc::default(),
            connections: Gauge::default(),
            limited: Each::new("limit", crate::server::LIMITS, RawCounter::default),
            admission_waiting: Gauge::default(),
            admission_wait: Histogram::new(exponential_buckets(0.001, 4.0, 9)),
            pushes: PerType::per_type(RawCounter::default),
            size: PerType::per_type(|| Histogram::new([1.0, 1e4, 1e6, 4e6, 1e7, 4e7])),
            send_time: Histogram::new(SECONDS),
            push_time: PerType::per_type(|| Histogram::new(SECONDS)),
            convergence: Histogram::new(SECONDS),
            acknowledged: Histogram::new(SECONDS),
            rejects: PerType::per_type(RawCounter::default),
            rejected: PerType::per_type(Gauge::default),
            expired_nonce: PerType::per_type(RawCounter::default),
            write_timeout: RawCounter::default(),
            internal_errors: RawCounter::default(),
            gate_timeouts: RawCounter::default(),
            services: Gauge::default(),
            debounce_time: Histogram::new(SECONDS),
            triggers: Each::new("type", TRIGGERS, RawCounter::default),
            inbound: Each::new("type", INBOUND, RawCounter::default),
            publish_time: Histogram::new(SECONDS),
            encoded: PerType::per_type(RawCounter::default),
            unenforced: Each::new(
                "kind",
                [
                    "AuthorizationPolicy",
                    "PeerAuthentication",
                    "RequestAuthentication",
                ],
                Gauge::default,
            ),
            rejected_objects: Gauge::default(),
            guard_holds: Gauge::default(),
            registries_pending: Gauge::default(),
            without_instances: Gauge::default(),
            without_names: Gauge::default(),
            not_ready: Gauge::default(),
            without_service: Gauge::default(),
            cache_reads: Each::new("type", ["hit", "miss"], RawCounter::default),
            cache_size: Gauge::default(),
            cache_evictions: RawCounter::default(),
            received_max: Gauge::default(),
            missing_extensions: Each::new(
                "extension",
                Extension::ALL.map(Extension::name),
                RawCounter::default,
            ),
            ages: Ages::new(version),
            outbound_conflicts: Gauge::default(),
            inbound_conflicts: Gauge::default(),
        };
        metrics.register(registry, version);
        registry.register_collector(Box::new(metrics.ages.clone()));
        metrics
    }

    /// The gauge of connected proxies of this version.
    pub(crate) fn connected(&self, version: &str) -> Gauge {
        let mut version: String = version.chars().take(64).collect();
        let mut versions = self.versions.lock();
        if !versions.contains(&version) {
            if versions.len() >= VERSIONS {
                version = "other".to_owned();
            }
            versions.insert(version.clone());
        }
        self.connected.get_or_create_owned(&Version { version })
    }

    /// A client has sent a message of so many bytes.
    pub(crate) fn received(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.received_max
            .inner()
            .fetch_max(bytes, Ordering::Relaxed);
    }

    /// These are all conflicts.
    pub(crate) fn conflicts(&self, conflicts: &Conflicts) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.outbound_conflicts
            .set(count(conflicts.outbound_count()));
        self.inbound_conflicts.set(count(conflicts.inbound_count()));
    }

    fn register(&self, registry: &mut Registry, version: &str) {
        let m = self.clone();
        // A gauge, as Istio has it: the plain text format of Prometheus knows no metrics of type info.
        registry
            .sub_registry_with_label(("version".into(), version.to_owned().into()))
            .register(
                "pilot_info",
                "Version of this control plane",
                ConstGauge::new(1i64),
            );
        registry.register(
            "pilot_xds",
            "Proxies connected, by their version",
            m.connected,
        );
        registry.register("pilot_xds_pushes", "Responses sent", m.pushes);
        registry.register(
            "pilot_xds_config_size_bytes",
            "Bytes of each response",
            m.size,
        );
        registry.register(
            "pilot_xds_send_time",
            "Seconds from a response being handed to HTTP/2 until its last byte was with the kernel",
            m.send_time,
        );
        registry.register(
            "pilot_xds_push_time",
            "Seconds it takes to make a response",
            m.push_time,
        );
        registry.register(
            "pilot_proxy_convergence_time",
            "Seconds from a change to its last response to a proxy being handed over",
            m.convergence,
        );
        registry.register(
            "pilothouse_convergence_seconds",
            "Seconds from a change to a proxy's last ACK of it",
            m.acknowledged,
        );
        registry.register(
            "pilot_total_xds_rejects",
            "Responses that proxies refused",
            m.rejects,
        );
        for resource_type in crate::resource::ResourceType::ALL {
            registry.register(
                format!("pilot_xds_{}_reject", resource_type.short()),
                "Proxies whose last response of this type was refused",
                m.rejected.of(resource_type).clone(),
            );
        }
        registry.register(
            "pilot_xds_expired_nonce",
            "Requests that answered an older response",
            m.expired_nonce,
        );
        registry.register(
            "pilot_xds_write_timeout",
            "Streams closed because their client did not take what was sent",
            m.write_timeout,
        );
        registry.register(
            "pilot_total_xds_internal_errors",
            "Streams ended by an error of this server",
            m.internal_errors,
        );
        registry.register(
            "pilothouse_gate_timeouts",
            "Listeners and routes sent before what they refer to was acknowledged, the wait having lasted too long",
            m.gate_timeouts,
        );
        registry.register("pilothouse_connections", "Open connections", m.connections);
        registry.register(
            "pilothouse_limited",
            "Connections and streams refused or closed by a limit",
            m.limited,
        );
        registry.register(
            "pilothouse_admission_waiting",
            "Initial transfers that wait for their turn",
            m.admission_waiting,
        );
        registry.register(
            "pilothouse_admission_wait_seconds",
            "Seconds that initial transfers waited for their turn",
            m.admission_wait,
        );
        registry.register("pilot_services", "Services in the mesh", m.services);
        registry.register(
            "pilot_debounce_time",
            "Seconds from the first change of a batch to its publication being started",
            m.debounce_time,
        );
        registry.register(
            "pilot_push_triggers",
            "Publications, by what caused them",
            m.triggers,
        );
        registry.register(
            "pilot_inbound_updates",
            "Changes that came from registries",
            m.inbound,
        );
        registry.register(
            "pilot_pushcontext_init_seconds",
            "Seconds it takes to publish a mesh",
            m.publish_time,
        );
        registry.register(
            "pilothouse_resources_encoded",
            "Resources serialised",
            m.encoded,
        );
        registry.register(
            "pilot_total_rejected_configs",
            "Objects whose last text is rejected",
            m.rejected_objects,
        );
        registry.register(
            "pilothouse_unenforced_security_policies",
            "Security policies that are present and not enforced",
            m.unenforced,
        );
        registry.register(
            "pilothouse_guard_holds",
            "Replacements that the mass-loss guard holds",
            m.guard_holds,
        );
        registry.register(
            "pilothouse_registries_pending",
            "Registries that have not delivered their first full set",
            m.registries_pending,
        );
        registry.register(
            "pilot_eds_no_instances",
            "Clusters whose load assignment has no endpoint",
            m.without_instances,
        );
        registry.register(
            "pilot_dns_cluster_without_endpoints",
            "DNS clusters that have no name to resolve",
            m.without_names,
        );
        registry.register(
            "pilot_endpoint_not_ready",
            "Endpoints that may not be given requests",
            m.not_ready,
        );
        registry.register(
            "pilot_no_ip",
            "Connected sidecars whose address no service of their namespace has",
            m.without_service,
        );
        registry.register(
            "xds_cache_reads",
            "Translations asked for, by whether they were remembered",
            m.cache_reads,
        );
        registry.register("xds_cache_size", "Translations remembered", m.cache_size);
        registry.register(
            "xds_cache_evictions",
            "Translations forgotten because nobody has their resource",
            m.cache_evictions,
        );
        registry.register(
            "pilothouse_missing_extensions",
            "Streams of proxies that lack an extension",
            m.missing_extensions,
        );
        registry.register(
            "pilot_xds_recv_max",
            "Bytes of the longest message that a client has sent",
            m.received_max,
        );
        registry.register(
            "pilot_conflict_outbound_listener_tcp_over_current_tcp",
            "Services that do not get a listener's address that they claim",
            m.outbound_conflicts,
        );
        registry.register(
            "pilot_conflict_inbound_listener",
            "Services that do not decide what is spoken on a workload's port",
            m.inbound_conflicts,
        );
    }
}

/// Buckets of times: fine where a control plane should be, Istio's where it should not.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    version: String,
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn the_names_that_dashboards_ask_for_are_there() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry, "1.2.3");
        metrics.connected("1.29.0").inc();
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "pilot_info{version=\"1.2.3\"} 1",
            "pilot_xds{version=\"1.29.0\"} 1",
            "pilot_xds_pushes{type=\"cds\"} 0",
            "pilot_xds_send_time_count 0",
            "pilot_xds_push_time_count{type=\"rds\"} 0",
            "pilot_proxy_convergence_time_count 0",
            "pilot_total_xds_rejects{type=\"lds\"} 0",
            "pilot_xds_eds_reject 0",
            "pilot_xds_expired_nonce{type=\"cds\"} 0",
            "pilot_xds_write_timeout 0",
            "pilot_total_xds_internal_errors 0",
            "pilot_xds_config_size_bytes_bucket{le=\"10000.0\",type=\"cds\"} 0",
            "pilot_services 0",
            "pilothouse_unenforced_security_policies{kind=\"AuthorizationPolicy\"} 0",
            "pilot_debounce_time_count 0",
            "pilot_push_triggers{type=\"endpoint\"} 0",
            "pilot_inbound_updates{type=\"svcdelete\"} 0",
            "pilot_pushcontext_init_seconds_count 0",
            "pilothouse_convergence_seconds_count 0",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing in:\n{text}"
            );
        }
    }

    #[test]
    fn proxies_cannot_make_labels_without_bound() {
        let metrics = Metrics::new(&mut Registry::default(), "");
        for n in 0..1000 {
            metrics.connected(&n.to_string()).inc();
        }
        assert_eq!(metrics.versions.lock().len(), VERSIONS + 1);
        assert_eq!(metrics.connected("other").get(), 1000 - VERSIONS as i64);
    }
}
