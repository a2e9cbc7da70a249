//! What Envoy serves and reaches on its own machine: its metrics and readiness for everybody, the agent that says whether it
//! is ready, and the socket that certificates come from.

use std::net::SocketAddr;
use std::path::PathBuf;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
};
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, http_filter,
};
use envoy_types::util::pack_any;

use super::clusters::{Protocol, ip_address, static_cluster, unix_address};
use crate::extensions::Extension;

/// The cluster that certificates come from.
pub const SECRETS_CLUSTER: &str = "sds-grpc";
/// The cluster of Envoy's own admin page.
const METRICS_CLUSTER: &str = "prometheus_stats";
/// The cluster of the agent's pages.
const AGENT_CLUSTER: &str = "agent";

/// What Envoy serves and reaches on its own machine. By default nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beside {
    /// The socket that certificates come from.
    pub secrets: Option<PathBuf>,
    /// Where `/stats/prometheus` is served to everybody.
    pub prometheus: Option<SocketAddr>,
    /// Where `/healthz/ready` is served to everybody.
    pub readiness: Option<Readiness>,
    /// Where endpoints that are ejected are noted.
    pub outlier_log: Option<PathBuf>,
}

/// Who is asked whether Envoy is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Where everybody may ask.
    pub listen: SocketAddr,
    /// The agent's pages, which know.
    pub agent: SocketAddr,
}

impl Beside {
    pub(super) fn clusters(&self, admin: SocketAddr) -> Vec<Cluster> {
        let metrics = self
            .prometheus
            .map(|_| static_cluster(METRICS_CLUSTER, ip_address(admin), Protocol::Http1));
        let agent = self.readiness.map(|readiness| {
            static_cluster(AGENT_CLUSTER, ip_address(readiness.agent), Protocol::Http1)
        });
        let secrets = self
            .secrets
            .as_ref()
            .map(|path| static_cluster(SECRETS_CLUSTER, unix_address(path), Protocol::Http2));
        metrics.into_iter().chain(agent).chain(secrets).collect()
    }

    pub(super) fn listeners(&self) -> Vec<Listener> {
        let metrics = self
            .prometheus
            .map(|at| one_path("prometheus", at, "/stats/prometheus", METRICS_CLUSTER));
        let ready = self.readiness.map(|readiness| {
            one_path(
                "readiness",
                readiness.listen,
                "/healthz/ready",
                AGENT_CLUSTER,
            )
        });
        metrics.into_iter().chain(ready).collect()
    }
}

/// Passes one path on to `cluster` and answers 404 to everything else.
fn one_path(name: &str, at: SocketAddr, path: &str, cluster: &str) -> Listener {
    let route = Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Path(path.to_owned())),
            ..RouteMatch::default()
        }),
        action: Some(Action::Route(RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
            ..RouteAction::default()
        })),
        ..Route::default()
    };
    let routes = RouteConfiguration {
        virtual_hosts: vec![VirtualHost {
            name: name.to_owned(),
            domains: vec!["*".to_owned()],
            routes: vec![route],
            ..VirtualHost::default()
        }],
        ..RouteConfiguration::default()
    };
    let manager = HttpConnectionManager {
        stat_prefix: name.to_owned(),
        route_specifier: Some(RouteSpecifier::RouteConfig(routes)),
        http_filters: vec![HttpFilter {
            name: Extension::Router.name().to_owned(),
            config_type: Some(http_filter::ConfigType::TypedConfig(pack_any(
                Router::default(),
            ))),
            ..HttpFilter::default()
        }],
        ..HttpConnectionManager::default()
    };
    Listener {
        name: name.to_owned(),
        address: Some(ip_address(at)),
        filter_chains: vec![FilterChain {
            filters: vec![Filter {
                name: Extension::HttpConnectionManager.name().to_owned(),
                config_type: Some(filter::ConfigType::TypedConfig(pack_any(manager))),
            }],
            ..FilterChain::default()
        }],
        // Its connections are not what a drain of inbound traffic is about, and no flood of others may keep probes out.
        traffic_direction: TrafficDirection::Unspecified.into(),
        ignore_global_conn_limit: true,
        ..Listener::default()
    }
}
