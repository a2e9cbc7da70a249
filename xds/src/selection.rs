//! What applies to a proxy, as small values: proxies with an equal value share all that is made from it.
//!
//! Each generator declares the projection that it reads and sees nothing else of a proxy.

mod ingress;
pub(crate) mod reports;
mod router;

use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{
    Address, Cidr, ClusterId, DataPlane, Endpoint, Interception, Locality, NetworkId, Proxy,
    Service, ServiceKey, ServicePort, ServiceSource,
};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::Reads;

use crate::extensions::{Extension, Missing};
use crate::inputs::reports::Reports;
use crate::patch::{Chosen, Patches};
use crate::view::{Class, ViewKey};
pub use ingress::{ForIngress, is_bound};
use router::router_clusters;
pub use router::{ForGateways, ForRouter, RouterClusters};

/// The versions of IP that a proxy has addresses of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual,
}

impl Family {
    fn of(addresses: &[IpAddr]) -> Self {
        match (
            addresses.iter().any(IpAddr::is_ipv4),
            addresses.iter().any(IpAddr::is_ipv6),
        ) {
            (true, true) => Self::Dual,
            (false, true) => Self::V6,
            _ => Self::V4,
        }
    }
}

/// Which virtual addresses services have for a proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addressing {
    /// Whose addresses count.
    pub cluster: ClusterId,
    /// The automatic ones that count, too: clients learn them from the name table, so these are for proxies whose clients' DNS
    /// is captured (`DNS_CAPTURE`, unless `DNS_AUTO_ALLOCATE` is false).
    pub automatic: Option<Family>,
}

impl Addressing {
    fn of(proxy: &Proxy) -> Self {
        let metadata = |key| proxy.metadata.get(key).map(|value| &**value);
        let automatic = captures_dns(proxy) && metadata("DNS_AUTO_ALLOCATE") != Some("false");
        Self {
            cluster: proxy.cluster.clone(),
            automatic: automatic.then(|| Family::of(&proxy.addresses)),
        }
    }

    /// The virtual addresses of a service: the automatic one where it has one, in place of what stands for any address.
    pub fn addresses_of<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = Cidr> + 'a {
        let given = self.automatic.zip(service.automatic);
        let (v4, v6) = match given {
            Some((family, given)) => (
                (family != Family::V6).then_some(IpAddr::V4(given.v4)),
                (family != Family::V4).then_some(IpAddr::V6(given.v6)),
            ),
            None => (None, None),
        };
        let stated = service.addresses_in(&self.cluster);
        let stated = stated.filter(move |_| given.is_none()).copied();
        v4.into_iter().chain(v6).map(Cidr::from).chain(stated)
    }
}

/// Whether the proxy's clients ask it about names.
fn captures_dns(proxy: &Proxy) -> bool {
    proxy
        .metadata
        .get("DNS_CAPTURE")
        .is_some_and(|value| &**value == "true")
}

/// What the name table reads of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForNames {
    /// The virtual addresses that names stand for.
    pub addresses: Addressing,
    /// The network whose endpoints can be dialled.
    pub network: NetworkId,
}

/// Where a client is, as far as rules read it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Whereabouts {
    /// Its locality.
    pub locality: Locality,
    /// Its labels that rules read, by key.
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    /// The machine it runs on, if a service asks for it.
    pub node: Option<Arc<str>>,
}

impl Whereabouts {
    /// Where `proxy` is; `None` as long as no rule or service reads it, so that proxies everywhere share what they get.
    fn of(mesh: &Mesh, proxy: &Proxy) -> Option<Self> {
        let (places, nodes) = (mesh.reads(&Reads::Locality), mesh.reads(&Reads::Node));
        if !places && !nodes {
            return None;
        }
        let labels = mesh.all_reads().filter_map(|reads| match reads {
            Reads::Label(key) => Some((key.clone(), label_of(proxy, key)?)),
            _ => None,
        });
        Some(Self {
            locality: if places {
                proxy.locality.clone()
            } else {
                Locality::default()
            },
            labels: labels.collect(),
            node: nodes.then(|| node_of(mesh, proxy)).flatten(),
        })
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        let found = labels.find(|(known, _)| **known == *key);
        found.map(|(_, value)| &**value)
    }
}

/// The machine that a proxy runs on, as it says itself, or else as is known of its workload.
fn node_of(mesh: &Mesh, proxy: &Proxy) -> Option<Arc<str>> {
    let own = proxy.metadata.get("NODE_NAME");
    let own = own.filter(|name| !name.is_empty());
    own.cloned()
        .or_else(|| mesh.workload_of(proxy)?.node.clone())
}

