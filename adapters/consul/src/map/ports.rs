//! A service's ports, from those of its instances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::model::{EndpointPort, Protocol, ServicePort};

use crate::client::Instance;

/// How many ports a service has at most: where each instance has a port of its own (as schedulers choose them), clients need not know
/// all.
const MOST: usize = 16;
/// The key of metadata that says which port clients ask for, whatever the instances listen on.
const SERVICE_PORT: &str = "service-port";

/// The ports of a service. Each instance answers on all of them: under its own number for that name, or else its only one.
#[derive(Debug, PartialEq)]
pub(super) struct Ports(Vec<ServicePort>);

/// The ports that these instances make together. Instances with the same single port make one; with different ones, each is a
/// port of the service that leads to all instances, so that a client may ask for any. Named ports (1.22) keep their names.
pub(super) fn of(instances: &[&Instance]) -> Ports {
    let mut named: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    let mut single: BTreeSet<u16> = BTreeSet::new();
    for instance in instances {
        let service = &instance.service;
        for port in service.ports.iter().filter(|port| port.port != 0) {
            named
                .entry(port.name.clone())
                .or_default()
                .insert(port.port);
        }
        let said = meta(instances, SERVICE_PORT).and_then(|text| text.parse().ok());
        if service.ports.is_empty() && service.port != 0 {
            single.insert(said.filter(|port| *port != 0).unwrap_or(service.port));
        }
    }
    let protocol = |key: Option<&str>, number| {
        let own = key.and_then(|key| meta(instances, &format!("protocol.{key}")));
        let said = own.or_else(|| meta(instances, "protocol"));
        Protocol::select(said, key.unwrap_or_default(), number)
    };
    let mut taken = BTreeSet::new();
    let mut ports = Vec::new();
    for (name, numbers) in &named {
        let number = numbers.iter().find(|number| !taken.contains(*number));
        if let Some(number) = number {
            taken.insert(*number);
            ports.push(port(
                name.as_str().into(),
                *number,
                protocol(Some(name), *number),
            ));
        }
    }
    let alone = single.len() == 1 && ports.is_empty();
    for number in single {
        if ports.len() == MOST || !taken.insert(number) {
            continue;
        }
        let protocol = protocol(None, number);
        let base = format!("{protocol:?}").to_ascii_lowercase();
        let name = if alone {
            base
        } else {
            format!("{base}-{number}")
        };
        ports.push(port(name.into(), number, protocol));
    }
    ports.sort_by_key(|port| port.port);
    Ports(ports)
}

impl Ports {
    /// The numbers that an instance listens on, by the names of the service's ports.
    pub(super) fn of_instance(&self, instance: &Instance, number: u16) -> Arc<[EndpointPort]> {
        let named = |name: &str| {
            let mut ports = instance.service.ports.iter();
            ports.find(|port| port.name == name).map(|port| port.port)
        };
        let mut ports: Vec<_> = self
            .0
            .iter()
            .filter_map(|port| {
                let port_number = named(&port.name).or((number != 0).then_some(number))?;
                Some(EndpointPort {
                    name: port.name.clone(),
                    port: port_number,
                })
            })
            .collect();
        ports.sort();
        ports.into()
    }

    pub(super) fn into_service_ports(self) -> Vec<ServicePort> {
        self.0
    }
}

/// What the first instance that says something says: of the service's metadata, or of the node's, as old Istio reads it.
fn meta<'a>(instances: &[&'a Instance], key: &str) -> Option<&'a str> {
    let of_services = instances.iter().map(|instance| &instance.service.meta);
    let of_nodes = instances.iter().map(|instance| &instance.node.meta);
    of_services
        .chain(of_nodes)
        .find_map(|meta| meta.get(key))
        .map(String::as_str)
}

fn port(name: Arc<str>, number: u16, protocol: Protocol) -> ServicePort {
    ServicePort {
        name,
        port: number,
        protocol,
        target_port: None,
        target_name: None,
    }
}
