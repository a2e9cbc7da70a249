//! One destination behind a service.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Address, ClusterId, Labels, Locality, NetworkId, WorkloadKey};

/// Whether an endpoint may be given requests.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Health {
    /// Takes requests.
    #[default]
    Healthy,
    /// Exists and does not take requests.
    Unhealthy,
    /// Finishes what it has and takes nothing new.
    Draining,
    /// Is going away, still serving those who are bound to it.
    Terminating,
}

/// Whether the proxy beside an endpoint takes mutual TLS.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum TlsMode {
    /// Plain text only.
    #[default]
    Disabled,
    /// The mesh's own mutual TLS.
    Istio,
}

/// A port of an endpoint, by the name that the service's port has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointPort {
    /// Matches [`ServicePort::name`](super::ServicePort::name).
    pub name: Arc<str>,
    /// The number that the workload listens on.
    pub port: u16,
}

/// One destination of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// At least one; more than one for a dual-stack workload, the preferred family first.
    pub addresses: Vec<Address>,
    /// Numbers by port name, sorted by name; it does not answer on a service's port that is not named here. `None` instead
    /// of a list says that it answers on every port's target.
    pub ports: Option<Arc<[EndpointPort]>>,
    /// Whether it may be given requests.
    pub health: Health,
    /// Share of the load within its locality; 0 is taken as 1.
    pub weight: u32,
    /// Where it runs.
    pub locality: Locality,
    /// The network that its addresses belong to.
    pub network: NetworkId,
    /// The cluster that it was read from.
    pub cluster: ClusterId,
    /// Its own labels, over those of its workload.
    pub labels: Labels,
    /// The SPIFFE identity of the workload, such as `spiffe://cluster.local/ns/shop/sa/reviews`.
    pub identity: Option<Arc<str>>,
    /// The workload behind it, where one is known.
    pub workload: Option<WorkloadKey>,
    /// Whether its proxy takes mutual TLS.
    pub tls_mode: TlsMode,
    /// Its own name below a headless service.
    pub hostname: Option<Arc<str>>,
    /// The machine it runs on.
    pub node: Option<Arc<str>>,
    /// The zones whose clients it is meant for, where the platform says so; of use to a service that
    /// [goes by hints](super::Preference::Hints).
    pub for_zones: Option<Arc<[Arc<str>]>>,
}

impl Endpoint {
    /// A healthy endpoint at `address` that answers on every port of its service.
    pub fn at(address: Address) -> Self {
        Self {
            addresses: vec![address],
            ports: None,
            health: Health::Healthy,
            weight: 1,
            locality: Locality::default(),
            network: NetworkId::default(),
            cluster: ClusterId::default(),
            labels: Labels::default(),
            identity: None,
            workload: None,
            tls_mode: TlsMode::Disabled,
            hostname: None,
            node: None,
            for_zones: None,
        }
    }

    /// The address to prefer.
    pub fn address(&self) -> Option<&Address> {
        self.addresses.first()
    }

    /// The number that service port `port` has at this endpoint.
    pub fn port(&self, port: &super::ServicePort) -> Option<u16> {
        match &self.ports {
            None => Some(port.target()),
            Some(ports) => ports.iter().find(|p| p.name == port.name).map(|p| p.port),
        }
    }
}