/// A proxy's label; those of topology are there whether or not its platform writes them.
fn label_of(proxy: &Proxy, key: &str) -> Option<Arc<str>> {
    let own = proxy.labels.get(key);
    let (network, cluster) = (proxy.network.as_str(), proxy.cluster.as_str());
    own.or_else(|| topology(key, &proxy.locality, network, cluster))
        .filter(|value| !value.is_empty())
        .map(Arc::from)
}

/// What a label of topology says of somebody.
pub fn topology<'a>(
    key: &str,
    locality: &'a Locality,
    network: &'a str,
    cluster: &'a str,
) -> Option<&'a str> {
    match key {
        "topology.kubernetes.io/region" => Some(&locality.region),
        "topology.kubernetes.io/zone" => Some(&locality.zone),
        "topology.istio.io/subzone" => Some(&locality.sub_zone),
        "topology.istio.io/network" => Some(network),
        "topology.istio.io/cluster" => Some(cluster),
        _ => None,
    }
}

/// A client's labels that routes depend on, by key.
pub type SourceLabels = Arc<[(Arc<str>, Arc<str>)]>;

/// The labels of `proxy` that routes depend on; none as long as no rule reads any, so that all proxies share what they get.
pub(crate) fn source_labels(mesh: &Mesh, proxy: &Proxy) -> SourceLabels {
    let read = mesh.all_reads().filter_map(|reads| match reads {
        Reads::SourceLabel(key) => Some((key.clone(), proxy.labels.get(key)?.into())),
        _ => None,
    });
    read.collect()
}

/// The rules for some clients of a namespace only that are for `proxy`, sorted.
fn selected(mesh: &Mesh, proxy: &Proxy) -> Arc<[ObjectKey]> {
    let mut all: Vec<_> = mesh
        .rules_selecting(&proxy.namespace, &proxy.labels)
        .cloned()
        .collect();
    all.sort();
    all.into()
}

/// What outbound clusters read of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForClusters {
    /// Which addresses names resolve to.
    pub family: Family,
    /// What the proxy lacks of what clusters may have.
    pub without: Missing,
    /// The rules for some clients only that are for it, sorted.
    pub selected: Arc<[ObjectKey]>,
    /// Where it is, if any rule reads that.
    pub whereabouts: Option<Whereabouts>,
    /// What those of a router are like; `None` for what is no router.
    pub router: Option<RouterClusters>,
    /// The patches that may change what is made.
    pub patches: Patches,
}

/// What load assignments read of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForAssignments {
    /// What endpoints have to be said to.
    pub data_plane: DataPlane,
    /// The rules for some clients only that are for it, sorted.
    pub selected: Arc<[ObjectKey]>,
    /// Where it is, if any rule reads that.
    pub whereabouts: Option<Whereabouts>,
    /// What those of a router are like; `None` for what is no router.
    pub router: Option<RouterClusters>,
}

/// What outbound listeners read of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForListeners {
    /// The virtual addresses that are listened on.
    pub addresses: Addressing,
    /// How traffic gets to the proxy.
    pub interception: Interception,
    /// Which addresses wildcards stand for.
    pub family: Family,
    /// Whether it may not bind ports below 1024 (`UNPRIVILEGED_POD`).
    pub unprivileged: bool,
    /// The port of its HTTP proxy listener (`HTTP_PROXY_PORT`), over mesh config's.
    pub http_proxy: Option<u16>,
    /// What the proxy lacks of what listeners may have.
    pub without: Missing,
    /// The rules for some clients only that are for it, sorted.
    pub selected: Arc<[ObjectKey]>,
    /// Its labels that rules read.
    pub labels: SourceLabels,
    /// What it reports of what its workload asks for; `None`: what mesh config says of access logs.
    pub reports: Option<Arc<Reports>>,
    /// The patches that may change what is made.
    pub patches: Patches,
}

/// What routes read of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForRoutes {
    /// The virtual addresses that stand for names.
    pub addresses: Addressing,
    /// The DNS domain that short names are completed with.
    pub domain: Arc<str>,
    /// Whether it has an HTTP proxy listener though mesh config has none.
    pub http_proxy: bool,
    /// What the proxy lacks of what routes may have.
    pub without: Missing,
    /// The rules for some clients only that are for it, sorted.
    pub selected: Arc<[ObjectKey]>,
    /// Its labels that rules read.
    pub labels: SourceLabels,
    /// The patches that may change what is made.
    pub patches: Patches,
}

