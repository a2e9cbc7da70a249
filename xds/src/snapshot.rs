//! What one kind of proxy is to have: a set for each type of resource.

use std::sync::Arc;

use tokio::time::Instant;

use crate::fanout::Set;
use crate::resource::{Name, Resource, ResourceType, Version};

/// The whole configuration of every proxy with an equal selection, at one moment. Immutable.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Counts the publications of this process, for debug pages.
    pub generation: u64,
    /// When the earliest change in it was seen, for the time until it was acknowledged.
    pub since: Instant,
    /// Clusters: shared layers, then the proxy's own.
    pub clusters: Arc<Set>,
    /// Load assignments.
    pub assignments: Assignments,
    /// Listeners: shared layers, then the proxy's own.
    pub listeners: Arc<Set>,
    /// Route configurations.
    pub routes: Arc<Set>,
    /// The name table, of proxies whose clients' DNS is captured.
    pub names: Arc<Set>,
}

/// Load assignments: bodies, and the clusters whose versions their versions cover.
///
/// Envoy warms a changed cluster until it gets an assignment after the change (Envoy's xDS protocol document, "Resource
/// warming"). An assignment therefore counts as another version when its cluster does.
#[derive(Debug, Clone, Default)]
pub struct Assignments {
    /// The clusters that have assignments: the shared layers of [`Snapshot::clusters`].
    pub clusters: Arc<Set>,
    /// The assignments, by the name of their cluster.
    pub bodies: Arc<Set>,
}

impl Assignments {
    /// The assignment of this cluster with its version on the wire; `None` where either is missing.
    pub fn get(&self, name: &Name) -> Option<(&Arc<Resource>, Version)> {
        let body = self.bodies.get(name.as_str())?;
        let cluster = self.clusters.get(name.as_str())?;
        Some((body, body.version.and(cluster.version)))
    }
}

impl Snapshot {
    /// The set of a type; for assignments that of their bodies.
    pub fn set(&self, resource_type: ResourceType) -> &Arc<Set> {
        match resource_type {
            ResourceType::Cluster => &self.clusters,
            ResourceType::Endpoint => &self.assignments.bodies,
            ResourceType::Listener => &self.listeners,
            ResourceType::Route => &self.routes,
            ResourceType::NameTable => &self.names,
        }
    }
}
