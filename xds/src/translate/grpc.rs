//! What gRPC clients get. They read a small part of Envoy's API (gRFCs A27, A28, A32, A33, A37, A42, A44), and refuse a resource
//! in which that part is not as they know it: nothing else is written.

mod rules;
#[cfg(test)]
mod tests;

use envoy_types::pb::envoy::config::cluster::v3::{
    CircuitBreakers, Cluster, circuit_breakers, cluster,
};
use envoy_types::pb::envoy::config::listener::v3::{ApiListener, Listener};
use envoy_types::pb::envoy::config::route::v3::{
    RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, route,
    route_action, route_match,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, Rds,
};
use envoy_types::pb::google::protobuf::UInt64Value;
use envoy_types::util::pack_any;
use pilothouse_core::mesh::Endpoints;

use super::common::{ads, uint};
use super::{Message, Notes, Output, assignment, http};
use crate::inputs::grpc::{
    GrpcCluster, GrpcDiscovery, GrpcInput, GrpcListener, GrpcRoute, LoadBalancing,
};
use crate::names;
use crate::resource::{Cause, Name};

/// The failures after which a call may go elsewhere, of those that Envoys are told.
const RETRY_ON: &str = "unavailable,cancelled";
/// How often a failed call is tried again.
const RETRIES: u32 = 2;
/// The greatest ring that clients take.
const MAX_RING: u64 = 8 * 1024 * 1024;

pub(super) fn translate(input: &GrpcInput) -> Output {
    match input {
        GrpcInput::Cluster(input) => cluster(input),
        GrpcInput::Listener(input) => listener(input),
        GrpcInput::Route(input) => route(input),
    }
}

/// An API listener: it says what becomes of calls, and is nowhere bound.
fn listener(input: &GrpcListener) -> Output {
    let mut notes = Notes::default();
    notes.causes.insert(Cause::Service(input.service.clone()));
    notes.routes.insert(input.route.clone());
    let manager = HttpConnectionManager {
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads()),
            route_config_name: input.route.to_string(),
        })),
        http_filters: vec![http::fault(), http::router()],
        ..Default::default()
    };
    let message = Listener {
        name: input.name.to_string(),
        api_listener: Some(ApiListener {
            api_listener: Some(pack_any(manager)),
        }),
        ..Default::default()
    };
    notes.output(input.name.clone(), Message::Listener(Box::new(message)))
}

/// Calls of every method, to one cluster unless rules say otherwise. The authority of a call has its port here, and an application may have set it to
/// anything: the target has said which service is meant.
fn route(input: &GrpcRoute) -> Output {
    let mut notes = Notes::default();
    notes.causes.insert(Cause::Service(input.service.clone()));
    let host = &input.service.host;
    let name = names::outbound_cluster(input.port, "", host);
    let routes = match input.routed.is_empty() {
        true => vec![default_route(input, &name, &mut notes)],
        false => rules::routes(&input.routed, &mut notes),
    };
    let spellings = input.spellings.iter();
    let message = RouteConfiguration {
        name: name.to_string(),
        virtual_hosts: vec![VirtualHost {
            name: names::virtual_host(host, input.port),
            domains: spellings
                .map(|spelling| names::api_listener(spelling, input.port).to_string())
                .chain(["*".to_owned()])
                .collect(),
            routes,
            include_request_attempt_count: true,
            ..Default::default()
        }],
        ..Default::default()
    };
    notes.output(name, Message::Route(Box::new(message)))
}

fn default_route(input: &GrpcRoute, cluster: &Name, notes: &mut Notes) -> Route {
    notes.clusters.insert(cluster.clone());
    let hash_header = input.hash_header.iter();
    let action = RouteAction {
        cluster_specifier: Some(route_action::ClusterSpecifier::Cluster(cluster.to_string())),
        retry_policy: Some(retry()),
        hash_policy: hash_header.map(|name| by_header(name)).collect(),
        ..Default::default()
    };
    Route {
        name: names::DEFAULT_ROUTE.into(),
        r#match: Some(RouteMatch {
            path_specifier: Some(route_match::PathSpecifier::Prefix(String::new())),
            ..Default::default()
        }),
        action: Some(route::Action::Route(action)),
        ..Default::default()
    }
}

