//! Inputs of outbound clusters: one for each port of each service, and those that no service has a part in.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::mesh::{Endpoints, Mesh};
use pilothouse_core::model::{Host, Location, Resolution, Service, ServicePort};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::ConnectionPool;

use super::destination::{Governed, Spread, subsets};
use super::dynamic::NameCache;
use super::{Generator, Input};
use crate::extensions::{Extension, Missing};
use crate::names;
use crate::patch::Patches;
use crate::resource::{Name, ResourceType};
use crate::selection::{Family, ForClusters, ForOwn, RouterClusters, Target};
use crate::view::{View, proxied_port, proxied_ports};

/// What a cluster is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClusterInput {
    /// A port of a service.
    Outbound(Box<OutboundCluster>),
    /// [`names::BLACK_HOLE`].
    BlackHole,
    /// [`names::PASSTHROUGH`].
    Passthrough {
        /// The time-out of a TCP connection.
        connect_timeout: Duration,
    },
    /// A port of the workload behind the proxy.
    Inbound(InboundCluster),
    /// [`names::INBOUND_PASSTHROUGH`].
    InboundPassthrough(Inbound),
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OutboundCluster {
    /// The service.
    pub service: Arc<Service>,
    /// Which of its ports.
    pub port: ServicePort,
    /// How endpoints are found.
    pub discovery: Discovery,
    /// The time-out of a TCP connection to an endpoint.
    pub connect_timeout: Duration,
    /// What rules say of it.
    pub governed: Governed,
    /// Whether it is for connections that routers let through by server name.
    pub by_server_name: bool,
}

/// How a cluster finds its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Discovery {
    /// By load assignments of their own.
    Assignment,
    /// They are where the client dialled.
    OriginalDestination,
    /// By resolving the names that requests and connections say.
    ByRequest(NameCache),
    /// By resolving names.
    Dns {
        /// What to resolve.
        endpoints: Option<Arc<Endpoints>>,
        /// Whether one answer is used at a time.
        one_at_a_time: bool,
        /// How often names are resolved where records do not say.
        refresh: Duration,
        /// Which addresses are asked for.
        family: Family,
        /// What the proxy lacks of what describes such a cluster.
        without: Missing,
        /// How endpoints are spread over localities.
        spread: Option<Spread>,
    },
}

/// What all inbound clusters read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Inbound {
    /// The versions of IP in use.
    pub family: Family,
    /// Whether the client's address is kept as source.
    pub transparent: bool,
    /// The time-out of a TCP connection.
    pub connect_timeout: Duration,
}

/// A port of the workload behind the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InboundCluster {
    /// The number that the workload listens on.
    pub target_port: u16,
    /// The services that have it, the one that decides first.
    pub targets: Vec<Target>,
    /// Where the workload listens.
    pub upstream: Upstream,
    /// How many connections and requests it gets.
    pub pool: Option<Arc<ConnectionPool>>,
    /// The `Sidecar` that says so.
    pub rule: Option<ObjectKey>,
    /// What all inbound clusters read.
    pub inbound: Inbound,
}

/// Where a workload listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// Where the client dialled.
    Dialled,
    /// At an address and port.
    Ip(IpAddr, u16),
    /// At a socket in the file system.
    Unix(Arc<str>),
}

impl Inbound {
    /// What inbound clusters of a proxy read.
    pub(super) fn of(mesh: &Mesh, own: &ForOwn) -> Self {
        Self {
            family: own.family,
            transparent: own.interception == pilothouse_core::model::Interception::Tproxy,
            connect_timeout: mesh.config().connect_timeout,
        }
    }
}

/// Outbound clusters.
#[derive(Debug)]
pub struct Clusters;

impl Generator for Clusters {
    type Projection = ForClusters;

    const TYPE: ResourceType = ResourceType::Cluster;

    fn patches(projection: &ForClusters) -> Option<&Patches> {
        Some(&projection.patches)
    }

    fn names(_: &Mesh, view: &View, projection: &ForClusters) -> BTreeSet<Name> {
        let mut all: BTreeSet<Name> = view
            .services()
            .flat_map(|service| names_for(view, service, projection.router))
            .collect();
        all.insert(names::BLACK_HOLE.into());
        // Nobody dials anything through a router.
        if projection.router.is_none() {
            all.insert(names::PASSTHROUGH.into());
        }
        all
    }

