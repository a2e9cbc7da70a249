//! Machines: where they stand is where what runs on them is, unless that says so itself.
//!
//! Machines come before what runs on them and hardly ever move, so a change looks at everything once instead of keeping an
//! index.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Join, NodeId};
use crate::mesh::Source;
use crate::model::{ClusterId, Locality, Node};

/// Who says where each one stands.
#[derive(Debug, Default)]
pub(super) struct Table {
    said: HashMap<NodeId, BTreeMap<Source, Locality>, RandomState>,
}

/// The identity of a machine that was read from this source.
pub(super) fn id(source: &Source, node: &Node) -> NodeId {
    let cluster = source.registry.cluster.clone();
    (cluster, Arc::clone(&node.name))
}

impl Table {
    /// Where a machine stands, by the first registry that knows it.
    fn locality(&self, id: &NodeId) -> Option<&Locality> {
        self.said.get(id)?.values().next()
    }
}

impl Join {
    /// Takes over what `source` says of a machine; `None`: nothing any more.
    pub(super) fn put_node(&mut self, source: Source, id: NodeId, locality: Option<Locality>) {
        let before = self.nodes.locality(&id).cloned();
        let said = self.nodes.said.entry(id.clone()).or_default();
        match locality {
            Some(locality) => said.insert(source, locality),
            None => said.remove(&source),
        };
        if said.is_empty() {
            self.nodes.said.remove(&id);
        }
        if self.nodes.locality(&id) != before.as_ref() {
            self.due.nodes.insert(id);
        }
    }

    /// What runs on machines that have come, gone or moved is touched, unless it says itself where it is; its endpoints are due.
    pub(super) fn settle_nodes(&mut self) {
        let due = mem::take(&mut self.due.nodes);
        if due.is_empty() {
            return;
        }
        for id in &due {
            self.mesh.set_node(id, self.nodes.locality(id).cloned());
        }
        let on = |cluster: &ClusterId, node: &Option<Arc<str>>| {
            let id = node
                .as_ref()
                .map(|node| (cluster.clone(), Arc::clone(node)));
            id.is_some_and(|id| due.contains(&id))
        };
        self.workloads_have_moved(|workload| {
            workload.locality.region.is_empty() && on(&workload.cluster, &workload.node)
        });
        let services = self.mesh.services().filter(|service| {
            let endpoints = self.mesh.endpoints(&service.key).into_iter();
            endpoints
                .flat_map(|all| all.iter())
                .any(|endpoint| on(&endpoint.cluster, &endpoint.node))
        });
        let services: BTreeSet<_> = services.map(|service| service.key.clone()).collect();
        self.due.endpoints.extend(services);
    }
}
