//! What a workload is to a service that selects it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Address, Endpoint, EndpointPort, Resolution, Service, ServicePort, Workload};

/// The endpoint that `workload` is of `service`, whose selector it meets: with its own port numbers where it names them, the
/// service's target ports otherwise. `None` if it has no address that such a service can use: proxies resolve names only
/// for services that are resolved by DNS, and sockets only for others.
pub fn endpoint_of(service: &Service, workload: &Workload) -> Option<Endpoint> {
    let usable = |address: &&Address| usable(&service.resolution, address);
    let addresses: Vec<_> = workload.addresses.iter().filter(usable).cloned().collect();
    let first = addresses.first()?;
    Some(Endpoint {
        ports: ports(&service.ports, first, &workload.ports),
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

/// The ports of an endpoint at `address` that has the numbers `own`, by name: all of the service's, or `None` if each is its
/// target port. A socket has none.
pub(super) fn ports(
    service: &[ServicePort],
    address: &Address,
    own: &BTreeMap<Arc<str>, u16>,
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
