//! Load assignments: endpoints grouped by locality, with weights and health.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::{
    Address as EnvoyAddress, HealthStatus, Locality as EnvoyLocality, Metadata,
};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, Endpoint as EnvoyEndpoint, LbEndpoint, LocalityLbEndpoints, endpoint,
    lb_endpoint,
};
use pilothouse_core::model::{Address, Endpoint, Health, Locality, ServicePort, TlsMode};

use super::common::{
    ISTIO_METADATA, address, ip_address, metadata, object, pipe, socket_address, text, uint,
};
use super::{Message, Notes, Output};
use crate::inputs::assignments::AssignmentInput;
use crate::resource::Cause;

/// The key by which Envoy chooses a transport socket for an endpoint.
const TRANSPORT_SOCKET_MATCH: &str = "envoy.transport_socket_match";

pub(super) fn translate(input: &AssignmentInput) -> Output {
    let endpoints = input.endpoints.as_deref().into_iter().flatten();
    // Envoy takes names only where it resolves them.
    let usable = |endpoint: &Endpoint, address: &Address| match address {
        Address::Ip(ip) => Some(ip_address(*ip, endpoint.port(&input.port)?)),
        Address::Unix(path) => Some(pipe(path)),
        Address::Host(_) => None,
    };
    let message = assignment(
        input.name.as_str(),
        endpoints,
        input.publish_not_ready,
        usable,
    );
    let mut notes = Notes::default();
    notes.causes.insert(Cause::Service(input.service.clone()));
    notes.output(input.name.clone(), Message::Assignment(Box::new(message)))
}

/// The load assignment of a cluster that resolves names itself. `first_only` for a cluster that can have but one name.
pub(super) fn inline<'a>(
    cluster: &str,
    port: &ServicePort,
    endpoints: impl Iterator<Item = &'a Endpoint>,
    publish_not_ready: bool,
    first_only: bool,
) -> ClusterLoadAssignment {
    let usable = |endpoint: &Endpoint, address_: &Address| {
        let number = endpoint.port(port)?;
        match address_ {
            Address::Ip(ip) => Some(ip_address(*ip, number)),
            Address::Host(host) => Some(address(socket_address(host, number))),
            Address::Unix(_) => None,
        }
    };
    let limit = if first_only { 1 } else { usize::MAX };
    let can_be_used = |endpoint: &&Endpoint| {
        endpoint
            .addresses
            .iter()
            .any(|a| usable(endpoint, a).is_some())
    };
    let chosen = endpoints
        .filter(|endpoint| is_served(endpoint, publish_not_ready))
        .filter(can_be_used)
        .take(limit);
    assignment(cluster, chosen, publish_not_ready, usable)
}

fn assignment<'a>(
    cluster: &str,
    endpoints: impl Iterator<Item = &'a Endpoint>,
    publish_not_ready: bool,
    usable: impl Fn(&Endpoint, &Address) -> Option<EnvoyAddress>,
) -> ClusterLoadAssignment {
    let mut localities: BTreeMap<&Locality, Vec<(u32, LbEndpoint)>> = BTreeMap::new();
    for endpoint in endpoints.filter(|endpoint| is_served(endpoint, publish_not_ready)) {
        let addresses: Vec<EnvoyAddress> = endpoint
            .addresses
            .iter()
            .filter_map(|address| usable(endpoint, address))
            .collect();
        if let Some(message) = lb_endpoint(endpoint, addresses) {
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
    // Envoy tries several addresses in turn only if all are sockets.
    let more = addresses
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
