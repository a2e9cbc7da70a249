//! The mesh: one immutable value, replaced as a whole, sharing everything that did not change.
//!
//! Maps are persistent: a version costs the path to what changed. Values are behind `Arc`, and the store keeps the old
//! `Arc` of every value that is equal, so comparing by pointer is enough to see what changed between two versions.

mod config;
mod gateways;
mod host_rules;
mod ingresses;
mod known;
mod machines;
mod providers;
mod selector;
mod sidecars;
mod touched;
mod visible;

use std::collections::BTreeSet;
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync as Map;
use serde::Serialize;

use crate::model::{
    ClusterId, Endpoint, Host, Locality, Namespace, NamespaceName, Network, NetworkId, Proxy,
    Service, ServiceKey, Workload, WorkloadKey,
};
use crate::registry::{Kind, ObjectKey, Origin, RegistryId};
use crate::rules::{Resolved, RuleSpec};

pub use config::{
    AccessLog, AccessLogEncoding, ClientCertificates, ExportTo, GatewayTopology, InboundPolicy,
    MeshConfig, OutboundPolicy, ProxyDefaults, VirtualServiceMerge,
};
pub use host_rules::{Destinations, HostRules, Routing, spellings};
pub use ingresses::{IngressController, IngressMode, Unserved};
pub use providers::{
    Collector, DefaultProviders, FileLog, GrpcExport, GrpcLog, HttpExport, LogFormat,
    OpenTelemetry, OtelLog, Provider, ProviderKind, Sampling, TagValue, TracingDefaults, Zipkin,
};
pub use selector::{LabelRequirement, LabelSelector};
pub use touched::Touched;

/// The endpoints of one service, in a fixed order that does not depend on who reported them when.
pub type Endpoints = Vec<Endpoint>;

/// An object that had a part in a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Source {
    /// The registry that it was read from.
    pub registry: RegistryId,
    /// Which object.
    pub object: ObjectKey,
}

/// A rule in force: the last version that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Where it was read.
    pub source: Source,
    /// Its labels and creation time.
    pub meta: crate::registry::Meta,
    /// What it says.
    pub spec: RuleSpec,
    /// What it means; `None` for kinds that are made into services or workloads, and for those without effect.
    pub resolved: Option<Resolved>,
}

/// Where a workload is reached: addresses mean something within a network of a cluster only.
type WorkloadAddress = (ClusterId, NetworkId, IpAddr);

/// See the [module](self).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mesh {
    config: Arc<MeshConfig>,
    services: Map<ServiceKey, Arc<Service>>,
    /// Who declares a host, in the order of preference when nothing else decides.
    hosts: Map<Host, Arc<[ServiceKey]>>,
    endpoints: Map<ServiceKey, Arc<Endpoints>>,
    /// The services that have an endpoint at an address, sorted.
    instances: Map<IpAddr, Arc<[ServiceKey]>>,
    workloads: Map<(ClusterId, WorkloadKey), Arc<Workload>>,
    /// The workloads at an address: several where they share their machine's.
    addresses: Map<WorkloadAddress, Arc<[(ClusterId, WorkloadKey)]>>,
    /// Where machines are, by cluster and name.
    nodes: Map<(ClusterId, Arc<str>), Locality>,
    namespaces: Map<NamespaceName, Arc<Namespace>>,
    networks: Map<NetworkId, Arc<Network>>,
    rules: Map<ObjectKey, Arc<Rule>>,
    host_rules: host_rules::Index,
    sources: Map<ServiceKey, Arc<[Source]>>,
    origins: Map<Source, Origin>,
}

impl Mesh {
    /// The mesh-wide settings.
    pub fn config(&self) -> &Arc<MeshConfig> {
        &self.config
    }

    /// The service of this identity.
    pub fn service(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// All services, by namespace and host.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// How many services there are.
    pub fn service_count(&self) -> usize {
        self.services.size()
    }

    /// The services that have this host, in whatever namespace, the one to prefer first.
    pub fn services_of_host(&self, host: &Host) -> impl Iterator<Item = &Arc<Service>> {
        self.hosts
            .get(host)
            .into_iter()
            .flat_map(|keys| keys.iter())
            .filter_map(|key| self.services.get(key))
    }

    /// All host names that some service has.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.keys()
    }

    /// The endpoints of a service; `None` where it has none.
    pub fn endpoints(&self, key: &ServiceKey) -> Option<&Arc<Endpoints>> {
        self.endpoints.get(key)
    }

