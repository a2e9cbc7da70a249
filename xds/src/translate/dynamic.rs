//! What resolves the names that requests and connections say: a cluster, and the filters that go with it.

use envoy_types::pb::envoy::config::cluster::v3::cluster::DnsLookupFamily;
use envoy_types::pb::envoy::config::cluster::v3::{Cluster, cluster};
use envoy_types::pb::envoy::config::listener::v3::{Filter, filter};
use envoy_types::pb::envoy::extensions::clusters::dynamic_forward_proxy::v3::{
    ClusterConfig, cluster_config,
};
use envoy_types::pb::envoy::extensions::common::dynamic_forward_proxy::v3::DnsCacheConfig;
use envoy_types::pb::envoy::extensions::filters::http::dynamic_forward_proxy::v3::{
    FilterConfig as HttpConfig, filter_config as http_config,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpFilter, http_filter,
};
use envoy_types::pb::envoy::extensions::filters::network::sni_dynamic_forward_proxy::v3::{
    FilterConfig as SniConfig, filter_config as sni_config,
};
use envoy_types::util::pack_any;

use super::cluster::resolver;
use crate::extensions::Extension;
use crate::inputs::dynamic::NameCache;
use crate::selection::Family;

/// The name of the cache.
const CACHE: &str = "dynamic_dns";

/// Makes a cluster one of whatever names are asked for.
pub(super) fn by_request(cluster: Cluster, cache: NameCache) -> Cluster {
    let config = ClusterConfig {
        cluster_implementation_specifier: Some(
            cluster_config::ClusterImplementationSpecifier::DnsCacheConfig(settings(cache)),
        ),
        // Rules say which certificates are believed, as they do for other clusters.
        allow_insecure_cluster_options: true,
        ..Default::default()
    };
    let discovery = cluster::ClusterDiscoveryType::ClusterType(cluster::CustomClusterType {
        name: Extension::DynamicCluster.name().into(),
        typed_config: Some(pack_any(config)),
    });
    Cluster {
        cluster_discovery_type: Some(discovery),
        lb_policy: cluster::LbPolicy::ClusterProvided.into(),
        common_lb_config: None,
        ..cluster
    }
}

/// The filter that resolves the host of a request, if its cluster is such a one.
pub(super) fn of_requests(cache: NameCache) -> HttpFilter {
    let config = HttpConfig {
        implementation_specifier: Some(http_config::ImplementationSpecifier::DnsCacheConfig(
            settings(cache),
        )),
        ..Default::default()
    };
    HttpFilter {
        name: Extension::DynamicRequests.name().into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(pack_any(config))),
        ..Default::default()
    }
}

/// The filter that resolves the server name of a connection, to be dialled at `port`.
pub(super) fn of_connections(cache: NameCache, port: u16) -> Filter {
    let config = SniConfig {
        dns_cache_config: Some(settings(cache)),
        port_specifier: Some(sni_config::PortSpecifier::PortValue(port.into())),
        ..Default::default()
    };
    Filter {
        name: Extension::DynamicConnections.name().into(),
        config_type: Some(filter::ConfigType::TypedConfig(pack_any(config))),
    }
}

fn settings(cache: NameCache) -> DnsCacheConfig {
    let family = match cache.family {
        Family::V4 => DnsLookupFamily::V4Only,
        Family::V6 => DnsLookupFamily::V6Only,
        Family::Dual => DnsLookupFamily::All,
    };
    DnsCacheConfig {
        name: CACHE.into(),
        dns_lookup_family: family.into(),
        typed_dns_resolver_config: cache.cares.then(resolver),
        ..Default::default()
    }
}
