//! Clusters that Envoy has from the start.

use std::net::SocketAddr;
use std::path::Path;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CustomClusterType, DiscoveryType,
};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, Http2ProtocolOptions, KeepaliveSettings, Pipe, SocketAddress,
};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::extensions::clusters::dns::v3::DnsCluster;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions,
};
use envoy_types::pb::google::protobuf;
use envoy_types::util::pack_any;

use super::{DISCOVERY_CLUSTER, DiscoveryAddress};

/// What a cluster speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// The cluster that discovery is reached through.
pub(super) fn discovery_cluster(at: &DiscoveryAddress) -> Cluster {
    match at {
        DiscoveryAddress::Ip(address) => {
            static_cluster(DISCOVERY_CLUSTER, ip_address(*address), Protocol::Http2)
        }
        DiscoveryAddress::Unix(path) => {
            static_cluster(DISCOVERY_CLUSTER, unix_address(path), Protocol::Http2)
        }
        DiscoveryAddress::Host(host, port) => Cluster {
            cluster_discovery_type: Some(strict_dns()),
            ..static_cluster(
                DISCOVERY_CLUSTER,
                socket_address(host, *port),
                Protocol::Http2,
            )
        },
    }
}

/// A cluster of one address.
pub(super) fn static_cluster(name: &str, address: Address, protocol: Protocol) -> Cluster {
    let endpoint = Endpoint {
        address: Some(address),
        ..Endpoint::default()
    };
    let lb_endpoint = LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
        ..LbEndpoint::default()
    };
    let options = match protocol {
        Protocol::Http1 => None,
        Protocol::Http2 => Some((
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions".to_owned(),
            pack_any(http2()),
        )),
    };
    Cluster {
        name: name.to_owned(),
        // As with every cluster that comes later, so that one pattern finds the name in a statistic's.
        alt_stat_name: format!("{name};"),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        connect_timeout: Some(seconds(5)),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: name.to_owned(),
            endpoints: vec![LocalityLbEndpoints {
                lb_endpoints: vec![lb_endpoint],
                ..LocalityLbEndpoints::default()
            }],
            ..ClusterLoadAssignment::default()
        }),
        typed_extension_protocol_options: options.into_iter().collect(),
        ..Cluster::default()
    }
}

fn strict_dns() -> ClusterDiscoveryType {
    ClusterDiscoveryType::ClusterType(CustomClusterType {
        name: "envoy.clusters.dns".to_owned(),
        typed_config: Some(pack_any(DnsCluster::default())),
    })
}

/// A peer that is gone without a word is noticed, so that the proxy turns to another.
fn http2() -> HttpProtocolOptions {
    let keepalive = KeepaliveSettings {
        interval: Some(seconds(30)),
        timeout: Some(seconds(10)),
        ..KeepaliveSettings::default()
    };
    let options = Http2ProtocolOptions {
        connection_keepalive: Some(keepalive),
        ..Http2ProtocolOptions::default()
    };
    HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::ExplicitHttpConfig(
            ExplicitHttpConfig {
                protocol_config: Some(ProtocolConfig::Http2ProtocolOptions(options)),
            },
        )),
        ..HttpProtocolOptions::default()
    }
}

pub(super) fn ip_address(address: SocketAddr) -> Address {
    socket_address(&address.ip().to_string(), address.port())
}

pub(super) fn unix_address(path: &Path) -> Address {
    Address {
        address: Some(AddressKind::Pipe(Pipe {
            path: path.display().to_string(),
            ..Pipe::default()
        })),
    }
}

fn socket_address(host: &str, port: u16) -> Address {
    Address {
        address: Some(AddressKind::SocketAddress(SocketAddress {
            address: host.to_owned(),
            port_specifier: Some(PortSpecifier::PortValue(port.into())),
            ..SocketAddress::default()
        })),
    }
}

fn seconds(seconds: i64) -> protobuf::Duration {
    protobuf::Duration { seconds, nanos: 0 }
}