    /// The endpoints of a service that proxies in `cluster` use: all of them, or those in the same cluster where mesh config
    /// says that the service is local to each.
    pub fn endpoints_in<'a>(
        &'a self,
        key: &ServiceKey,
        cluster: &'a ClusterId,
    ) -> impl Iterator<Item = &'a Endpoint> {
        let local = self.config.is_cluster_local(key);
        let all = self
            .endpoints
            .get(key)
            .into_iter()
            .flat_map(|endpoints| endpoints.iter());
        all.filter(move |endpoint| !local || endpoint.cluster == *cluster)
    }

    /// The services that have an endpoint at `ip`.
    pub fn services_at(&self, ip: IpAddr) -> impl Iterator<Item = &Arc<Service>> {
        self.instances
            .get(&ip)
            .into_iter()
            .flat_map(|keys| keys.iter())
            .filter_map(|key| self.services.get(key))
    }

    /// The workload of this name.
    pub fn workload(&self, cluster: &ClusterId, key: &WorkloadKey) -> Option<&Arc<Workload>> {
        self.workloads.get(&(cluster.clone(), key.clone()))
    }

    /// All workloads, by cluster, namespace and name.
    pub fn workloads(&self) -> impl Iterator<Item = &Arc<Workload>> {
        self.workloads.values()
    }

    /// The workload that has this address; of several, the first by name.
    pub fn workload_at(
        &self,
        cluster: &ClusterId,
        network: &NetworkId,
        ip: IpAddr,
    ) -> Option<&Arc<Workload>> {
        self.workloads_at(cluster, network, ip).next()
    }

    /// The workloads that have this address, by name.
    pub fn workloads_at(
        &self,
        cluster: &ClusterId,
        network: &NetworkId,
        ip: IpAddr,
    ) -> impl Iterator<Item = &Arc<Workload>> {
        let ids = self.addresses.get(&(cluster.clone(), network.clone(), ip));
        ids.into_iter()
            .flat_map(|ids| ids.iter())
            .filter_map(|id| self.workloads.get(id))
    }

    /// The workload behind a proxy: of several that share its address, the one it calls itself after (`NAME.NAMESPACE`).
    pub fn workload_of(&self, proxy: &Proxy) -> Option<&Arc<Workload>> {
        let named = |workload: &&Arc<Workload>| workload.key.names(&proxy.id);
        proxy.addresses.iter().find_map(|ip| {
            let mut there = self.workloads_at(&proxy.cluster, &proxy.network, *ip);
            let first = there.next()?;
            let mut all = iter::once(first).chain(there);
            Some(all.find(named).unwrap_or(first))
        })
    }

    /// The namespace of this name.
    pub fn namespace(&self, name: &NamespaceName) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }

    /// The network of this name.
    pub fn network(&self, id: &NetworkId) -> Option<&Arc<Network>> {
        self.networks.get(id)
    }

    /// All networks.
    pub fn networks(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.networks.values()
    }

    /// The rule of this identity, in its last good version.
    pub fn rule(&self, key: &ObjectKey) -> Option<&Arc<Rule>> {
        self.rules.get(key)
    }

    /// All rules in force, by kind, namespace and name.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.values()
    }

    /// The rules in force of this kind and namespace: the oldest first (absent is oldest), then by name.
    pub fn rules_in(&self, kind: &'static str, namespace: &NamespaceName) -> Vec<&Arc<Rule>> {
        let (kind, namespace) = (Kind::new(kind), namespace.clone());
        let first = ObjectKey::new(kind.clone(), namespace.clone(), "");
        let all = self.rules.range(first..);
        let mut found: Vec<_> = all
            .take_while(|(key, _)| key.kind == kind && key.namespace == namespace)
            .map(|(_, rule)| rule)
            .collect();
        // They come by name, and sorting keeps that.
        found.sort_by_key(|rule| rule.meta.created);
        found
    }

    /// The objects that a service and its endpoints come from.
    pub fn sources(&self, key: &ServiceKey) -> &[Source] {
        self.sources.get(key).map_or(&[], |sources| sources)
    }

    /// Where an object stands.
    pub fn origin(&self, source: &Source) -> Option<&Origin> {
        self.origins.get(source)
    }
}

/// Changes, one value at a time. Indices follow; nothing is compared here.
impl Mesh {
    /// Replaces the settings.
    pub fn set_config(&mut self, config: Arc<MeshConfig>) {
        self.config = config;
    }

    /// Adds, replaces or removes a service.
    pub fn set_service(&mut self, key: &ServiceKey, service: Option<Arc<Service>>) {
        let reads = |service: Option<&Arc<Service>>| {
            service.map_or(&[][..], |service| service.prefers.reads())
        };
        let before = reads(self.services.get(key));
        reads(service.as_ref())
            .iter()
            .for_each(|of| self.host_rules.read(of.clone()));
        before.iter().for_each(|of| self.host_rules.unread(of));
        match service {
            Some(service) => self.services.insert_mut(key.clone(), service),
            None => {
                self.services.remove_mut(key);
            }
        }
        self.index_host(key);
    }

    fn index_host(&mut self, key: &ServiceKey) {
        let mut keys: Vec<_> = self
            .hosts
            .get(&key.host)
            .map_or_else(Vec::new, |keys| keys.to_vec());
        keys.retain(|other| other != key);
        if self.services.contains_key(key) {
            keys.push(key.clone());
        }
        keys.sort_by(|a, b| {
            let (a, b) = (self.services.get(a), self.services.get(b));
            a.map(|s| (s.source, s.age()))
                .cmp(&b.map(|s| (s.source, s.age())))
        });
        if keys.is_empty() {
            self.hosts.remove_mut(&key.host);
        } else {
            self.hosts.insert_mut(key.host.clone(), keys.into());
        }
    }

