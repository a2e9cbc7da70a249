//! A cluster, and the endpoints among which its load balancer chooses.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, LbPolicy,
};
use envoy_types::pb::envoy::config::core::v3::{
    Address as EnvoyAddress, HealthStatus, TransportSocket, address, socket_address,
    transport_socket,
};
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use prost::{Message, Name};

use super::configuration::Configuration;
use super::walk::{Address, ClusterStep, EndpointGroup, FlagCode, Rule, Tls};
use crate::names;

/// A priority whose healthy share is below this, divided by 100, overflows into the next (Envoy's overprovisioning factor).
const OVERPROVISIONING: u32 = 140;
/// The share of healthy endpoints below which Envoy uses all of them.
const PANIC: f64 = 50.0;

/// What is found behind a cluster's name.
pub(super) struct Reached {
    pub(super) step: Option<ClusterStep>,
    /// Why nothing gets anywhere.
    pub(super) lacks: Option<(FlagCode, String)>,
}

/// Looks for the endpoints of a cluster, for a connection that was captured on its way to `original`.
pub(super) fn reach(
    configuration: &Configuration,
    name: &str,
    original: Option<SocketAddr>,
) -> Reached {
    let Some(cluster) = configuration.clusters.get(name) else {
        return Reached {
            step: None,
            lacks: Some((FlagCode::NC, format!("the proxy has no cluster {name}"))),
        };
    };
    let discovery = discovery(cluster);
    let mut step = ClusterStep {
        name: name.to_owned(),
        load_balancing: load_balancing(cluster).into(),
        subset: names::parse_outbound_cluster(name)
            .map(|(_, subset, _)| subset.to_owned())
            .filter(|subset| !subset.is_empty()),
        tls: tls(cluster),
        limits: limits(cluster),
        ejects: cluster.outlier_detection.is_some(),
        rule: Rule::of(cluster.metadata.as_ref()),
        discovery,
        ..ClusterStep::default()
    };
    let elsewhere = match step.discovery.as_str() {
        "ORIGINAL_DST" => match original {
            Some(to) => Some(to.to_string()),
            None => {
                let why = format!(
                    "the cluster {name} forwards to where captured connections were going, and this one was not captured"
                );
                return Reached {
                    step: Some(step),
                    lacks: Some((FlagCode::UH, why)),
                };
            }
        },
        "DYNAMIC_DNS" => Some("the host that is asked for".to_owned()),
        _ => None,
    };
    if let Some(address) = elsewhere {
        step.endpoints.push(EndpointGroup {
            load: 100,
            endpoints: vec![Address {
                address,
                health: "HEALTHY".into(),
                weight: None,
            }],
            ..EndpointGroup::default()
        });
        return Reached {
            step: Some(step),
            lacks: None,
        };
    }
    let service = cluster
        .eds_cluster_config
        .as_ref()
        .map(|eds| eds.service_name.as_str())
        .filter(|service| !service.is_empty());
    let assignment = cluster
        .load_assignment
        .as_ref()
        .or_else(|| configuration.assignments.get(service.unwrap_or(name)));
    step.endpoints = assignment
        .map(|all| groups(cluster, all))
        .unwrap_or_default();
    let lacks = match (step.endpoints.is_empty(), usable(&step)) {
        (_, true) => None,
        (true, _) => Some(format!("the cluster {name} has no endpoints")),
        (false, _) => Some(format!("no endpoint of the cluster {name} is healthy")),
    };
    Reached {
        step: Some(step),
        lacks: lacks.map(|why| (FlagCode::UH, why)),
    }
}

fn usable(step: &ClusterStep) -> bool {
    step.endpoints.iter().any(|group| group.load > 0)
}

fn discovery(cluster: &Cluster) -> String {
    match &cluster.cluster_discovery_type {
        Some(ClusterDiscoveryType::Type(number)) => DiscoveryType::try_from(*number)
            .map_or("?", |found| found.as_str_name())
            .to_owned(),
        Some(ClusterDiscoveryType::ClusterType(custom)) => {
            let config = custom.typed_config.as_ref();
            let url = config.map_or("", |any| any.type_url.as_str());
            match url.rsplit('.').next().unwrap_or_default() {
                "DnsCluster" => "STRICT_DNS".to_owned(),
                "ClusterConfig" if url.contains("dynamic_forward_proxy") => {
                    "DYNAMIC_DNS".to_owned()
                }
                _ => custom.name.clone(),
            }
        }
        None => DiscoveryType::Static.as_str_name().to_owned(),
    }
}

fn load_balancing(cluster: &Cluster) -> &'static str {
    if cluster.load_balancing_policy.is_some() {
        return "LOAD_BALANCING_POLICY_CONFIG";
    }
    LbPolicy::try_from(cluster.lb_policy).map_or("?", |policy| policy.as_str_name())
}

fn tls(cluster: &Cluster) -> Option<Tls> {
    let of = |socket: &TransportSocket| {
        let Some(transport_socket::ConfigType::TypedConfig(any)) = &socket.config_type else {
            return None;
        };
        if any.type_url != UpstreamTlsContext::type_url() {
            return None;
        }
        let context = UpstreamTlsContext::decode(&*any.value).ok()?;
        let common = context.common_tls_context.unwrap_or_default();
        Some(Tls {
            server_name: context.sni,
            mutual: !common.tls_certificates.is_empty()
                || !common.tls_certificate_sds_secret_configs.is_empty(),
            by_endpoint: false,
        })
    };
    let always = cluster.transport_socket.as_ref().and_then(of);
    let sometimes = cluster
        .transport_socket_matches
        .iter()
        .filter_map(|matching| matching.transport_socket.as_ref())
        .find_map(of);
    always.or_else(|| {
        sometimes.map(|tls| Tls {
            by_endpoint: true,
            ..tls
        })
    })
}

