//! What is read of which cluster.

use std::sync::Arc;

use pilothouse_core::model::NamespaceName;
use pilothouse_core::registry::RegistryId;

/// What registries of Kubernetes are called, before the name of their cluster.
pub(crate) const PROVIDER: &str = "Kubernetes";

/// How one cluster is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// The cluster's name: the registry is `Kubernetes/CLUSTER`, and what it holds is of that cluster.
    pub cluster: String,
    /// The last part of services' names: `NAME.NAMESPACE.svc.DOMAIN`.
    pub domain: Arc<str>,
    /// What is read.
    pub reads: Reads,
    /// The only namespace of which anything is read, beside the root namespace of the mesh; `None` for all that the mesh's
    /// `discoverySelectors` select.
    pub namespace: Option<NamespaceName>,
}

/// What is read of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Everything: what runs, and the rules.
    Everything,
    /// What runs and where: namespaces, services, endpoints, workloads. For clusters beside the one that has the rules.
    Platform,
    /// Rules and namespaces alone: what runs is told by other registries.
    Rules,
}

impl Reads {
    /// Whether services, endpoints and workloads are read.
    pub fn platform(self) -> bool {
        self != Self::Rules
    }

    /// Whether rules are read.
    pub fn rules(self) -> bool {
        self != Self::Platform
    }
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self {
            cluster: "default".into(),
            domain: "cluster.local".into(),
            reads: Reads::Everything,
            namespace: None,
        }
    }
}

impl KubernetesConfig {
    /// Who this registry is.
    pub fn id(&self) -> RegistryId {
        RegistryId::new(PROVIDER, &self.cluster)
    }
}
