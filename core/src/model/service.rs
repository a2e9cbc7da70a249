//! A service: a name that clients use, its ports, and how its endpoints are found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cidr, ClusterId, Host, Labels, NamespaceName, ServicePort};
use crate::rules::Reads;

/// A service's identity: a host name belongs to the namespace that declares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceKey {
    /// Who declares it.
    pub namespace: NamespaceName,
    /// What clients call it.
    pub host: Host,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.host)
    }
}

/// How a proxy finds the endpoints of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resolution {
    /// The control plane knows the addresses and the proxy balances over them.
    ClientSide,
    /// The proxy resolves each endpoint's name and balances over all answers.
    Dns,
    /// The proxy resolves one name and uses one answer at a time.
    DnsRoundRobin,
    /// The proxy forwards to the address that the client dialled.
    Passthrough,
    /// The proxy resolves the requested name below a wildcard host, request by request.
    DynamicDns,
    /// Another name of that service; it has no endpoints of its own.
    Alias(Host),
}

/// Whether a service is part of the mesh.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Location {
    /// Its workloads belong to the mesh.
    #[default]
    Internal,
    /// It is outside: no mutual TLS, no mesh telemetry.
    External,
}

/// Who declared a service; a platform's own service goes before a rule's of the same host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ServiceSource {
    /// The platform: a Kubernetes Service, a Consul service.
    Platform,
    /// A rule object: a `ServiceEntry`.
    Rule,
}

/// Which endpoints of a service its clients go to, by where both are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Preference {
    /// Any: the service leaves it to rules.
    #[default]
    Any,
    /// Those in the client's zone first, then those in its region.
    Zone,
    /// Those that are meant for the client's zone, and those that are meant for nobody in particular, first.
    Hints,
    /// Those on the client's machine before these.
    Node,
    /// Those on the client's machine alone.
    NodeOnly,
}

impl Preference {
    /// What of a client it depends on.
    pub(crate) fn reads(self) -> &'static [Reads] {
        match self {
            Self::Any => &[],
            Self::Zone | Self::Hints => &[Reads::Locality],
            Self::Node => &[Reads::Locality, Reads::Node],
            Self::NodeOnly => &[Reads::Node],
        }
    }
}

/// Which namespaces see something (Istio's `exportTo`), resolved against its own namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Visibility {
    /// All namespaces.
    Public,
    /// These namespaces; none if empty.
    Namespaces(BTreeSet<NamespaceName>),
}

impl Visibility {
    /// Whether `namespace` is among those who see it.
    pub fn includes(&self, namespace: &NamespaceName) -> bool {
        match self {
            Self::Public => true,
            Self::Namespaces(some) => some.contains(namespace),
        }
    }
}

/// An address of each version of IP for a service that states none: one of 240.240.0.0/16, and one of 2001:2::/48.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AutomaticAddress {
    /// Of IPv4.
    pub v4: Ipv4Addr,
    /// Of IPv6.
    pub v6: Ipv6Addr,
}

impl AutomaticAddress {
    /// How many there are: the largest prime for which none ends with 0 or 255.
    pub const COUNT: u16 = 65_011;

    /// The address of this place; `None` from [`COUNT`](Self::COUNT) on.
    pub fn at(place: u16) -> Option<Self> {
        const LAST: u16 = 254;
        let third = u8::try_from(place / LAST).ok()?;
        let fourth = u8::try_from(place % LAST + 1).ok()?;
        let v6 = [
            0x2001,
            2,
            0,
            0,
            0,
            0,
            0xf0f0,
            u16::from_be_bytes([third, fourth]),
        ];
        (place < Self::COUNT).then(|| Self {
            v4: Ipv4Addr::new(240, 240, third, fourth),
            v6: v6.into(),
        })
    }

    /// Whether both are of the blocks that automatic addresses are taken from, at whatever place.
    pub fn is_in_range(&self) -> bool {
        self.v4.octets().starts_with(&[240, 240]) && self.v6.segments().starts_with(&[0x2001, 2, 0])
    }
}

/// A service after its sources have been joined.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Service {
    /// Its identity.
    pub key: ServiceKey,
    /// What the platform calls the object that declares it.
    pub name: Arc<str>,
    /// Who declared it.
    pub source: ServiceSource,
    /// When it was declared; absent counts as oldest.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: Labels,
    /// Sorted by number; no two of the same number or name.
    pub ports: Vec<ServicePort>,
    /// Virtual addresses by cluster, in the order as declared. The empty cluster holds those that count everywhere.
    pub addresses: BTreeMap<ClusterId, Vec<Cidr>>,
    /// The address that the store has given it, as it states none.
    pub automatic: Option<AutomaticAddress>,
    /// How its endpoints are found.
    pub resolution: Resolution,
    /// Whether it is part of the mesh.
    pub location: Location,
    /// Who sees it; `None`: what mesh config says for services.
    pub export_to: Option<Visibility>,
    /// Names that its endpoints' certificates may bear.
    pub subject_alt_names: BTreeSet<Arc<str>>,
    /// The workloads that are its endpoints, within its own namespace.
    pub workload_selector: Option<Labels>,
    /// Whether endpoints that are not healthy are sent to proxies, too.
    pub publish_not_ready: bool,
    /// Which of its endpoints clients go to.
    pub prefers: Preference,
}

impl Service {
    /// A service of a platform's own, found by addresses that the registry states, seen by whom mesh config says.
    pub fn new(key: ServiceKey, ports: Vec<ServicePort>) -> Self {
        Self {
            name: key.host.as_str().into(),
            key,
            source: ServiceSource::Platform,
            created: None,
            labels: Labels::default(),
            ports,
            addresses: BTreeMap::new(),
            automatic: None,
            resolution: Resolution::ClientSide,
            location: Location::Internal,
            export_to: None,
            subject_alt_names: BTreeSet::new(),
            workload_selector: None,
            publish_not_ready: false,
            prefers: Preference::Any,
        }
    }

    /// Whether clients dial its endpoints' own addresses instead of one for the service.
    pub fn is_headless(&self) -> bool {
        self.resolution == Resolution::Passthrough
    }

    /// The virtual addresses that a proxy in `cluster` uses.
    pub fn addresses_in<'a>(&'a self, cluster: &ClusterId) -> impl Iterator<Item = &'a Cidr> {
        let own = self.addresses.get(cluster).into_iter().flatten();
        let common = (!cluster.as_str().is_empty())
            .then(|| self.addresses.get(""))
            .flatten()
            .into_iter()
            .flatten();
        own.chain(common)
    }

    /// The port with this number.
    pub fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.port == number)
    }

    /// Its place among services that compete: age (absent is oldest), then name, then namespace.
    pub fn age(&self) -> (Option<Timestamp>, &str, &NamespaceName) {
        (self.created, &self.name, &self.key.namespace)
    }
}
