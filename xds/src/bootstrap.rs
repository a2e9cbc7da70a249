//! The bootstrap of a client that takes its configuration from discovery: who it is, where discovery is, and what is on its own
//! machine.
//!
//! It is what must be there before the first response; everything after that comes over ADS.

mod ads;
mod beside;
mod clusters;
mod connections;
mod grpc;
mod statistics;

use std::iter;
use std::net::SocketAddr;
use std::path::PathBuf;

use envoy_types::pb::envoy::config::bootstrap::v3::bootstrap::{DynamicResources, StaticResources};
use envoy_types::pb::envoy::config::bootstrap::v3::cluster_manager::OutlierDetection;
use envoy_types::pb::envoy::config::bootstrap::v3::{Admin, Bootstrap, ClusterManager};
use envoy_types::pb::envoy::config::core::v3::{Locality as NodeLocality, Node};
use envoy_types::pb::google::protobuf;
use pilothouse_core::model::{Locality, NodeId};
use prost::{Message, Name};
use serde_json::{Map, Value};

pub use beside::{Beside, Readiness, SECRETS_CLUSTER};
pub use grpc::{GrpcBootstrapParams, grpc_bootstrap_json};

use crate::json::{self, JsonError};

/// The cluster that discovery is reached through.
pub const DISCOVERY_CLUSTER: &str = "xds-grpc";

/// What the bootstraps of two proxies differ in.
#[derive(Debug, Clone, PartialEq)]
pub struct BootstrapParams {
    /// Who the proxy is.
    pub node: NodeId,
    /// Envoy's name for the group that it belongs to, by convention `APP.NAMESPACE`.
    pub cluster: String,
    /// Node metadata, such as `NAMESPACE`, `INTERCEPTION_MODE` and `LABELS`.
    pub metadata: Map<String, Value>,
    /// Where it runs.
    pub locality: Locality,
    /// Where Envoy serves its admin page, which must not be reachable from elsewhere.
    pub admin: SocketAddr,
    /// Where discovery is.
    pub discovery: DiscoveryAddress,
    /// How it is asked.
    pub variant: Variant,
    /// What Envoy serves and reaches on its own machine.
    pub beside: Beside,
}

/// Where discovery serves ADS without TLS: itself, or the agent that relays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryAddress {
    /// An IP address.
    Ip(SocketAddr),
    /// A host name, looked up again and again.
    Host(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// The variant of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Variant {
    /// Incremental: only what has changed.
    #[default]
    Delta,
    /// State of the world.
    Sotw,
}

/// The bootstrap of one proxy.
pub fn bootstrap(params: &BootstrapParams) -> Bootstrap {
    Bootstrap {
        node: Some(node(params)),
        admin: Some(Admin {
            address: Some(clusters::ip_address(params.admin)),
            ..Admin::default()
        }),
        dynamic_resources: Some(DynamicResources {
            cds_config: Some(ads::over_ads()),
            lds_config: Some(ads::over_ads()),
            ads_config: Some(ads::stream(params.variant, &params.discovery)),
            ..DynamicResources::default()
        }),
        static_resources: Some(StaticResources {
            clusters: iter::once(clusters::discovery_cluster(&params.discovery))
                .chain(params.beside.clusters(params.admin))
                .collect(),
            listeners: params.beside.listeners(),
            ..StaticResources::default()
        }),
        cluster_manager: params
            .beside
            .outlier_log
            .as_ref()
            .map(|path| ClusterManager {
                outlier_detection: Some(OutlierDetection {
                    event_log_path: path.display().to_string(),
                    ..OutlierDetection::default()
                }),
                ..ClusterManager::default()
            }),
        stats_config: Some(statistics::statistics()),
        overload_manager: Some(connections::connections()),
        ..Bootstrap::default()
    }
}

/// The same as the JSON that Envoy reads from a file.
pub fn bootstrap_json(params: &BootstrapParams) -> Result<Value, JsonError> {
    json::to_json(&Bootstrap::full_name(), &bootstrap(params).encode_to_vec())
}