/// A port of a service that a proxy's workload answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The service.
    pub service: ServiceKey,
    /// What the platform calls the service.
    pub name: Arc<str>,
    /// The port as its clients see it.
    pub port: ServicePort,
    /// The number that the workload listens on.
    pub target_port: u16,
}

/// What a proxy's own, inbound configuration is made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForOwn {
    /// How traffic gets to the proxy.
    pub interception: Interception,
    /// Which addresses it listens on.
    pub family: Family,
    /// What it answers: the services in the order of their age.
    pub targets: Arc<[Target]>,
    /// How a `Sidecar` says that the workload is reached, if one does.
    pub ingress: Option<ForIngress>,
    /// What the proxy lacks of what listeners may have.
    pub without: Missing,
    /// What it reports of what its workload is asked for; `None`: what mesh config says of access logs.
    pub reports: Option<Arc<Reports>>,
    /// The patches that may change what is made.
    pub patches: Patches,
}

/// What applies to an Envoy alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForEnvoy {
    /// For outbound clusters.
    pub clusters: ForClusters,
    /// For outbound listeners.
    pub listeners: ForListeners,
    /// For routes.
    pub routes: ForRoutes,
    /// For all that is inbound.
    pub own: ForOwn,
    /// For the name table; `None` where clients ask others about names.
    pub names: Option<ForNames>,
    /// The patches that add clusters and listeners.
    pub added: Patches,
}

/// What applies to a gRPC client alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForGrpc {
    /// The DNS domain that short names are completed with.
    pub domain: Arc<str>,
    /// Its labels that rules read.
    pub labels: SourceLabels,
}

/// What applies to one kind of data plane alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForDataPlane {
    /// For [`DataPlane::Envoy`].
    Envoy(Box<ForEnvoy>),
    /// For [`DataPlane::Envoy`] that stands alone.
    Router(Box<ForRouter>),
    /// For [`DataPlane::Grpc`].
    Grpc(ForGrpc),
}

/// Everything that applies to a proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selection {
    /// Whose view it has.
    pub view: ViewKey,
    /// For load assignments.
    pub assignments: ForAssignments,
    /// For everything else.
    pub data_plane: ForDataPlane,
}

impl Selection {
    /// What applies to `proxy`, as its workload says.
    pub fn of(mesh: &Mesh, proxy: &Proxy) -> Self {
        let known = mesh.as_known(proxy);
        let proxy = &*known;
        Self {
            view: ViewKey {
                namespace: proxy.namespace.clone(),
                egress: mesh
                    .sidecar_of(&proxy.namespace, &proxy.labels)
                    .filter(|_| !proxy.is_router())
                    .and_then(|sidecar| sidecar.egress.clone()),
            },
            assignments: match proxy.data_plane {
                DataPlane::Envoy => ForAssignments {
                    data_plane: proxy.data_plane,
                    selected: selected(mesh, proxy),
                    whereabouts: Whereabouts::of(mesh, proxy),
                    router: router_clusters(mesh, proxy),
                },
                DataPlane::Grpc => ForAssignments {
                    data_plane: proxy.data_plane,
                    selected: Arc::default(),
                    whereabouts: None,
                    router: None,
                },
            },
            data_plane: match proxy.data_plane {
                DataPlane::Envoy if proxy.is_router() => {
                    ForDataPlane::Router(Box::new(ForRouter::of(mesh, proxy)))
                }
                DataPlane::Envoy => ForDataPlane::Envoy(Box::new(ForEnvoy::of(mesh, proxy))),
                DataPlane::Grpc => ForDataPlane::Grpc(ForGrpc {
                    domain: proxy.id.domain.clone(),
                    labels: source_labels(mesh, proxy),
                }),
            },
        }
    }

    /// What applies to it if it is an Envoy.
    pub fn envoy(&self) -> Option<&ForEnvoy> {
        match &self.data_plane {
            ForDataPlane::Envoy(envoy) => Some(envoy),
            ForDataPlane::Router(_) | ForDataPlane::Grpc(_) => None,
        }
    }

    /// What applies to it if it is a router.
    pub fn router(&self) -> Option<&ForRouter> {
        match &self.data_plane {
            ForDataPlane::Router(router) => Some(router),
            ForDataPlane::Envoy(_) | ForDataPlane::Grpc(_) => None,
        }
    }

