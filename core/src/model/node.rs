//! Machines, as far as the mesh reads them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Locality;

/// A machine of a cluster. Workloads and endpoints that name it and do not say where they are, are where it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Node {
    /// Its name, unique in the cluster.
    pub name: Arc<str>,
    /// Where it stands.
    pub locality: Locality,
}
