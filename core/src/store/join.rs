//! All registries together become one mesh.
//!
//! Objects in force come in, one at a time; each is filed under what it speaks of and marks that as due. [`settle`] then
//! computes what is due, in the order in which one kind of value reads another: rules, nodes, workloads, services, endpoints. A
//! value that comes out equal keeps its `Arc` and touches nothing, so the work and the change are both in proportion to what
//! came in.
//!
//! [`settle`]: Join::settle

mod automatic;
mod nodes;
mod platform;
mod rules;
mod services;
mod workloads;

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

#[cfg(test)]
pub(super) use automatic::places;
use serde::Serialize;

use super::shard::Effect;
use crate::mesh::{Mesh, MeshConfig, Source, Touched};
use crate::model::{
    ClusterId, NamespaceName, NetworkId, ServiceKey, ServiceSource, Texts, WorkloadKey,
};
use crate::registry::{Object, ObjectKey, RegistryId, Value};
use crate::status::StatusHandle;

/// A workload in the whole mesh.
type WorkloadId = Arc<(ClusterId, WorkloadKey)>;

/// A machine in the whole mesh.
type NodeId = (ClusterId, Arc<str>);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Join {
    mesh: Mesh,
    touched: Touched,
    due: Due,
    platform: platform::Tables,
    nodes: nodes::Table,
    rules: rules::Table,
    workloads: workloads::Table,
    services: services::Table,
    automatic: automatic::Table,
    /// Identities of workloads.
    identities: Texts,
    status: StatusHandle,
    work: Work,
}

/// What is to be computed.
#[derive(Debug, Default)]
struct Due {
    namespaces: BTreeSet<NamespaceName>,
    networks: BTreeSet<NetworkId>,
    nodes: BTreeSet<NodeId>,
    rules: BTreeSet<ObjectKey>,
    workloads: BTreeSet<WorkloadId>,
    services: BTreeSet<ServiceKey>,
    endpoints: BTreeSet<ServiceKey>,
}

/// How many values have been computed, those included that came out equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Work {
    /// Rules, and what they declare.
    pub rules: u64,
    /// Workloads.
    pub workloads: u64,
    /// Services.
    pub services: u64,
    /// Lists of a service's endpoints.
    pub endpoints: u64,
}

impl Join {
    pub(super) fn new(status: StatusHandle) -> Self {
        Self {
            mesh: Mesh::default(),
            touched: Touched::default(),
            due: Due::default(),
            platform: platform::Tables::default(),
            nodes: nodes::Table::default(),
            rules: rules::Table::default(),
            workloads: workloads::Table::default(),
            services: services::Table::default(),
            automatic: automatic::Table::default(),
            identities: Texts::default(),
            status,
            work: Work::default(),
        }
    }

    /// The mesh as of the last [`settle`](Self::settle).
    pub(super) fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub(super) fn work(&self) -> Work {
        self.work
    }

    /// Takes over what has come into force, or gone out of it, in one registry.
    pub(super) fn apply(&mut self, registry: &RegistryId, effect: Effect) {
        let Effect { before, after } = effect;
        let Some(object) = after.as_ref().or(before.as_ref()) else {
            return;
        };
        let source = Source {
            registry: registry.clone(),
            object: object.meta.key.clone(),
        };
        let origin = after.as_ref().map(|object| &object.origin);
        if before.as_ref().map(|object| &object.origin) != origin {
            self.mesh.set_origin(&source, origin.cloned());
        }
        if let (Some(before), Some(after)) = (&before, &after)
            && says_the_same(before, after)
        {
            return;
        }
        if let Some(before) = before {
            self.take_out(&source, &before);
        }
        if let Some(after) = after {
            self.put_in(source, after);
        }
    }

    /// Replaces the settings.
    pub(super) fn configure(&mut self, config: Arc<MeshConfig>) {
        let before = Arc::clone(self.mesh.config());
        if before == config {
            return;
        }
        if before.trust_domain != config.trust_domain {
            let rules = self.mesh.rules().map(|rule| rule.meta.key.clone());
            self.due.rules.extend(rules);
            self.workloads_have_moved(|workload| {
                workload.identity.is_none() && workload.service_account.is_some()
            });
        }
        if before.cluster_local != config.cluster_local {
            let services = self.mesh.services().map(|service| service.key.clone());
            self.due.endpoints.extend(services);
        }
        self.mesh.set_config(config);
        self.report_all_routing(&before);
        self.note_all_ingresses(&before);
        self.touched.config = true;
    }

    /// Computes what is due. What comes out different is in the result.
    pub(super) fn settle(&mut self) -> Touched {
        for name in mem::take(&mut self.due.namespaces) {
            self.settle_namespace(&name);
        }
        for id in mem::take(&mut self.due.networks) {
            self.settle_network(&id);
        }
        for key in mem::take(&mut self.due.rules) {
            self.settle_rule(&key);
        }
        self.report_routing();
        self.report_ingresses();
        self.settle_nodes();
        for id in mem::take(&mut self.due.workloads) {
            self.settle_workload(&id);
        }
        for key in mem::take(&mut self.due.services) {
            self.settle_service(&key);
        }
        self.give_addresses();
        for key in mem::take(&mut self.due.endpoints) {
            self.settle_endpoints(&key);
        }
        self.report_per_workload();
        mem::take(&mut self.touched)
    }

    fn put_in(&mut self, source: Source, object: Arc<Object>) {
        match &object.value {
            Value::Namespace(_) | Value::Network(_) => self.put_platform(source, object),
            Value::Service(service) => {
                let service = Arc::clone(service);
                self.declare_service(source, service);
            }
            Value::Node(node) => {
                let locality = node.locality.clone();
                let id = nodes::id(&source, node);
                self.put_node(source, id, Some(locality));
            }
            Value::Endpoints(part) => {
                let key = part.service.clone();
                self.put_part(source, key, services::Part::Object(object));
            }
            Value::Workload(workload) => {
                let workload = workloads::in_cluster(workload, &source.registry);
                let claim = workloads::Claim {
                    by: ServiceSource::Platform,
                    created: object.meta.created,
                    workload,
                };
                self.declare_workload(source, claim);
            }
            Value::Rule(_) => self.put_rule(source, object),
        }
    }

    fn take_out(&mut self, source: &Source, object: &Object) {
        match &object.value {
            Value::Namespace(_) | Value::Network(_) => self.take_platform(source, object),
            Value::Service(service) => self.undeclare_service(source, &service.key),
            Value::Node(node) => self.put_node(source.clone(), nodes::id(source, node), None),
            Value::Endpoints(part) => self.take_part(source, &part.service),
            Value::Workload(workload) => {
                let id = workloads::id(&source.registry, workload);
                self.undeclare_workload(source, &id);
            }
            Value::Rule(_) => self.take_rule(source),
        }
    }
}

/// Whether only the origin and the platform's count of changes differ.
fn says_the_same(a: &Object, b: &Object) -> bool {
    a.value == b.value
        && a.meta.labels == b.meta.labels
        && a.meta.annotations == b.meta.annotations
        && a.meta.created == b.meta.created
        && a.meta.kept_addresses == b.meta.kept_addresses
}

/// The cluster that a value names, or that of the registry it came from.
fn cluster(named: &ClusterId, registry: &RegistryId) -> ClusterId {
    if named.as_str().is_empty() {
        registry.cluster.clone()
    } else {
        named.clone()
    }
}
