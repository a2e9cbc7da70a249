//! What follows from others about a workload: where its machine is, and who it is in the mesh's trust domain. It is computed when it is
//! asked for: ten thousand workloads would otherwise be kept twice.

use std::sync::Arc;

use super::Mesh;
use crate::model::{ClusterId, Locality, Workload};

impl Mesh {
    /// `own`, the locality of something, or that of the machine it runs on where it does not say the region.
    pub fn locality_on<'a>(
        &'a self,
        own: &'a Locality,
        cluster: &ClusterId,
        node: Option<&Arc<str>>,
    ) -> &'a Locality {
        if !own.region.is_empty() {
            return own;
        }
        let known = node.and_then(|node| self.nodes.get(&(cluster.clone(), Arc::clone(node))));
        known.filter(|known| !known.is_empty()).unwrap_or(own)
    }

    /// Where a workload runs: where it says, or where its machine is.
    pub fn locality_of<'a>(&'a self, workload: &'a Workload) -> &'a Locality {
        self.locality_on(
            &workload.locality,
            &workload.cluster,
            workload.node.as_ref(),
        )
    }

    /// The SPIFFE identity of a workload: the one that it states, or that of its service account in the mesh's trust domain.
    pub fn identity_of(&self, workload: &Workload) -> Option<Arc<str>> {
        if let Some(stated) = &workload.identity {
            return Some(Arc::clone(stated));
        }
        let account = workload.service_account.as_ref()?;
        let trust_domain = &self.config.trust_domain;
        let namespace = &workload.key.namespace;
        Some(format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}").into())
    }
}
