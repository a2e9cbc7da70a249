//! Istio's metrics, counted by Envoy's own logger of statistics.
//!
//! The tags are Istio's as far as stock Envoy knows them: of the other side's workload it knows nothing, which is `unknown`.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::accesslog::v3::{AccessLog, access_log};
use envoy_types::pb::envoy::extensions::access_loggers::stats::v3::Config;
use envoy_types::pb::envoy::extensions::access_loggers::stats::v3::config::histogram::Unit;
use envoy_types::pb::envoy::extensions::access_loggers::stats::v3::config::{
    Counter, Histogram, Stat, Tag,
};
use envoy_types::pb::envoy::r#type::v3::Scope;
use envoy_types::pb::google::protobuf::UInt64Value;
use envoy_types::util::pack_any;
use pilothouse_core::rules::resolve::{Metric, TagOverride};

use crate::extensions::Extension;
use crate::inputs::reports::{Metrics, Own};

const UNKNOWN: &str = "unknown";
/// What the names of all of them begin with.
const PREFIX: &str = "istio";

/// What is counted of requests.
pub(super) fn of_requests(metrics: &Metrics) -> AccessLog {
    let mut tags = common(metrics);
    tags.extend([
        ("request_protocol", "http".to_owned()),
        ("response_code", "%RESPONSE_CODE%".to_owned()),
        ("grpc_response_status", "%GRPC_STATUS_NUMBER%".to_owned()),
    ]);
    let stat = |metric, name| stat(metrics, metric, name, &tags);
    let histogram = |stat: Option<Stat>, unit: Unit, value: &str| {
        stat.map(|stat| Histogram {
            stat: Some(stat),
            unit: unit.into(),
            value_format: value.into(),
        })
    };
    let histograms = [
        histogram(
            stat(Metric::RequestDuration, "request_duration_milliseconds"),
            Unit::Milliseconds,
            "%DURATION%",
        ),
        histogram(
            stat(Metric::RequestSize, "request_bytes"),
            Unit::Bytes,
            "%BYTES_RECEIVED%",
        ),
        histogram(
            stat(Metric::ResponseSize, "response_bytes"),
            Unit::Bytes,
            "%BYTES_SENT%",
        ),
    ];
    let requests = stat(Metric::RequestCount, "requests_total").map(one_more);
    logger(
        requests.into_iter().collect(),
        histograms.into_iter().flatten().collect(),
    )
}

/// What is counted of connections.
pub(super) fn of_connections(metrics: &Metrics) -> AccessLog {
    let mut tags = common(metrics);
    tags.insert("request_protocol", "tcp".to_owned());
    let stat = |metric, name| stat(metrics, metric, name, &tags);
    let bytes = |stat: Option<Stat>, value: &str| {
        stat.map(|stat| Counter {
            stat: Some(stat),
            value_format: value.into(),
            ..Default::default()
        })
    };
    let closed = stat(Metric::TcpClosedConnections, "tcp_connections_closed_total");
    let counters = [
        closed.map(one_more),
        bytes(
            stat(Metric::TcpSentBytes, "tcp_sent_bytes_total"),
            "%BYTES_SENT%",
        ),
        bytes(
            stat(Metric::TcpReceivedBytes, "tcp_received_bytes_total"),
            "%BYTES_RECEIVED%",
        ),
    ];
    logger(counters.into_iter().flatten().collect(), Vec::new())
}

fn logger(counters: Vec<Counter>, histograms: Vec<Histogram>) -> AccessLog {
    let config = Config {
        stats_scope: Some(Scope {
            prefix: PREFIX.into(),
            ..Default::default()
        }),
        counters,
        histograms,
        ..Default::default()
    };
    AccessLog {
        name: Extension::StatsLog.name().into(),
        filter: None,
        config_type: Some(access_log::ConfigType::TypedConfig(pack_any(config))),
    }
}

fn one_more(stat: Stat) -> Counter {
    Counter {
        stat: Some(stat),
        value_fixed: Some(UInt64Value { value: 1 }),
        ..Default::default()
    }
}

/// A metric with its tags; nothing where it is not counted.
fn stat(
    metrics: &Metrics,
    metric: Metric,
    name: &str,
    tags: &BTreeMap<&str, String>,
) -> Option<Stat> {
    let overrides = metrics.counted.get(&metric)?;
    let mut all: BTreeMap<&str, String> = tags.clone();
    for (tag, value) in overrides {
        match value {
            TagOverride::Value(expression) => {
                all.insert(tag, format!("%CEL({expression})%"));
            }
            TagOverride::Removed => {
                all.remove(&**tag);
            }
        }
    }
    let tags = all.into_iter().map(|(name, value_format)| Tag {
        name: name.into(),
        value_format,
        ..Default::default()
    });
    Some(Stat {
        name: name.into(),
        tags: tags.collect(),
    })
}

/// The tags of all metrics.
fn common(metrics: &Metrics) -> BTreeMap<&'static str, String> {
    let own = &metrics.own;
    let service = |field: &str| {
        format!("%CEL(xds.cluster_metadata.filter_metadata['istio']['services'][0]['{field}'])%")
    };
    let nobody = Own {
        workload: UNKNOWN.into(),
        namespace: UNKNOWN.into(),
        principal: UNKNOWN.into(),
        app: UNKNOWN.into(),
        version: UNKNOWN.into(),
        canonical_service: UNKNOWN.into(),
        canonical_revision: UNKNOWN.into(),
        cluster: UNKNOWN.into(),
    };
    let (source, destination) = match metrics.by_destination {
        true => (&nobody, own),
        false => (own, &nobody),
    };
    let reporter = match metrics.by_destination {
        true => "destination",
        false => "source",
    };
    // Envoy refuses tags without a value.
    let literal = |text: &Arc<str>| match &**text {
        "" => UNKNOWN.to_owned(),
        text => text.replace('%', "%%"),
    };
    BTreeMap::from([
        ("reporter", reporter.to_owned()),
        ("response_flags", "%RESPONSE_FLAGS%".to_owned()),
        ("source_workload", literal(&source.workload)),
        ("source_workload_namespace", literal(&source.namespace)),
        ("source_principal", literal(&source.principal)),
        ("source_app", literal(&source.app)),
        ("source_version", literal(&source.version)),
        ("source_cluster", literal(&source.cluster)),
        (
            "source_canonical_service",
            literal(&source.canonical_service),
        ),
        (
            "source_canonical_revision",
            literal(&source.canonical_revision),
        ),
        ("destination_workload", literal(&destination.workload)),
        (
            "destination_workload_namespace",
            literal(&destination.namespace),
        ),
        ("destination_principal", literal(&destination.principal)),
        ("destination_app", literal(&destination.app)),
        ("destination_version", literal(&destination.version)),
        ("destination_cluster", literal(&destination.cluster)),
        (
            "destination_canonical_service",
            literal(&destination.canonical_service),
        ),
        (
            "destination_canonical_revision",
            literal(&destination.canonical_revision),
        ),
        ("destination_service", service("host")),
        ("destination_service_name", service("name")),
        ("destination_service_namespace", service("namespace")),
    ])
}
