//! What is read of which Consul.

use std::time::Duration;

use pilothouse_core::model::NamespaceName;
use pilothouse_core::registry::RegistryId;

use crate::client::Consistency;

/// How one datacenter's catalog is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsulConfig {
    /// The registry's name: it is `Consul/NAME`.
    pub name: String,
    /// The cluster that endpoints and workloads of the agent's own datacenter are of; those of another are of a cluster that is called
    /// like it.
    pub cluster: String,
    /// The datacenter; the agent's own where empty.
    pub datacenter: String,
    /// Consul's namespace (Enterprise); `*` for all.
    pub consul_namespace: String,
    /// The admin partition (Enterprise).
    pub partition: String,
    /// The last part of services' names: Consul's `domain`.
    pub domain: String,
    /// The namespace of the mesh for services that are in none of Consul's.
    pub namespace: NamespaceName,
    /// Whether endpoints are reached by their `wan` addresses.
    pub wan: bool,
    /// The trust domain of identities that are made from a service account.
    pub trust_domain: String,
    /// How true answers have to be.
    pub consistency: Consistency,
    /// How old an answer may be, by its server's own account, to be believed.
    pub max_stale: Duration,
    /// How long a query waits for something newer.
    pub wait: Duration,
    /// How many services are watched by a query that is held open. Further ones are asked whenever anything in the catalog has
    /// changed.
    pub held: usize,
    /// Below which keys rules stand; `None`: there are none.
    pub rules: Option<String>,
}

impl Default for ConsulConfig {
    fn default() -> Self {
        Self {
            name: "Consul".into(),
            cluster: "default".into(),
            datacenter: String::new(),
            consul_namespace: String::new(),
            partition: String::new(),
            domain: "consul".into(),
            namespace: "default".into(),
            wan: false,
            trust_domain: "cluster.local".into(),
            consistency: Consistency::Stale,
            max_stale: Duration::from_secs(10),
            wait: Duration::from_secs(300),
            held: 96,
            rules: Some(RULES.into()),
        }
    }
}

/// Where rules stand unless something else is said.
pub const RULES: &str = "pilothouse/config/";

impl ConsulConfig {
    /// Who this registry is.
    pub fn id(&self) -> RegistryId {
        RegistryId::new("Consul", &self.name)
    }
}
