//! Which values differ between two versions of the mesh.

use std::collections::BTreeSet;

use crate::model::{ClusterId, NamespaceName, NetworkId, ServiceKey, WorkloadKey};
use crate::registry::ObjectKey;

/// The keys of all values that appeared, changed or vanished. It comes from comparing values: an event that changes
/// nothing touches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    /// Services whose own value changed.
    pub services: BTreeSet<ServiceKey>,
    /// Services whose endpoints changed.
    pub endpoints: BTreeSet<ServiceKey>,
    /// Workloads.
    pub workloads: BTreeSet<(ClusterId, WorkloadKey)>,
    /// Namespaces.
    pub namespaces: BTreeSet<NamespaceName>,
    /// Networks.
    pub networks: BTreeSet<NetworkId>,
    /// Rules.
    pub rules: BTreeSet<ObjectKey>,
    /// Mesh config.
    pub config: bool,
}

impl Touched {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nothing but endpoints changed.
    pub fn only_endpoints(&self) -> bool {
        Self {
            endpoints: BTreeSet::new(),
            ..self.clone()
        }
        .is_empty()
    }

    /// Adds what `other` names.
    pub fn merge(&mut self, other: Touched) {
        self.services.extend(other.services);
        self.endpoints.extend(other.endpoints);
        self.workloads.extend(other.workloads);
        self.namespaces.extend(other.namespaces);
        self.networks.extend(other.networks);
        self.rules.extend(other.rules);
        self.config |= other.config;
    }
}
