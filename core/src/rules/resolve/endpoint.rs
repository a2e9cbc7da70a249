//! What a workload is to a service that selects it.

use std::sync::Arc;

use crate::model::{
    Address, ByName, Endpoint, EndpointPort, Resolution, Service, ServicePort, ServiceSource,
    Workload,
};

/// The endpoint that `workload` is of `service`, whose selector it meets, as far as these two say it (see
/// [`Mesh::locality_of`](crate::mesh::Mesh::locality_of) and [`Mesh::identity_of`](crate::mesh::Mesh::identity_of)). It has its own port numbers where it names them, the
/// service's target ports otherwise; where both are a platform's, it has the target ports, by number or by its own names. `None` if it has no address that such a service can use: proxies resolve names only
/// for services that are resolved by DNS, and sockets only for others.
pub fn endpoint_of(
    service: &Service,
    workload: &Workload,
    declared_by: ServiceSource,
) -> Option<Endpoint> {
    let usable = |address: &&Address| usable(&service.resolution, address);
    let addresses: Vec<_> = workload.addresses.iter().filter(usable).cloned().collect();
    let first = addresses.first()?;
    Some(Endpoint {
        ports: match (service.source, declared_by) {
            (ServiceSource::Platform, ServiceSource::Platform) => {
                target_ports(&service.ports, &workload.ports)
            }
            _ => ports(&service.ports, first, &workload.ports),
        },
        health: workload.health,
        weight: workload.weight.max(1),
        locality: workload.locality.clone(),
        network: workload.network.clone(),
        cluster: workload.cluster.clone(),
        labels: workload.labels.clone(),
        identity: workload.identity.clone(),
        workload: Some(workload.key.clone()),
        tls_mode: workload.tls_mode,
        hostname: None,
        node: workload.node.clone(),
        for_zones: None,
        addresses,
    })
}

/// Whether a service that is resolved like this can have an endpoint there.
pub(super) fn usable(resolution: &Resolution, address: &Address) -> bool {
    match resolution {
        Resolution::ClientSide => !matches!(address, Address::Host(_)),
        Resolution::Dns | Resolution::DnsRoundRobin => !matches!(address, Address::Unix(_)),
        Resolution::Passthrough => matches!(address, Address::Ip(_)),
        Resolution::DynamicDns | Resolution::Alias(_) => false,
    }
}

/// The target ports of a service at a workload that calls its ports by these names: those that it has, or `None` if these
/// are all, each by its number.
fn target_ports(service: &[ServicePort], own: &ByName<u16>) -> Option<Arc<[EndpointPort]>> {
    if service.iter().all(|port| port.target_name.is_none()) {
        return None;
    }
    let number = |port: &ServicePort| match &port.target_name {
        None => Some(port.target()),
        Some(name) => own.get(name).copied(),
    };
    let has = |port: &ServicePort| {
        Some(EndpointPort {
            name: Arc::clone(&port.name),
            port: number(port)?,
        })
    };
    let mut ports: Vec<_> = service.iter().filter_map(has).collect();
    ports.sort();
    Some(ports.into())
}

/// The ports of an endpoint at `address` that has the numbers `own`, by name: all of the service's, or `None` if each is its
/// target port. A socket has none.
pub(super) fn ports(
    service: &[ServicePort],
    address: &Address,
    own: &ByName<u16>,
) -> Option<Arc<[EndpointPort]>> {
    let number = |port: &ServicePort| {
        own.get(&port.name)
            .copied()
            .unwrap_or_else(|| port.target())
    };
    if matches!(address, Address::Unix(_))
        || service.iter().all(|port| number(port) == port.target())
    {
        return None;
    }
    let mut ports: Vec<_> = service
        .iter()
        .map(|port| EndpointPort {
            name: Arc::clone(&port.name),
            port: number(port),
        })
        .collect();
    ports.sort();
    Some(ports.into())
}
