//! Load assignments: endpoints grouped by locality, with weights and health.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::{
    Address as EnvoyAddress, HealthStatus, Locality as EnvoyLocality, Metadata, address,
};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as EnvoyEndpoint, LbEndpoint, LocalityLbEndpoints, endpoint,
    lb_endpoint,
};
use pilothouse_core::model::{Address, Endpoint, Health, Locality, ServicePort, TlsMode};

use super::common::{ISTIO_METADATA, ip_address, metadata, name_address, object, pipe, text, uint};
use super::{Message, Notes, Output};
use crate::inputs::assignments::AssignmentInput;
use crate::resource::Cause;

/// The key by which Envoy chooses a transport socket for an endpoint.
const TRANSPORT_SOCKET_MATCH: &str = "envoy.transport_socket_match";

pub(super) fn translate(input: &AssignmentInput) -> Output {
    let endpoints = input.endpoints.as_deref().into_iter().flatten();
    // Envoy takes names only where it resolves them.
    let usable = |address: &Address, port| match address {
        Address::Ip(ip) => Some(ip_address(*ip, port)),
        Address::Unix(path) => Some(pipe(path)),
        Address::Host(_) => None,
    };
    let addresses = |endpoint: &Endpoint| match endpoint.port(&input.port) {
        Some(port) => endpoint
            .addresses
            .iter()
            .filter_map(|address| usable(address, port))
            .collect(),
        None => Vec::new(),
    };
    let message = assignment(
        input.name.as_str(),
        endpoints,
        input.publish_not_ready,
        addresses,
    );
    let mut notes = Notes::default();
    notes.causes.insert(Cause::Service(input.service.clone()));
    notes.output(input.name.clone(), Message::Assignment(Box::new(message)))
}

/// The load assignment of a cluster that resolves names itself. `only_one` for a cluster that can have but one name.
pub(super) fn inline<'a>(
    cluster: &str,
    port: &ServicePort,
    endpoints: impl Iterator<Item = &'a Endpoint>,
    publish_not_ready: bool,
    only_one: bool,
) -> ClusterLoadAssignment {
    let usable = |address: &Address, port| match address {
        Address::Ip(ip) => Some(ip_address(*ip, port)),
        Address::Host(host) => Some(name_address(host, port)),
        Address::Unix(_) => None,
    };
    // What a name resolves to is all that Envoy takes for such an endpoint.
    let first = |endpoint: &Endpoint| {
        let port = endpoint.port(port)?;
        endpoint
            .addresses
            .iter()
            .find_map(|address| usable(address, port))
    };
    let served = endpoints
        .filter(|endpoint| is_served(endpoint, publish_not_ready) && first(endpoint).is_some());
    let chosen = served.take(if only_one { 1 } else { usize::MAX });
    assignment(cluster, chosen, publish_not_ready, |endpoint| {
        first(endpoint).into_iter().collect()
    })
}

fn assignment<'a>(
    cluster: &str,
    endpoints: impl Iterator<Item = &'a Endpoint>,
    publish_not_ready: bool,
    addresses: impl Fn(&Endpoint) -> Vec<EnvoyAddress>,
) -> ClusterLoadAssignment {
    let mut localities: BTreeMap<&Locality, Vec<(u32, LbEndpoint)>> = BTreeMap::new();
    for endpoint in endpoints.filter(|endpoint| is_served(endpoint, publish_not_ready)) {
        if let Some(message) = lb_endpoint(endpoint, addresses(endpoint)) {
            localities
                .entry(&endpoint.locality)
                .or_default()
                .push((endpoint.weight.max(1), message));
        }
    }
    let shrink = shrink(localities.values().flatten().map(|(weight, _)| *weight));
    let endpoints = localities.into_iter().map(|(locality, endpoints)| {
        let weights: u32 = endpoints
            .iter()
            .map(|(weight, _)| shrink.apply(*weight))
            .fold(0, u32::saturating_add);
        LocalityLbEndpoints {
            locality: Some(EnvoyLocality {
                region: locality.region.to_string(),
                zone: locality.zone.to_string(),
                sub_zone: locality.sub_zone.to_string(),
            }),
            load_balancing_weight: uint(weights),
            lb_endpoints: endpoints
                .into_iter()
                .map(|(weight, endpoint)| LbEndpoint {
                    load_balancing_weight: uint(shrink.apply(weight)),
                    ..endpoint
                })
                .collect(),
            ..Default::default()
        }
    });
    ClusterLoadAssignment {
        cluster_name: cluster.to_owned(),
        endpoints: endpoints.collect(),
        ..Default::default()
    }
}

/// An endpoint that is not healthy is served only where its service asks for it.
fn is_served(endpoint: &Endpoint, publish_not_ready: bool) -> bool {
    publish_not_ready || endpoint.health == Health::Healthy
}

fn lb_endpoint(endpoint: &Endpoint, addresses: Vec<EnvoyAddress>) -> Option<LbEndpoint> {
    let mut addresses = addresses.into_iter();
    let first = addresses.next()?;
    let is_socket = |address: &EnvoyAddress| {
        matches!(address.address, Some(address::Address::SocketAddress(_)))
    };
    // Envoy tries several addresses in turn only if all are sockets.
    let more = addresses.filter(|address| is_socket(&first) && is_socket(address));
    let more = more
        .map(|address| endpoint::AdditionalAddress {
            address: Some(address),
        })
        .collect();
    let health = match endpoint.health {
        Health::Healthy | Health::Unhealthy => HealthStatus::Unknown,
        Health::Draining | Health::Terminating => HealthStatus::Draining,
    };
    Some(LbEndpoint {
        health_status: health.into(),
        metadata: endpoint_metadata(endpoint),
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(EnvoyEndpoint {
            address: Some(first),
            additional_addresses: more,
            ..Default::default()
        })),
        ..Default::default()
    })
}

/// Who an endpoint is, for telemetry, and whether it takes mutual TLS.
fn endpoint_metadata(endpoint: &Endpoint) -> Option<Metadata> {
    let mut parts = Vec::new();
    if let Some(workload) = &endpoint.workload {
        let label = |key| endpoint.labels.get(key).unwrap_or_default();
        let (name, revision) = (
            label("service.istio.io/canonical-name"),
            label("service.istio.io/canonical-revision"),
        );
        let line = format!(
            "{};{};{name};{revision};{}",
            workload.name, workload.namespace, endpoint.cluster
        );
        parts.push((ISTIO_METADATA, object([("workload", text(line))])));
    }
    if endpoint.tls_mode == TlsMode::Istio {
        parts.push((TRANSPORT_SOCKET_MATCH, object([("tlsMode", text("istio"))])));
    }
    if parts.is_empty() {
        None
    } else {
        metadata(parts)
    }
}

/// Envoy refuses assignments whose weights add up to more than 32 bits hold.
#[derive(Clone, Copy)]
struct Shrink(u64);

impl Shrink {
    fn apply(self, weight: u32) -> u32 {
        u32::try_from(u64::from(weight) / self.0)
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

fn shrink(weights: impl Iterator<Item = u32>) -> Shrink {
    let (total, count) = weights.fold((0_u64, 0_u64), |(total, count), weight| {
        (total.saturating_add(weight.into()), count + 1)
    });
    // Every weight is at least 1 after division, which may add as much as there are endpoints.
    let room = u64::from(u32::MAX).saturating_sub(count).max(1);
    Shrink(total.div_ceil(room).max(1))
}
