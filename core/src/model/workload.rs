//! What runs behind a proxy or an endpoint.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::name::handle;
use super::{
    Address, ByName, ClusterId, Health, Labels, Locality, NamespaceName, NetworkId, NodeId, TlsMode,
};

handle! {
    /// A workload's name: a handle of one pointer, cheap to clone, shared by all who name the workload.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    WorkloadKey of WorkloadKeyParts
}

/// What a [`WorkloadKey`] consists of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkloadKeyParts {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its name, unique in the namespace and cluster.
    pub name: Arc<str>,
}

/// A pod, a machine, a process: something with addresses and labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// Its name.
    pub key: WorkloadKey,
    /// The cluster that it was read from.
    pub cluster: ClusterId,
    /// The network of its addresses.
    pub network: NetworkId,
    /// Where it is reached; none while it has no address or is reached through its network's gateway.
    pub addresses: Vec<Address>,
    /// What selectors look at.
    pub labels: Labels,
    /// Where it runs.
    pub locality: Locality,
    /// The SPIFFE identity.
    pub identity: Option<Arc<str>>,
    /// Its service account. Where it states no identity, the store makes it of this, its namespace and the mesh's trust domain.
    pub service_account: Option<Arc<str>>,
    /// Numbers by port name: by the service's name of a port for what a rule declares, by the workload's own
    /// ([`ServicePort::target_name`](super::ServicePort::target_name)) for what a platform does.
    pub ports: ByName<u16>,
    /// Share of the load; 0 is taken as 1.
    pub weight: u32,
    /// Whether it may be given requests.
    pub health: Health,
    /// Whether its proxy takes mutual TLS.
    pub tls_mode: TlsMode,
    /// The machine it runs on.
    pub node: Option<Arc<str>>,
}

impl WorkloadKey {
    /// The workload of this name in the namespace.
    pub fn new(namespace: NamespaceName, name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        Self(Arc::new(WorkloadKeyParts { namespace, name }))
    }

    /// Whether a proxy calls itself after it: `NAME.NAMESPACE`.
    pub fn names(&self, proxy: &NodeId) -> bool {
        let rest = proxy.name.strip_prefix(&*self.name);
        rest.and_then(|rest| rest.strip_prefix('.')) == Some(self.namespace.as_str())
    }
}

impl Workload {
    /// Its IP addresses.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter_map(Address::ip)
    }
}