    /// All patches that are for it.
    pub fn patches(&self) -> Vec<&Patches> {
        match &self.data_plane {
            ForDataPlane::Envoy(envoy) => envoy.patches().into(),
            ForDataPlane::Router(router) => router.patches().into(),
            ForDataPlane::Grpc(_) => Vec::new(),
        }
    }

    /// The patches that add clusters and listeners.
    pub fn added(&self) -> Option<&Patches> {
        match &self.data_plane {
            ForDataPlane::Envoy(envoy) => Some(&envoy.added),
            ForDataPlane::Router(router) => Some(&router.added),
            ForDataPlane::Grpc(_) => None,
        }
    }

    /// What its outbound clusters are made from, unless it is a gRPC client.
    pub fn clusters(&self) -> Option<&ForClusters> {
        match &self.data_plane {
            ForDataPlane::Envoy(envoy) => Some(&envoy.clusters),
            ForDataPlane::Router(router) => Some(&router.clusters),
            ForDataPlane::Grpc(_) => None,
        }
    }

    /// What applies to it if it is a gRPC client.
    pub fn grpc(&self) -> Option<&ForGrpc> {
        match &self.data_plane {
            ForDataPlane::Envoy(_) | ForDataPlane::Router(_) => None,
            ForDataPlane::Grpc(grpc) => Some(grpc),
        }
    }
}

impl ForEnvoy {
    /// All patches that are for it.
    pub fn patches(&self) -> [&Patches; 5] {
        [
            &self.clusters.patches,
            &self.listeners.patches,
            &self.routes.patches,
            &self.own.patches,
            &self.added,
        ]
    }
}

impl ForEnvoy {
    fn of(mesh: &Mesh, proxy: &Proxy) -> Self {
        let sidecar = mesh.sidecar_of(&proxy.namespace, &proxy.labels);
        let ingress = sidecar.and_then(|sidecar| sidecar.ingress.as_ref());
        let ingress = ingress.map(|said| ForIngress::of(said, proxy));
        let family = Family::of(&proxy.addresses);
        let missing = Missing::of(&proxy.missing);
        let metadata = |key| proxy.metadata.get(key).map(|value| &**value);
        let http_proxy = metadata("HTTP_PROXY_PORT")
            .and_then(|port| port.parse().ok())
            .filter(|port| *port != 0);
        let selected = selected(mesh, proxy);
        let labels = source_labels(mesh, proxy);
        let [reports, own_reports] = reports::reports(mesh, proxy);
        let patches = Chosen::of(mesh, proxy);
        Self {
            clusters: ForClusters {
                family,
                without: missing.among(Extension::OF_CLUSTERS),
                selected: selected.clone(),
                whereabouts: Whereabouts::of(mesh, proxy),
                router: None,
                patches: patches.clusters,
            },
            listeners: ForListeners {
                addresses: Addressing::of(proxy),
                interception: proxy.interception,
                family,
                unprivileged: metadata("UNPRIVILEGED_POD") == Some("true"),
                http_proxy,
                without: missing.among(Extension::OF_LISTENERS),
                selected: selected.clone(),
                labels: labels.clone(),
                reports,
                patches: patches.listeners,
            },
            routes: ForRoutes {
                addresses: Addressing::of(proxy),
                domain: proxy.id.domain.clone(),
                http_proxy: http_proxy.is_some(),
                without: missing.among(Extension::OF_ROUTES),
                selected,
                labels,
                patches: patches.routes,
            },
            own: ForOwn {
                interception: proxy.interception,
                family,
                targets: match &ingress {
                    Some(ingress) => ingress.targets(targets(mesh, proxy), proxy),
                    None => targets(mesh, proxy),
                },
                ingress,
                without: missing.among(Extension::OF_LISTENERS),
                reports: own_reports,
                patches: patches.own,
            },
            added: patches.added,
            names: captures_dns(proxy).then(|| ForNames {
                addresses: Addressing::of(proxy),
                network: proxy.network.clone(),
            }),
        }
    }
}

/// The ports of the services that have an endpoint at one of the proxy's addresses. Only services of its own namespace:
/// nobody else says what a workload answers.
fn targets(mesh: &Mesh, proxy: &Proxy) -> Arc<[Target]> {
    let at = proxy.addresses.iter().flat_map(|ip| mesh.services_at(*ip));
    let mut services: Vec<&Arc<Service>> = at
        .filter(|service| service.key.namespace == proxy.namespace)
        .collect();
    services.sort_by(|a, b| (a.source, a.age(), &a.key).cmp(&(b.source, b.age(), &b.key)));
    services.dedup_by(|a, b| a.key == b.key);
    services
        .iter()
        .flat_map(|service| targets_of(mesh, proxy, service))
        .collect()
}

