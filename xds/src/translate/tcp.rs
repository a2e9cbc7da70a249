//! The network filter that forwards bytes.

use envoy_types::pb::envoy::config::listener::v3::{Filter, filter as listener_filter};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::{TcpProxy, tcp_proxy};
use envoy_types::pb::envoy::r#type::v3::{HashPolicy, hash_policy};
use envoy_types::util::pack_any;
use pilothouse_core::rules::resolve::Tunnel;

use super::Notes;
use super::access_log::connection_logs;
use super::common::duration;
use super::route::rules;
use crate::extensions::Extension;
use crate::inputs::destination::Forwarding;
use crate::inputs::reports::Reports;
use crate::inputs::routing::Connections;
use crate::resource::{Cause, Name};

/// Forwards to `cluster`.
pub(super) fn proxy(cluster: &str, reports: &Reports, notes: &mut Notes) -> Filter {
    forward(cluster, &Forwarding::default(), reports, notes)
}

/// Forwards to `cluster` as rules say.
pub(super) fn forward(
    cluster: &str,
    how: &Forwarding,
    reports: &Reports,
    notes: &mut Notes,
) -> Filter {
    notes.clusters.insert(Name::from(cluster));
    let specifier = tcp_proxy::ClusterSpecifier::Cluster(cluster.into());
    filter(cluster.into(), specifier, how, reports, notes)
}

/// Forwards to the clusters of `to`, in proportion to their weights.
pub(super) fn connections(to: &Connections, reports: &Reports, notes: &mut Notes) -> Filter {
    if let Some(place) = &to.said {
        rules::note(place, notes);
    }
    if let [(only, _)] = &to.clusters[..] {
        return forward(only.as_str(), &to.forwarding, reports, notes);
    }
    let clusters = to.clusters.iter().map(|(cluster, weight)| {
        notes.clusters.insert(cluster.clone());
        tcp_proxy::weighted_cluster::ClusterWeight {
            name: cluster.to_string(),
            weight: *weight,
            ..Default::default()
        }
    });
    let specifier = tcp_proxy::ClusterSpecifier::WeightedClusters(tcp_proxy::WeightedCluster {
        clusters: clusters.collect(),
    });
    // Several clusters are a rule's.
    let rule = to
        .said
        .as_ref()
        .map(|place| place.by.as_ref().unwrap_or(&place.rule));
    let prefix = rule.map(|rule| format!("{}.{}", rule.name, rule.namespace));
    filter(
        prefix.unwrap_or_default(),
        specifier,
        &to.forwarding,
        reports,
        notes,
    )
}

fn filter(
    stat_prefix: String,
    specifier: tcp_proxy::ClusterSpecifier,
    how: &Forwarding,
    reports: &Reports,
    notes: &mut Notes,
) -> Filter {
    let rules = how.rules.iter().cloned();
    notes.causes.extend(rules.map(Cause::Rule));
    let config = TcpProxy {
        stat_prefix,
        access_log: connection_logs(reports, notes),
        cluster_specifier: Some(specifier),
        idle_timeout: how.idle_timeout.and_then(duration),
        max_downstream_connection_duration: how.max_duration.and_then(duration),
        hash_policy: how.by_source.then(by_source).into_iter().collect(),
        tunneling_config: how.tunnel.as_deref().map(tunneling),
        ..Default::default()
    };
    Filter {
        name: Extension::TcpProxy.name().into(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(pack_any(config))),
    }
}

fn by_source() -> HashPolicy {
    HashPolicy {
        policy_specifier: Some(hash_policy::PolicySpecifier::SourceIp(
            hash_policy::SourceIp {},
        )),
    }
}

fn tunneling(tunnel: &Tunnel) -> tcp_proxy::TunnelingConfig {
    tcp_proxy::TunnelingConfig {
        hostname: tunnel.target.to_string(),
        use_post: tunnel.post,
        ..Default::default()
    }
}
