//! What the network filters of a chain do.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::ClusterSpecifier;
use prost::{Message, Name};

use super::ask::{Call, Payload};
use super::configuration::Configuration;
use super::walk::{Candidate, FlagCode, Outcome, Walk};
use super::{action, cluster, http};

/// The filter that takes the server's name for the cluster's.
const SNI_CLUSTER: &str = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster";

/// Lets the connection go through the filters of its chain.
pub(super) fn go_on(
    configuration: &Configuration,
    call: &Call,
    chain: &FilterChain,
    to: Option<SocketAddr>,
    mut walk: Walk,
) -> Walk {
    let ends_tls = chain.transport_socket.is_some();
    if ends_tls && call.tls.is_none() {
        walk.outcome = Outcome::Closed {
            flag: FlagCode::None,
            why: "the chain expects TLS, and the client speaks none".into(),
        };
        return walk;
    }
    let mut by_server_name = false;
    for filter in &chain.filters {
        let Some(ConfigType::TypedConfig(any)) = &filter.config_type else {
            continue;
        };
        if any.type_url == HttpConnectionManager::type_url() {
            let Ok(manager) = HttpConnectionManager::decode(&*any.value) else {
                return unreadable(walk, &filter.name);
            };
            return match &call.payload {
                Payload::Http(request) if ends_tls || call.tls.is_none() => {
                    http::go_on(configuration, call, request, &manager, ends_tls, to, walk)
                }
                _ => closed(walk, FlagCode::DPE, "what comes is no HTTP request"),
            };
        }
        if any.type_url == TcpProxy::type_url() {
            let Ok(proxy) = TcpProxy::decode(&*any.value) else {
                return unreadable(walk, &filter.name);
            };
            let sni = walk
                .listener
                .as_ref()
                .and_then(|listener| listener.detected.server_name.clone())
                .filter(|_| by_server_name);
            return forward(configuration, call, &proxy, sni, to, walk);
        }
        by_server_name |= any.type_url.ends_with(SNI_CLUSTER);
    }
    closed(
        walk,
        FlagCode::None,
        "no filter of the chain forwards anything",
    )
}

fn forward(
    configuration: &Configuration,
    call: &Call,
    proxy: &TcpProxy,
    sni: Option<String>,
    to: Option<SocketAddr>,
    mut walk: Walk,
) -> Walk {
    let weighted: Vec<(String, u32)> = match &proxy.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => {
            vec![(sni.unwrap_or_else(|| name.clone()), 1)]
        }
        Some(ClusterSpecifier::WeightedClusters(all)) => all
            .clusters
            .iter()
            .map(|one| (one.name.clone(), one.weight))
            .collect(),
        None => Vec::new(),
    };
    let Some(chosen) = action::by_weight(weighted.iter().map(|(_, weight)| *weight), call.random)
    else {
        return closed(walk, FlagCode::None, "the TCP proxy names no cluster");
    };
    walk.candidates = weighted
        .into_iter()
        .enumerate()
        .map(|(place, (cluster, weight))| Candidate {
            cluster,
            weight,
            chosen: place == chosen,
        })
        .collect();
    let name = walk
        .candidates
        .get(chosen)
        .map(|candidate| candidate.cluster.clone())
        .unwrap_or_default();
    let reached = cluster::reach(configuration, &name, to);
    walk.cluster = reached.step;
    walk.outcome = match reached.lacks {
        None => Outcome::Forwarded {
            cluster: name,
            request: None,
        },
        Some((flag, why)) => Outcome::Closed { flag, why },
    };
    walk
}

fn closed(mut walk: Walk, flag: FlagCode, why: &str) -> Walk {
    walk.outcome = Outcome::Closed {
        flag,
        why: why.into(),
    };
    walk
}

fn unreadable(mut walk: Walk, filter: &str) -> Walk {
    walk.outcome = Outcome::Unknown {
        why: format!("the settings of the filter {filter} cannot be read"),
    };
    walk
}
