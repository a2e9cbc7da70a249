//! Namespaces as far as the mesh reads them.

use serde::{Deserialize, Serialize};

use super::{Labels, NamespaceName, NetworkId};

/// A namespace with its labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name.
    pub name: NamespaceName,
    /// Its labels.
    pub labels: Labels,
    /// The network that its workloads are on, where it says so (`topology.istio.io/network`).
    pub network: Option<NetworkId>,
}
