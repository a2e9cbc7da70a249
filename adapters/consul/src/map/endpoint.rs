//! An instance as an endpoint and as a workload.

use pilothouse_core::model::{
    Address, Endpoint, EndpointPort, Locality, NamespaceName, NetworkId, TlsMode, Workload,
    WorkloadKey,
};
use pilothouse_core::registry::Problem;

use super::ports::Ports;
use super::{Naming, called, health, labels};
use crate::client::Instance;

/// The keys of an instance's metadata that say who it is.
const WORKLOAD: &str = "workload-name";
const ACCOUNT: &str = "service-account";
const IDENTITY: &str = "spiffe-id";
const LOCALITY: &str = "locality";
const NETWORK: &str = "network";

/// An instance as an endpoint and as a workload.
pub(super) fn of(
    instance: &Instance,
    ports: &Ports,
    namespace: &NamespaceName,
    naming: &Naming,
) -> Result<(Endpoint, Workload), Problem> {
    let (text, number) = address(instance, naming.wan);
    let address: Address = text.parse().map_err(|error| {
        Problem::error("Service.Address", format!("{error}"))
            .hint("register the instance or its node with an address")
    })?;
    let ports = match &address {
        // A socket has no port.
        Address::Unix(_) => None,
        _ if number == 0 && instance.service.ports.is_empty() => {
            return Err(Problem::error("Service.Port", "the instance has no port")
                .hint("register it with the port that it listens on"));
        }
        _ => Some(ports.of_instance(instance, number)),
    };
    let (health, weight) = health::of(instance);
    let meta = |key: &str| instance.service.meta.get(key).map(String::as_str);
    let account = || meta(ACCOUNT).map(|account| naming.identity(namespace, account));
    let identity = meta(IDENTITY).map(str::to_owned).or_else(account);
    let workload = WorkloadKey::new(
        namespace.clone(),
        meta(WORKLOAD).map_or_else(|| called(instance), str::to_owned),
    );
    let endpoint = Endpoint {
        ports,
        health,
        weight,
        locality: locality(instance, naming),
        network: NetworkId::from(meta(NETWORK).unwrap_or_default()),
        cluster: naming.cluster.clone(),
        labels: labels::of(instance),
        identity: identity.map(Into::into),
        workload: Some(workload.clone()),
        tls_mode: TlsMode::Disabled,
        node: Some(instance.node.node.as_str().into()),
        ..Endpoint::at(address)
    };
    let numbers = endpoint.ports.iter().flat_map(|ports| ports.iter());
    let numbers = numbers.map(|EndpointPort { name, port }| (&**name, *port));
    let workload = Workload {
        key: workload,
        cluster: endpoint.cluster.clone(),
        network: endpoint.network.clone(),
        addresses: endpoint.addresses.clone(),
        labels: endpoint.labels.clone(),
        locality: endpoint.locality.clone(),
        identity: endpoint.identity.clone(),
        service_account: None,
        ports: numbers.collect(),
        weight,
        health,
        tls_mode: endpoint.tls_mode,
        node: endpoint.node.clone(),
    };
    Ok((endpoint, workload))
}

/// Where an instance is reached: its own address, or its node's.
fn address(instance: &Instance, wan: bool) -> (&str, u16) {
    let (node, service) = (&instance.node, &instance.service);
    if wan {
        if let Some(tagged) = service
            .tagged_addresses
            .get("wan")
            .filter(|tagged| !tagged.address.is_empty())
        {
            let port = if tagged.port == 0 {
                service.port
            } else {
                tagged.port
            };
            return (&tagged.address, port);
        }
        // An instance that has an address of its own is not where its node is.
        if let (true, Some(address)) =
            (service.address.is_empty(), node.tagged_addresses.get("wan"))
        {
            return (address, service.port);
        }
    }
    match service.address.as_str() {
        "" => (&node.address, service.port),
        own => (own, service.port),
    }
}

/// `REGION/ZONE/SUBZONE` of its metadata, what Consul says, or else its datacenter.
fn locality(instance: &Instance, naming: &Naming) -> Locality {
    if let Some(text) = instance.service.meta.get(LOCALITY) {
        return Locality::parse(text);
    }
    match instance
        .service
        .locality
        .as_ref()
        .or(instance.node.locality.as_ref())
    {
        Some(said) => Locality::new(said.region.as_str(), said.zone.as_str(), ""),
        None => Locality::parse(&naming.datacenter),
    }
}