fn targets_of(mesh: &Mesh, proxy: &Proxy, service: &Service) -> Vec<Target> {
    let endpoints = mesh
        .endpoints(&service.key)
        .into_iter()
        .flat_map(|all| all.iter());
    let mine: Vec<&Endpoint> = endpoints
        .filter(|endpoint| is_at(endpoint, service.source, proxy))
        .collect();
    let mut targets = Vec::new();
    for port in service
        .ports
        .iter()
        .filter(|port| Class::of(port.protocol).is_some())
    {
        let mut numbers: Vec<u16> = mine
            .iter()
            .filter_map(|endpoint| endpoint.port(port))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        targets.extend(numbers.into_iter().map(|target_port| Target {
            service: service.key.clone(),
            name: service.name.clone(),
            port: port.clone(),
            target_port,
        }));
    }
    targets
}

/// A rule names addresses wherever they are, whatever cluster the rule was read from.
fn is_at(endpoint: &Endpoint, source: ServiceSource, proxy: &Proxy) -> bool {
    let has = |address: &Address| address.ip().is_some_and(|ip| proxy.addresses.contains(&ip));
    let cluster = source == ServiceSource::Rule || endpoint.cluster == proxy.cluster;
    cluster && endpoint.network == proxy.network && endpoint.addresses.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{With, endpoint, http, mesh, port, service, sidecar};
    use pilothouse_core::model::Protocol;

    /// The targets of a sidecar at 10.0.0.1 in cluster `east` and network `n`: `HOST:PORT→TARGET`.
    fn targets(
        source: ServiceSource,
        cluster: &str,
        network: &str,
        namespace: &str,
    ) -> Vec<String> {
        let mut endpoint = endpoint("10.0.0.1");
        endpoint.cluster = cluster.into();
        endpoint.network = network.into();
        let ports = [http(80), port(53, Protocol::Udp)];
        let service = service("a.com", ports).with(|service| {
            service.source = source;
            service.key.namespace = namespace.into();
            service
                .ports
                .iter_mut()
                .for_each(|port| port.target_port = Some(8080));
        });
        let proxy = Proxy {
            cluster: "east".into(),
            network: "n".into(),
            ..sidecar()
        };
        let selection = Selection::of(&mesh([(service, vec![endpoint])]), &proxy);
        let text = |t: &Target| format!("{}:{}→{}", t.service.host, t.port.port, t.target_port);
        selection
            .envoy()
            .unwrap()
            .own
            .targets
            .iter()
            .map(text)
            .collect()
    }

    #[test]
    fn a_proxy_answers_for_the_services_of_its_address() {
        let check = |source, cluster, network, namespace, is_target: bool| {
            let expected: &[&str] = if is_target { &["a.com:80→8080"] } else { &[] };
            assert_eq!(
                targets(source, cluster, network, namespace),
                expected,
                "{source:?} {cluster} {network} {namespace}"
            );
        };
        check(ServiceSource::Platform, "east", "n", "shop", true);
        check(ServiceSource::Platform, "west", "n", "shop", false);
        check(ServiceSource::Platform, "east", "m", "shop", false);
        check(ServiceSource::Platform, "east", "n", "bank", false);
        check(ServiceSource::Rule, "static", "n", "shop", true);
        check(ServiceSource::Rule, "static", "m", "shop", false);
    }

    #[test]
    fn grpc_clients_share_everything_in_a_domain() {
        let mesh = mesh([(service("a.com", [http(80)]), vec![endpoint("10.0.0.1")])]);
        let of = |ip: &str, data_plane| {
            let proxy = Proxy {
                addresses: vec![ip.parse().unwrap()],
                interception: Interception::None,
                data_plane,
                ..sidecar()
            };
            Selection::of(&mesh, &proxy)
        };
        let one = of("10.0.0.1", DataPlane::Grpc);
        assert_eq!(one, of("fd00::1", DataPlane::Grpc));
        assert_ne!(one, of("10.0.0.1", DataPlane::Envoy));
    }

    #[test]
    fn equal_proxies_share_everything() {
        let mesh = mesh([(
            service("a.com", [http(80)]),
            vec![endpoint("10.0.0.1"), endpoint("10.0.0.2")],
        )]);
        let other = Proxy {
            addresses: vec!["10.0.0.2".parse().unwrap()],
            ..sidecar()
        };
        assert_eq!(
            Selection::of(&mesh, &sidecar()),
            Selection::of(&mesh, &other)
        );
    }
}