    /// Replaces the endpoints of a service; `None` says that it has none.
    pub fn set_endpoints(&mut self, key: &ServiceKey, endpoints: Option<Arc<Endpoints>>) {
        let ips = |endpoints: Option<&Arc<Endpoints>>| -> BTreeSet<IpAddr> {
            let all = endpoints.into_iter().flat_map(|all| all.iter());
            all.flat_map(|endpoint| endpoint.addresses.iter().filter_map(|address| address.ip()))
                .collect()
        };
        let before = ips(self.endpoints.get(key));
        let after = ips(endpoints.as_ref());
        for ip in before.difference(&after) {
            self.leave_instance(*ip, key);
        }
        // Most addresses belong to one service, and all of a service share the list that says so.
        let alone = [key.clone()].into();
        for ip in after.difference(&before) {
            self.join_instance(*ip, &alone);
        }
        match endpoints {
            Some(endpoints) => self.endpoints.insert_mut(key.clone(), endpoints),
            None => {
                self.endpoints.remove_mut(key);
            }
        }
    }

    fn leave_instance(&mut self, ip: IpAddr, key: &ServiceKey) {
        let keys = self.instances.get(&ip).into_iter();
        let others = keys
            .flat_map(|keys| keys.iter())
            .filter(|other| *other != key);
        let others: Arc<[ServiceKey]> = others.cloned().collect();
        if others.is_empty() {
            self.instances.remove_mut(&ip);
        } else {
            self.instances.insert_mut(ip, others);
        }
    }

    /// `alone` holds the one service that the address is an instance of from here on, too.
    fn join_instance(&mut self, ip: IpAddr, alone: &Arc<[ServiceKey]>) {
        let all = match self.instances.get(&ip) {
            None => Arc::clone(alone),
            Some(others) => {
                let all: BTreeSet<_> = others.iter().chain(&**alone).cloned().collect();
                all.into_iter().collect()
            }
        };
        self.instances.insert_mut(ip, all);
    }

    /// Adds, replaces or removes a workload.
    pub fn set_workload(
        &mut self,
        cluster: &ClusterId,
        key: &WorkloadKey,
        workload: Option<Arc<Workload>>,
    ) {
        let id = (cluster.clone(), key.clone());
        if let Some(old) = self.workloads.get(&id).cloned() {
            for ip in old.ips() {
                self.index_address((cluster.clone(), old.network.clone(), ip), |ids| {
                    ids.remove(&id)
                });
            }
        }
        match workload {
            Some(workload) => {
                for ip in workload.ips() {
                    let address = (cluster.clone(), workload.network.clone(), ip);
                    self.index_address(address, |ids| ids.insert(id.clone()));
                }
                self.workloads.insert_mut(id, workload);
            }
            None => {
                self.workloads.remove_mut(&id);
            }
        }
    }

    fn index_address(
        &mut self,
        address: WorkloadAddress,
        change: impl FnOnce(&mut BTreeSet<(ClusterId, WorkloadKey)>) -> bool,
    ) {
        let there = self.addresses.get(&address).into_iter();
        let mut ids = there.flat_map(|ids| ids.iter().cloned()).collect();
        change(&mut ids);
        if ids.is_empty() {
            self.addresses.remove_mut(&address);
        } else {
            self.addresses
                .insert_mut(address, ids.into_iter().collect());
        }
    }

    /// Says where a machine is.
    pub fn set_node(&mut self, node: &(ClusterId, Arc<str>), locality: Option<Locality>) {
        set(&mut self.nodes, node, locality);
    }

    /// Adds, replaces or removes a namespace.
    pub fn set_namespace(&mut self, name: &NamespaceName, namespace: Option<Arc<Namespace>>) {
        set(&mut self.namespaces, name, namespace);
    }

    /// Adds, replaces or removes a network.
    pub fn set_network(&mut self, id: &NetworkId, network: Option<Arc<Network>>) {
        set(&mut self.networks, id, network);
    }

    /// Adds, replaces or removes a rule.
    pub fn set_rule(&mut self, key: &ObjectKey, rule: Option<Arc<Rule>>) {
        if let Some(old) = self.rules.get(key) {
            self.host_rules.remove(old);
        }
        if let Some(new) = &rule {
            self.host_rules.insert(new);
        }
        set(&mut self.rules, key, rule);
    }

    /// Says which objects a service comes from.
    pub fn set_sources(&mut self, key: &ServiceKey, sources: Option<Arc<[Source]>>) {
        set(&mut self.sources, key, sources);
    }

    /// Says where an object stands.
    pub fn set_origin(&mut self, source: &Source, origin: Option<Origin>) {
        set(&mut self.origins, source, origin);
    }
}

fn set<K: Ord + Clone, V>(map: &mut Map<K, V>, key: &K, value: Option<V>) {
    match value {
        Some(value) => map.insert_mut(key.clone(), value),
        None => {
            map.remove_mut(key);
        }
    }
}

#[cfg(test)]
mod tests;