/// Limits that Envoy would reach: those without bound are left out.
fn limits(cluster: &Cluster) -> Vec<(String, u32)> {
    let Some(breakers) = &cluster.circuit_breakers else {
        return Vec::new();
    };
    let Some(of) = breakers.thresholds.first() else {
        return Vec::new();
    };
    [
        ("connections", of.max_connections),
        ("pending requests", of.max_pending_requests),
        ("requests", of.max_requests),
        ("retries", of.max_retries),
    ]
    .into_iter()
    .filter_map(|(name, limit)| Some((name.to_owned(), limit?.value)))
    .filter(|(_, limit)| *limit < u32::MAX)
    .collect()
}

fn groups(cluster: &Cluster, assignment: &ClusterLoadAssignment) -> Vec<EndpointGroup> {
    let mut all: Vec<&LocalityLbEndpoints> = assignment
        .endpoints
        .iter()
        .filter(|group| !group.lb_endpoints.is_empty())
        .collect();
    all.sort_by_key(|group| group.priority);
    let mut priorities: Vec<u32> = all.iter().map(|group| group.priority).collect();
    priorities.dedup();
    let healths: Vec<u32> = priorities
        .iter()
        .map(|priority| health(&all, *priority))
        .collect();
    let loads = loads(&healths, panic_threshold(cluster));
    all.into_iter()
        .map(|group| {
            let place = priorities.iter().position(|p| *p == group.priority);
            EndpointGroup {
                priority: group.priority,
                locality: locality(group),
                weight: group.load_balancing_weight.map(|weight| weight.value),
                load: place
                    .and_then(|place| loads.get(place))
                    .copied()
                    .unwrap_or(0),
                endpoints: group.lb_endpoints.iter().map(endpoint).collect(),
            }
        })
        .collect()
}

fn is_healthy(endpoint: &LbEndpoint) -> bool {
    matches!(
        endpoint.health_status(),
        HealthStatus::Unknown | HealthStatus::Healthy | HealthStatus::Degraded
    )
}

/// Of a hundred endpoints of a priority, how many are healthy.
fn health(all: &[&LocalityLbEndpoints], priority: u32) -> u32 {
    let of_it: Vec<&LbEndpoint> = all
        .iter()
        .filter(|group| group.priority == priority)
        .flat_map(|group| &group.lb_endpoints)
        .collect();
    let healthy = of_it.iter().filter(|endpoint| is_healthy(endpoint)).count();
    u32::try_from(100 * healthy / of_it.len().max(1)).unwrap_or(100)
}

/// How many of a hundred requests each priority gets: the first takes what it can, and the next takes the rest.
fn loads(healths: &[u32], panic: f64) -> Vec<u32> {
    let capacity = |health: &u32| (health * OVERPROVISIONING / 100).min(100);
    let total: u32 = healths.iter().map(capacity).sum::<u32>().min(100);
    if total == 0 {
        // Nobody is healthy: then all count as if they were, unless that is switched off.
        let first = if panic > 0.0 { 100 } else { 0 };
        return healths
            .iter()
            .enumerate()
            .map(|(place, _)| if place == 0 { first } else { 0 })
            .collect();
    }
    let mut left = 100;
    healths
        .iter()
        .map(|health| {
            let load = (capacity(health) * 100 / total).min(left);
            left -= load;
            load
        })
        .collect()
}

fn panic_threshold(cluster: &Cluster) -> f64 {
    cluster
        .common_lb_config
        .as_ref()
        .and_then(|config| config.healthy_panic_threshold.as_ref())
        .map_or(PANIC, |threshold| threshold.value)
}

fn locality(group: &LocalityLbEndpoints) -> String {
    let Some(locality) = &group.locality else {
        return String::new();
    };
    let parts = [&locality.region, &locality.zone, &locality.sub_zone];
    let parts: Vec<&str> = parts
        .into_iter()
        .map(String::as_str)
        .take_while(|part| !part.is_empty())
        .collect();
    parts.join("/")
}

fn endpoint(endpoint: &LbEndpoint) -> Address {
    let address = match &endpoint.host_identifier {
        Some(HostIdentifier::Endpoint(at)) => at.address.as_ref().map(text),
        Some(HostIdentifier::EndpointName(name)) => Some(name.clone()),
        None => None,
    };
    let health = match endpoint.health_status() {
        HealthStatus::Unknown => HealthStatus::Healthy,
        other => other,
    };
    Address {
        address: address.unwrap_or_default(),
        health: health.as_str_name().into(),
        weight: endpoint.load_balancing_weight.map(|weight| weight.value),
    }
}

fn text(address: &EnvoyAddress) -> String {
    match &address.address {
        Some(address::Address::SocketAddress(socket)) => {
            let port = match &socket.port_specifier {
                Some(socket_address::PortSpecifier::PortValue(port)) => port.to_string(),
                Some(socket_address::PortSpecifier::NamedPort(name)) => name.clone(),
                None => String::new(),
            };
            if socket.address.contains(':') {
                format!("[{}]:{port}", socket.address)
            } else {
                format!("{}:{port}", socket.address)
            }
        }
        Some(address::Address::Pipe(pipe)) => pipe.path.clone(),
        Some(address::Address::EnvoyInternalAddress(_)) => "an internal listener".into(),
        None => String::new(),
    }
}