fn node(params: &BootstrapParams) -> Node {
    let locality = NodeLocality {
        region: params.locality.region.to_string(),
        zone: params.locality.zone.to_string(),
        sub_zone: params.locality.sub_zone.to_string(),
    };
    Node {
        id: params.node.to_string(),
        cluster: params.cluster.clone(),
        metadata: Some(object(&params.metadata)),
        locality: (!params.locality.is_empty()).then_some(locality),
        ..Node::default()
    }
}

fn object(fields: &Map<String, Value>) -> protobuf::Struct {
    protobuf::Struct {
        fields: fields
            .iter()
            .map(|(key, field)| (key.clone(), value(field)))
            .collect(),
    }
}

fn value(json: &Value) -> protobuf::Value {
    use protobuf::value::Kind;
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        // Struct knows no other numbers.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(protobuf::ListValue {
            values: values.iter().map(value).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(object(fields)),
    };
    protobuf::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn params(discovery: DiscoveryAddress, variant: Variant) -> BootstrapParams {
        let Value::Object(metadata) = json!({ "NAMESPACE": "shop", "LABELS": { "app": "web" } })
        else {
            unreachable!()
        };
        BootstrapParams {
            node: "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local"
                .parse()
                .unwrap(),
            cluster: "web.shop".to_owned(),
            metadata,
            locality: Locality::parse("eu/eu-1"),
            admin: "127.0.0.1:15000".parse().unwrap(),
            discovery,
            variant,
            beside: Beside::default(),
        }
    }

    #[test]
    fn the_whole_bootstrap() {
        let expected = json!({
            "node": {
                "id": "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local",
                "cluster": "web.shop",
                "metadata": { "NAMESPACE": "shop", "LABELS": { "app": "web" } },
                "locality": { "region": "eu", "zone": "eu-1" },
            },
            "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 15000 } } },
            "dynamic_resources": {
                "cds_config": { "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" },
                "lds_config": { "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" },
                "ads_config": {
                    "api_type": "DELTA_GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
                    "set_node_on_first_message_only": true,
                },
            },
            "static_resources": { "clusters": [{
                "name": "xds-grpc",
                "alt_stat_name": "xds-grpc;",
                "type": "STATIC",
                "connect_timeout": "5s",
                "load_assignment": {
                    "cluster_name": "xds-grpc",
                    "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": { "address": "10.9.9.9", "port_value": 15010 } } } }] }],
                },
                "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": { "connection_keepalive": { "interval": "30s", "timeout": "10s" } } },
                } },
            }] },
        });
        let discovery = DiscoveryAddress::Ip("10.9.9.9:15010".parse().unwrap());
        let mut actual = bootstrap_json(&params(discovery, Variant::Delta)).unwrap();
        let monitors = actual.as_object_mut().unwrap().remove("overload_manager");
        assert_eq!(
            monitors.unwrap()["resource_monitors"][0]["typed_config"]["max_active_downstream_connections"],
            2_147_483_647
        );
        let statistics = actual.as_object_mut().unwrap().remove("stats_config");
        assert_eq!(statistics.unwrap()["use_all_default_tags"], false);
        // The default of an enum is not written.
        actual["static_resources"]["clusters"][0]["type"] = json!("STATIC");
        assert_eq!(actual, expected);
    }

    #[test]
    fn discovery_may_be_a_name_or_a_socket() {
        let cluster = |discovery| {
            bootstrap_json(&params(discovery, Variant::Sotw)).unwrap()["static_resources"]["clusters"][0].clone()
        };
        let address = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
        let named = cluster(DiscoveryAddress::Host("pilot.test".to_owned(), 15010));
        assert_eq!(named["cluster_type"]["name"], "envoy.clusters.dns");
        assert_eq!(
            named.pointer(address),
            Some(&json!({ "socket_address": { "address": "pilot.test", "port_value": 15010 } }))
        );
        let unix = cluster(DiscoveryAddress::Unix("/run/agent/xds".into()));
        assert_eq!(
            unix.pointer(address),
            Some(&json!({ "pipe": { "path": "/run/agent/xds" } }))
        );
    }
}
