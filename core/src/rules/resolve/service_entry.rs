//! `ServiceEntry` → services and their inline endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::endpoint::{ports as endpoint_ports, usable};
use super::workload_entry::{Traits, address, port_numbers};
use crate::mesh::Endpoints;
use crate::model::{
    Address, Cidr, ClusterId, Endpoint, Health, Host, Labels, Location, NamespaceName, Resolution,
    Service, ServiceKey, ServicePort, ServiceSource, Visibility,
};
use crate::registry::Meta;
use crate::rules::once::Once;
use crate::rules::spec::{self, ServiceEntry, WorkloadEntry};

/// The services that a checked `ServiceEntry` declares, one for each host, with the endpoints that stand in it, sorted. The
/// endpoints of one that selects workloads are for [`endpoint_of`](super::endpoint_of) to make.
pub fn services(
    meta: &Meta,
    spec: &ServiceEntry,
    cluster: &ClusterId,
    trust_domain: &str,
) -> Vec<(Service, Arc<Endpoints>)> {
    let hosts: BTreeSet<_> = spec
        .hosts
        .iter()
        .filter_map(|host| Host::new(host).ok())
        .collect();
    let resolution = resolution(spec.resolution);
    let ports = ports(spec);
    let endpoint = |entry| endpoint(entry, &resolution, &ports, meta, cluster, trust_domain);
    let endpoints = Arc::new(together(spec.endpoints.iter().filter_map(endpoint)));
    let resolves_host = spec.endpoints.is_empty()
        && spec.workload_selector.is_none()
        && matches!(resolution, Resolution::Dns | Resolution::DnsRoundRobin);
    let service = |host: Host| Service {
        key: ServiceKey {
            namespace: meta.key.namespace.clone(),
            host,
        },
        name: meta.key.name.clone(),
        source: ServiceSource::Rule,
        created: meta.created,
        labels: meta.labels.clone(),
        ports: ports.clone(),
        addresses: addresses(spec),
        automatic: None,
        resolution: resolution.clone(),
        location: location(spec.location),
        export_to: visibility(&spec.export_to, &meta.key.namespace),
        subject_alt_names: spec
            .subject_alt_names
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
        workload_selector: selector(spec),
        publish_not_ready: false,
        prefers: Default::default(),
    };
    let with_endpoints = |host: Host| {
        let endpoints = if resolves_host && !host.is_wildcard() {
            Arc::new(vec![Endpoint {
                cluster: cluster.clone(),
                ..Endpoint::at(Address::Host(host.clone()))
            }])
        } else {
            Arc::clone(&endpoints)
        };
        (service(host), endpoints)
    };
    hosts.into_iter().map(with_endpoints).collect()
}

/// Endpoints as a list, sorted; what several of them have alike is kept once.
fn together(endpoints: impl Iterator<Item = Endpoint>) -> Endpoints {
    let mut all: Vec<_> = endpoints.collect();
    all.sort();
    all.shrink_to_fit();
    let (mut ports, mut identities) = (Once::default(), Once::default());
    let (mut networks, mut localities) = (Once::default(), Once::default());
    for endpoint in &mut all {
        endpoint.ports.iter_mut().for_each(|own| ports.share(own));
        endpoint
            .identity
            .iter_mut()
            .for_each(|own| identities.share(own));
        networks.share(&mut endpoint.network);
        localities.share(&mut endpoint.locality);
    }
    all
}

fn endpoint(
    entry: &WorkloadEntry,
    resolution: &Resolution,
    ports: &[ServicePort],
    meta: &Meta,
    cluster: &ClusterId,
    trust_domain: &str,
) -> Option<Endpoint> {
    let address = address(entry).filter(|address| usable(resolution, address))?;
    let traits = Traits::of(entry, &Labels::default(), &meta.key.namespace, trust_domain);
    Some(Endpoint {
        ports: endpoint_ports(ports, &address, &port_numbers(entry)),
        addresses: vec![address],
        health: Health::Healthy,
        weight: entry.weight.max(1),
        locality: traits.locality,
        network: traits.network,
        cluster: cluster.clone(),
        labels: traits.labels,
        identity: traits.identity,
        workload: None,
        tls_mode: traits.tls_mode,
        hostname: None,
        node: None,
        for_zones: None,
    })
}

/// Sorted by number, the first of each number and name: what was checked has no second.
fn ports(spec: &ServiceEntry) -> Vec<ServicePort> {
    let number = |number: u32| u16::try_from(number).ok().filter(|number| *number != 0);
    let mut ports = BTreeMap::new();
    let mut names = BTreeSet::new();
    for port in &spec.ports {
        let Some(port_number) = number(port.number).filter(|number| !ports.contains_key(number))
        else {
            continue;
        };
        if names.insert(port.name.as_str()) {
            let resolved = ServicePort {
                port: port_number,
                name: port.name.as_str().into(),
                protocol: port.spoken(),
                target_port: number(port.target_port).filter(|target| *target != port_number),
                target_name: None,
            };
            ports.insert(port_number, resolved);
        }
    }
    ports.into_values().collect()
}

/// Addresses of a rule count in every cluster.
fn addresses(spec: &ServiceEntry) -> BTreeMap<ClusterId, Vec<Cidr>> {
    let mut seen = BTreeSet::new();
    let written = spec.addresses.iter().filter_map(|text| text.parse().ok());
    let addresses: Vec<Cidr> = written.filter(|address| seen.insert(*address)).collect();
    if addresses.is_empty() {
        BTreeMap::new()
    } else {
        BTreeMap::from([(ClusterId::default(), addresses)])
    }
}

/// A selector without labels selects nothing, as in Istio and Kubernetes.
fn selector(spec: &ServiceEntry) -> Option<Labels> {
    let labels = &spec.workload_selector.as_ref()?.labels;
    (!labels.is_empty()).then(|| labels.clone())
}

fn resolution(written: spec::Resolution) -> Resolution {
    match written {
        spec::Resolution::None => Resolution::Passthrough,
        spec::Resolution::Static => Resolution::ClientSide,
        spec::Resolution::Dns => Resolution::Dns,
        spec::Resolution::DnsRoundRobin => Resolution::DnsRoundRobin,
        spec::Resolution::DynamicDns => Resolution::DynamicDns,
    }
}

fn location(written: spec::Location) -> Location {
    match written {
        spec::Location::MeshExternal => Location::External,
        spec::Location::MeshInternal => Location::Internal,
    }
}

/// `exportTo` of an object in `namespace`; `None` where it does not say.
pub(super) fn visibility(export_to: &[String], namespace: &NamespaceName) -> Option<Visibility> {
    if export_to.is_empty() {
        return None;
    }
    let mut namespaces = BTreeSet::new();
    for text in export_to {
        match text.as_str() {
            "*" => return Some(Visibility::Public),
            "." => namespaces.insert(namespace.clone()),
            "~" => false,
            name => namespaces.insert(name.into()),
        };
    }
    Some(Visibility::Namespaces(namespaces))
}
