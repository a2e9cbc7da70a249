//! Several declarations of one service become one service. Pure, and independent of the order of arrival.
//!
//! Declarations are ranked: a platform's before a rule's, then by age (absent is oldest), then by registry, then by
//! object. The first is the base and gives every attribute that has one value. Each further one is united with it if their
//! ports agree (a number means the same protocol to both, a name the same number) and endpoints are found the same way:
//! ports, virtual addresses by cluster and certificate names add up. One that does not agree loses as a whole, and is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::mesh::Source;
use crate::model::{Address, Endpoint, EndpointPort, Service, ServicePort, ServiceSource};

/// The result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Merged {
    pub(super) service: Arc<Service>,
    /// The declarations that are part of it, in their rank, and how their endpoints fit it.
    pub(super) united: Vec<(Source, Fit)>,
    /// Those that are not, and why.
    pub(super) lost: Vec<(Source, String)>,
}

/// How endpoints of one declaration become endpoints of the united service.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Fit {
    /// The declaration's ports, by name there: the name in the united service, and the number at the workload. Empty where
    /// both have the same ports.
    ports: BTreeMap<Arc<str>, (Arc<str>, u16)>,
}

/// Unites declarations; `None` if there are none.
pub(super) fn services<'a>(
    declared: impl IntoIterator<Item = (&'a Source, &'a Arc<Service>)>,
) -> Option<Merged> {
    let mut ranked: Vec<_> = declared.into_iter().collect();
    ranked.sort_by_key(|(source, service)| rank(source, service));
    let mut ranked = ranked.into_iter();
    let (base, first) = ranked.next()?;
    let mut service = Arc::clone(first);
    let (mut united, mut lost) = (vec![(base, first)], Vec::new());
    for (source, other) in ranked {
        match conflict(&service, other) {
            None => {
                unite(Arc::make_mut(&mut service), other);
                united.push((source, other));
            }
            Some(why) => lost.push((source.clone(), why)),
        }
    }
    let fit = |(source, part): (&Source, &Arc<Service>)| {
        (source.clone(), Fit::between(&part.ports, &service.ports))
    };
    let united = united.into_iter().map(fit).collect();
    Some(Merged {
        service,
        united,
        lost,
    })
}

fn rank<'a>(
    source: &'a Source,
    service: &Service,
) -> (ServiceSource, Option<Timestamp>, &'a Source) {
    (service.source, service.created, source)
}

/// Why a declaration cannot be united with those before it.
fn conflict(service: &Service, other: &Service) -> Option<String> {
    if service.resolution != other.resolution {
        return Some(format!(
            "its endpoints are found by {:?}, not {:?}",
            service.resolution, other.resolution
        ));
    }
    other.ports.iter().find_map(|port| {
        if let Some(known) = service.port(port.port) {
            let differ = known.protocol != port.protocol;
            return differ.then(|| {
                format!(
                    "port {} speaks {:?}, not {:?}",
                    port.port, known.protocol, port.protocol
                )
            });
        }
        let same_name = service.ports.iter().find(|known| known.name == port.name)?;
        Some(format!(
            "port {:?} has number {}, not {}",
            &*port.name, same_name.port, port.port
        ))
    })
}

fn unite(service: &mut Service, other: &Service) {
    service.automatic = service.automatic.or(other.automatic);
    for port in &other.ports {
        if service.port(port.port).is_none() {
            service.ports.push(port.clone());
        }
    }
    service.ports.sort_by_key(|port| port.port);
    for (cluster, addresses) in &other.addresses {
        let all = service.addresses.entry(cluster.clone()).or_default();
        for address in addresses {
            if !all.contains(address) {
                all.push(*address);
            }
        }
    }
    service
        .subject_alt_names
        .extend(other.subject_alt_names.iter().cloned());
}

impl Fit {
    fn between(part: &[ServicePort], whole: &[ServicePort]) -> Self {
        if part == whole {
            return Self::default();
        }
        let name = |port: &ServicePort| {
            whole
                .iter()
                .find(|other| other.port == port.port)
                .map(|other| &other.name)
        };
        let ports = part.iter().map(|port| {
            let name = name(port).unwrap_or(&port.name);
            (Arc::clone(&port.name), (Arc::clone(name), port.target()))
        });
        Self {
            ports: ports.collect(),
        }
    }

    /// Gives an endpoint the port names of the united service. It does not answer on ports that its own declaration lacks.
    pub(super) fn apply(&self, endpoint: &mut Endpoint) {
        if self.ports.is_empty() || matches!(endpoint.address(), Some(Address::Unix(_))) {
            return;
        }
        let mut ports: Vec<EndpointPort> = match &endpoint.ports {
            None => self
                .ports
                .values()
                .map(|(name, port)| EndpointPort {
                    name: Arc::clone(name),
                    port: *port,
                })
                .collect(),
            Some(ports) => ports.iter().map(|port| self.renamed(port)).collect(),
        };
        ports.sort();
        endpoint.ports = Some(ports.into());
    }

    fn renamed(&self, port: &EndpointPort) -> EndpointPort {
        let name = self
            .ports
            .get(&port.name)
            .map_or(&port.name, |(name, _)| name);
        EndpointPort {
            name: Arc::clone(name),
            port: port.port,
        }
    }
}

/// One list of endpoints out of several, the better first: no two that a proxy would take for the same, and in an order of
/// their own. `by_cluster`: what has the same address in two clusters is not the same.
pub(super) fn endpoints(
    ranked: Vec<(usize, Endpoint)>,
    service: &Service,
    by_cluster: bool,
) -> Vec<Endpoint> {
    let mut ranked = ranked;
    ranked.sort_by(|(a_rank, a), (b_rank, b)| (a_rank, a).cmp(&(b_rank, b)));
    let mut seen = BTreeSet::new();
    let mut endpoints: Vec<_> = ranked.into_iter().map(|(_, endpoint)| endpoint).collect();
    endpoints.retain(|endpoint| {
        let ports: Vec<_> = service
            .ports
            .iter()
            .map(|port| endpoint.port(port))
            .collect();
        let cluster = by_cluster.then(|| endpoint.cluster.clone());
        seen.insert((
            cluster,
            endpoint.network.clone(),
            endpoint.addresses.clone(),
            ports,
        ))
    });
    endpoints.sort();
    endpoints.shrink_to_fit();
    endpoints
}
