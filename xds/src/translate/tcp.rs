//! The network filter that forwards bytes.

use envoy_types::pb::envoy::config::listener::v3::{Filter, filter};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use envoy_types::util::pack_any;
use pilothouse_core::mesh::AccessLog;

use super::Notes;
use super::access_log::access_log;
use crate::extensions::Extension;
use crate::resource::Name;

/// Forwards to `cluster`.
pub(super) fn proxy(cluster: &str, log: Option<&AccessLog>, notes: &mut Notes) -> Filter {
    notes.clusters.insert(Name::from(cluster));
    let config = TcpProxy {
        stat_prefix: cluster.into(),
        access_log: access_log(log),
        cluster_specifier: Some(tcp_proxy::ClusterSpecifier::Cluster(cluster.into())),
        ..Default::default()
    };
    Filter {
        name: Extension::TcpProxy.name().into(),
        config_type: Some(filter::ConfigType::TypedConfig(pack_any(config))),
    }
}