/// How failed calls are tried again where no rule says anything.
fn retry() -> RetryPolicy {
    RetryPolicy {
        retry_on: RETRY_ON.into(),
        num_retries: uint(RETRIES),
        ..Default::default()
    }
}

fn by_header(name: &str) -> route_action::HashPolicy {
    use route_action::hash_policy::{Header, PolicySpecifier};
    route_action::HashPolicy {
        policy_specifier: Some(PolicySpecifier::Header(Header {
            header_name: name.into(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

fn cluster(input: &GrpcCluster) -> Output {
    let mut notes = Notes::default();
    notes.causes.insert(Cause::Service(input.service.clone()));
    let rules = input.rules.iter().cloned().map(Cause::Rule);
    notes.causes.extend(rules);
    let subset = input.subset.as_deref().unwrap_or_default();
    let name = names::outbound_cluster(input.port.port, subset, &input.service.host);
    let mut message = Cluster {
        name: name.to_string(),
        // Clients have a limit of their own, 1024, where nothing is said.
        circuit_breakers: Some(CircuitBreakers {
            thresholds: vec![circuit_breakers::Thresholds {
                max_requests: uint(input.max_requests.unwrap_or(u32::MAX)),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    balance(&mut message, input.load_balancing);
    if !resolve(&mut message, input) {
        message.cluster_discovery_type = of_type(cluster::DiscoveryType::Eds);
        message.eds_cluster_config = Some(cluster::EdsClusterConfig {
            eds_config: Some(ads()),
            service_name: name.to_string(),
        });
    }
    notes.output(name, Message::Cluster(Box::new(message)))
}

/// Makes a cluster of a name resolve it. Returns whether there is one: clients refuse a cluster without.
fn resolve(message: &mut Cluster, input: &GrpcCluster) -> bool {
    let GrpcDiscovery::Dns {
        endpoints,
        publish_not_ready,
    } = &input.discovery
    else {
        return false;
    };
    let endpoints: &[_] = endpoints
        .as_ref()
        .map_or(&[], |endpoints| Endpoints::as_slice(endpoints));
    let inline = assignment::inline(
        &message.name,
        &input.port,
        endpoints.iter(),
        *publish_not_ready,
        true,
        &input.labels,
        None,
    );
    let any = !inline.endpoints.is_empty();
    if any {
        message.cluster_discovery_type = of_type(cluster::DiscoveryType::LogicalDns);
        message.load_assignment = Some(inline);
    }
    any
}

fn balance(message: &mut Cluster, load_balancing: LoadBalancing) {
    use cluster::ring_hash_lb_config::HashFunction;
    match load_balancing {
        LoadBalancing::RoundRobin => message.lb_policy = cluster::LbPolicy::RoundRobin.into(),
        LoadBalancing::RingHash { minimum, maximum } => {
            let maximum = maximum.min(MAX_RING);
            let size = |value| Some(UInt64Value { value });
            message.lb_policy = cluster::LbPolicy::RingHash.into();
            message.lb_config = Some(cluster::LbConfig::RingHashLbConfig(
                cluster::RingHashLbConfig {
                    minimum_ring_size: size(minimum.min(maximum)),
                    maximum_ring_size: size(maximum),
                    hash_function: HashFunction::XxHash.into(),
                },
            ));
        }
    }
}

fn of_type(discovery_type: cluster::DiscoveryType) -> Option<cluster::ClusterDiscoveryType> {
    Some(cluster::ClusterDiscoveryType::Type(discovery_type.into()))
}
