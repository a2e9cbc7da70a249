//! Clusters.

mod inbound;
mod outbound;
mod policy;
#[cfg(test)]
mod tests;

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::{
    CircuitBreakers, Cluster, circuit_breakers, cluster,
};
use envoy_types::pb::envoy::config::core::v3::{
    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions as CommonOptions,
};
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig, explicit_http_config,
};
use envoy_types::pb::google::protobuf::{Any, Struct};
use envoy_types::util::pack_any;
use pilothouse_core::model::Protocol;

pub(super) use outbound::resolver;

use super::common::{duration, list, nested, object, text, uint};
use super::{Message, Notes, Output};
use crate::extensions::Extension;
use crate::inputs::clusters::ClusterInput;
use crate::names;
use crate::resource::Name;

/// The key under which a cluster says how HTTP is spoken to it.
const HTTP_OPTIONS: &str = Extension::HttpProtocolOptions.name();
/// How long connections to a destination that no service claims are kept when idle.
const PASSTHROUGH_IDLE: Duration = Duration::from_secs(300);
/// How long a destination of an inbound cluster is remembered without connections: there is only one, ever.
const INBOUND_CLEANUP: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn translate(input: &ClusterInput) -> Output {
    match input {
        ClusterInput::Outbound(input) => outbound::translate(input),
        ClusterInput::Inbound(input) => inbound::translate(input),
        ClusterInput::InboundPassthrough(input) => inbound::passthrough(input),
        ClusterInput::BlackHole => output(names::BLACK_HOLE, Notes::of_mesh_config(), black_hole()),
        ClusterInput::Passthrough { connect_timeout } => output(
            names::PASSTHROUGH,
            Notes::of_mesh_config(),
            passthrough(*connect_timeout),
        ),
    }
}

fn output(name: impl Into<Name>, notes: Notes, cluster: Cluster) -> Output {
    notes.output(name, Message::Cluster(Box::new(cluster)))
}

fn black_hole() -> Cluster {
    Cluster {
        name: names::BLACK_HOLE.into(),
        connect_timeout: duration(Duration::from_secs(10)),
        cluster_discovery_type: of_type(cluster::DiscoveryType::Static),
        ..Default::default()
    }
}

fn passthrough(connect_timeout: Duration) -> Cluster {
    let options = HttpProtocolOptions {
        common_http_protocol_options: Some(CommonOptions {
            idle_timeout: duration(PASSTHROUGH_IDLE),
            ..Default::default()
        }),
        ..as_downstream()
    };
    Cluster {
        name: names::PASSTHROUGH.into(),
        connect_timeout: duration(connect_timeout),
        cluster_discovery_type: of_type(cluster::DiscoveryType::OriginalDst),
        lb_policy: cluster::LbPolicy::ClusterProvided.into(),
        circuit_breakers: Some(unlimited()),
        typed_extension_protocol_options: http_options(Some(options)),
        ..Default::default()
    }
}

fn of_type(discovery_type: cluster::DiscoveryType) -> Option<cluster::ClusterDiscoveryType> {
    Some(cluster::ClusterDiscoveryType::Type(discovery_type.into()))
}

/// Envoy's own limits are far below what a mesh needs; counting what remains makes limits visible once a rule sets them.
fn unlimited() -> CircuitBreakers {
    CircuitBreakers {
        thresholds: vec![circuit_breakers::Thresholds {
            max_connections: uint(u32::MAX),
            max_pending_requests: uint(u32::MAX),
            max_requests: uint(u32::MAX),
            max_retries: uint(u32::MAX),
            track_remaining: true,
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// How HTTP is spoken to a port; HTTP/1.1 where nothing is said.
fn protocol_options(protocol: Protocol) -> Option<HttpProtocolOptions> {
    if protocol.is_http2() {
        let config = explicit_http_config::ProtocolConfig::Http2ProtocolOptions(
            Http2ProtocolOptions::default(),
        );
        let explicit = ExplicitHttpConfig {
            protocol_config: Some(config),
        };
        return Some(HttpProtocolOptions {
            upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)),
            ..Default::default()
        });
    }
    protocol.is_auto().then(as_downstream)
}

/// HTTP as the client speaks it.
fn as_downstream() -> HttpProtocolOptions {
    let config = UseDownstreamHttpConfig {
        http_protocol_options: Some(Http1ProtocolOptions::default()),
        http2_protocol_options: Some(Http2ProtocolOptions::default()),
        ..Default::default()
    };
    HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(
            config,
        )),
        ..Default::default()
    }
}

fn http_options(options: Option<HttpProtocolOptions>) -> std::collections::HashMap<String, Any> {
    options
        .map(|options| (HTTP_OPTIONS.to_owned(), pack_any(options)))
        .into_iter()
        .collect()
}

/// The services that a cluster belongs to, as telemetry reads them.
fn services<'a>(
    of: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
) -> envoy_types::pb::google::protobuf::Value {
    let service = |(host, name, namespace): (&str, &str, &str)| -> Struct {
        object([
            ("host", text(host)),
            ("name", text(name)),
            ("namespace", text(namespace)),
        ])
    };
    list(of.map(|service_| nested(service(service_))).collect())
}