    fn names_of_host(
        _: &Mesh,
        view: &View,
        projection: &ForClusters,
        host: &Host,
    ) -> BTreeSet<Name> {
        view.service(host)
            .into_iter()
            .flat_map(|service| names_for(view, service, projection.router))
            .collect()
    }

    fn input(mesh: &Mesh, view: &View, projection: &ForClusters, name: &Name) -> Option<Input> {
        let connect_timeout = mesh.config().connect_timeout;
        let input = match name.as_str() {
            names::BLACK_HOLE => ClusterInput::BlackHole,
            names::PASSTHROUGH => ClusterInput::Passthrough { connect_timeout },
            _ => {
                let (service, port, governed) = governed(view, &projection.selected, name)?;
                let discovery = discovery(mesh, &service, projection, &governed)?;
                ClusterInput::Outbound(Box::new(OutboundCluster {
                    service,
                    port,
                    discovery,
                    connect_timeout,
                    governed,
                    by_server_name: is_by_server_name(name),
                }))
            }
        };
        Some(Input::Cluster(input))
    }
}

/// The clusters of a service, those of all its subsets included.
pub(super) fn names_of<'a>(
    view: &'a View,
    service: &'a Service,
) -> impl Iterator<Item = Name> + 'a {
    let host = &service.key.host;
    proxied_ports(service).flat_map(move |(port, _)| {
        subsets(view, host).map(|subset| names::outbound_cluster(port.port, subset, host))
    })
}

/// The same, with those of connections that routers let through by server name where there are such.
pub(super) fn names_for(
    view: &View,
    service: &Service,
    router: Option<RouterClusters>,
) -> Vec<Name> {
    let mut all: Vec<Name> = names_of(view, service).collect();
    if router == Some(RouterClusters::ServerNames) && service.location == Location::Internal {
        let host = &service.key.host;
        for (port, _) in proxied_ports(service) {
            let named = subsets(view, host);
            all.extend(named.map(|subset| names::sni_cluster(port.port, subset, host)));
        }
    }
    all
}

/// Whether a cluster of this name is for connections that routers let through by server name.
pub(super) fn is_by_server_name(name: &Name) -> bool {
    names::parse_sni_cluster(name.as_str()).is_some()
}

/// The service and port that an outbound cluster's name means, and what rules say of it to clients that the rules `selected`
/// are for.
pub(super) fn governed(
    view: &View,
    selected: &[ObjectKey],
    name: &Name,
) -> Option<(Arc<Service>, ServicePort, Governed)> {
    let text = name.as_str();
    let parsed = names::parse_outbound_cluster(text).or_else(|| names::parse_sni_cluster(text));
    let (number, subset, host) = parsed?;
    let service = view.service(&host)?;
    let (port, _) = proxied_port(service, number)?;
    let governed = Governed::of(view, selected, &host, subset, number)?;
    Some((service.clone(), port.clone(), governed))
}

fn discovery(
    mesh: &Mesh,
    service: &Service,
    projection: &ForClusters,
    governed: &Governed,
) -> Option<Discovery> {
    let is_alias = matches!(
        service.resolution,
        Resolution::DynamicDns | Resolution::Alias(_)
    );
    // Nobody dials anything through a router.
    let dials = projection.router.is_none();
    if governed.is_passthrough() && dials && !is_alias {
        return Some(Discovery::OriginalDestination);
    }
    match service.resolution {
        Resolution::ClientSide => Some(Discovery::Assignment),
        Resolution::Passthrough if dials => Some(Discovery::OriginalDestination),
        Resolution::Passthrough => Some(Discovery::Assignment),
        Resolution::Dns | Resolution::DnsRoundRobin => Some(Discovery::Dns {
            endpoints: mesh.endpoints(&service.key).cloned(),
            one_at_a_time: service.resolution == Resolution::DnsRoundRobin,
            refresh: mesh.config().dns_refresh_rate,
            family: projection.family,
            without: projection.without,
            spread: governed.spread(service, projection.whereabouts.as_ref()),
        }),
        Resolution::DynamicDns if projection.without.has(Extension::DynamicCluster) => None,
        Resolution::DynamicDns => Some(Discovery::ByRequest(NameCache::of(
            projection.family,
            projection.without,
        ))),
        Resolution::Alias(_) => None,
    }
}
