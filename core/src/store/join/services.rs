//! Services and their endpoints: declarations are united, parts and selected workloads are joined.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Join, WorkloadId, cluster};
use crate::mesh::{Endpoints, Mesh, Source};
use crate::model::{Endpoint, Labels, Service, ServiceKey, ServiceSource, Workload};
use crate::registry::{Object, RegistryId, Value};
use crate::rules::resolve;
use crate::status::{Contest, Lost};
use crate::store::by_label::{ByLabel, Filed};
use crate::store::dual_stack;
use crate::store::few::Few;
use crate::store::merge::{self, Fit};

/// Who declares each service and who states its endpoints.
#[derive(Debug, Default)]
pub(super) struct Table {
    services: HashMap<ServiceKey, Claims, RandomState>,
    /// Selectors of declarations, for workloads to find.
    selectors: ByLabel<(ServiceKey, Source)>,
}

#[derive(Debug, Default)]
struct Claims {
    declared: Few<Source, Arc<Service>>,
    parts: Few<Source, Part>,
    /// As of the last settling: the declarations that are united, in their rank, and those that have lost.
    united: Vec<(Source, Fit)>,
    lost: BTreeSet<Source>,
}

/// Some of a service's endpoints.
#[derive(Debug)]
pub(super) enum Part {
    /// A platform's, in place.
    Object(Arc<Object>),
    /// Those that a rule states, sorted.
    Rule(Arc<Endpoints>),
}

impl Part {
    fn endpoints(&self) -> &[Endpoint] {
        match self {
            Self::Rule(endpoints) => endpoints,
            Self::Object(object) => match &object.value {
                Value::Endpoints(part) => &part.endpoints,
                _ => &[],
            },
        }
    }

    /// The list that is equal to `endpoints`, for others to share.
    fn shared(&self, endpoints: &[Endpoint]) -> Option<&Arc<Endpoints>> {
        match self {
            Self::Rule(own) => (**own == endpoints).then_some(own),
            Self::Object(_) => None,
        }
    }
}

impl Table {
    /// The services with a declaration that selects a workload.
    pub(super) fn selecting(&self, workload: &Workload) -> BTreeSet<ServiceKey> {
        let namespace = &workload.key.namespace;
        let labelled = workload
            .labels
            .iter()
            .flat_map(|(key, value)| self.selectors.labelled(namespace, key, value));
        let candidates = self.selectors.bare(namespace).chain(labelled);
        let selects = |(key, source): &&(ServiceKey, Source)| {
            let service = self
                .services
                .get(key)
                .and_then(|claims| claims.declared.get(source));
            service
                .and_then(|service| service.workload_selector.as_ref())
                .is_some_and(|s| workload.labels.selected_by(s))
        };
        candidates
            .filter(selects)
            .map(|(key, _)| key.clone())
            .collect()
    }
}

impl Join {
    pub(super) fn declare_service(&mut self, source: Source, service: Arc<Service>) {
        let key = service.key.clone();
        self.unfile_selector(&source, &key);
        if let Some(selector) = &service.workload_selector {
            let entry = (key.clone(), source.clone());
            self.services
                .selectors
                .insert(&key.namespace, Filed::Selector(selector), &entry);
        }
        self.services
            .services
            .entry(key.clone())
            .or_default()
            .declared
            .insert(source, service);
        self.due.services.insert(key);
    }

    pub(super) fn undeclare_service(&mut self, source: &Source, key: &ServiceKey) {
        self.unfile_selector(source, key);
        if let Some(claims) = self.services.services.get_mut(key) {
            claims.declared.remove(source);
            self.due.services.insert(key.clone());
        }
    }

    fn unfile_selector(&mut self, source: &Source, key: &ServiceKey) {
        let declared = self
            .services
            .services
            .get(key)
            .and_then(|claims| claims.declared.get(source));
        if let Some(selector) = declared.and_then(|service| service.workload_selector.as_ref()) {
            let entry = (key.clone(), source.clone());
            self.services
                .selectors
                .remove(&key.namespace, Filed::Selector(selector), &entry);
        }
    }

    pub(super) fn put_part(&mut self, source: Source, key: ServiceKey, part: Part) {
        let parts = &mut self.services.services.entry(key.clone()).or_default().parts;
        let known = parts
            .get(&source)
            .and_then(|known| known.shared(part.endpoints()));
        let part = known.cloned().map_or(part, Part::Rule);
        parts.insert(source, part);
        self.due.endpoints.insert(key);
    }

    pub(super) fn take_part(&mut self, source: &Source, key: &ServiceKey) {
        if let Some(claims) = self.services.services.get_mut(key) {
            claims.parts.remove(source);
            self.due.endpoints.insert(key.clone());
        }
    }

    pub(super) fn settle_service(&mut self, key: &ServiceKey) {
        self.work.services += 1;
        self.due.endpoints.insert(key.clone());
        let Some(claims) = self.services.services.get_mut(key) else {
            return;
        };
        let merged = merge::services(claims.declared.iter());
        let (service, united, lost) = match merged {
            None => (None, Vec::new(), Vec::new()),
            Some(merged) => (Some(merged.service), merged.united, merged.lost),
        };
        let contest = Contest::Service(key.clone());
        let losers = lost.iter().map(|(source, _)| source.clone()).collect();
        for source in claims.lost.difference(&losers) {
            self.status.not_lost(source, &contest);
        }
        if let Some((winner, _)) = united.first() {
            for (source, why) in lost {
                let lost = Lost {
                    over: contest.clone(),
                    to: winner.clone(),
                    at: None,
                    why: why.into(),
                };
                self.status.lost(&source, lost);
            }
        }
        claims.united = united;
        claims.lost = losers;

        let service = match service {
            Some(service) => Some(self.with_address(service)),
            None => {
                self.release_address(key);
                None
            }
        };
        if self.mesh.service(key) != service.as_ref() {
            self.mesh.set_service(key, service);
            self.touched.services.insert(key.clone());
        }
    }

    pub(super) fn settle_endpoints(&mut self, key: &ServiceKey) {
        self.work.endpoints += 1;
        let (endpoints, sources) = self.endpoints_of(key);
        let endpoints = (!endpoints.is_empty()).then_some(endpoints);
        if self.mesh.endpoints(key).map(|before| &**before) != endpoints.as_ref() {
            let endpoints = endpoints.map(|endpoints| self.shared(key, endpoints));
            self.mesh.set_endpoints(key, endpoints);
            self.touched.endpoints.insert(key.clone());
        }
        if !self.mesh.sources(key).iter().eq(&sources) {
            let sources: Vec<_> = sources.into_iter().collect();
            self.mesh
                .set_sources(key, (!sources.is_empty()).then(|| sources.into()));
        }
        let claims = self.services.services.get(key);
        if claims.is_some_and(|claims| claims.declared.is_empty() && claims.parts.is_empty()) {
            self.services.services.remove(key);
        }
    }

    /// A list of a service's endpoints: the one that a rule states, if that is all there is.
    fn shared(&self, key: &ServiceKey, endpoints: Endpoints) -> Arc<Endpoints> {
        let parts = self.services.services.get(key);
        let mut parts = parts.into_iter().flat_map(|claims| claims.parts.values());
        match parts.find_map(|part| part.shared(&endpoints)) {
            Some(known) => Arc::clone(known),
            None => Arc::new(endpoints),
        }
    }

    /// The endpoints of a service, and the objects that it and they come from.
    fn endpoints_of(&self, key: &ServiceKey) -> (Endpoints, BTreeSet<Source>) {
        let mut sources = BTreeSet::new();
        let (Some(service), Some(claims)) =
            (self.mesh.service(key), self.services.services.get(key))
        else {
            return (Vec::new(), sources);
        };
        let mut ranked = Vec::new();
        for (source, part) in claims.parts.iter() {
            let Some((rank, fit)) = claims.fit_of(source) else {
                continue;
            };
            sources.insert(source.clone());
            for endpoint in part.endpoints() {
                let mut endpoint = endpoint.clone();
                endpoint.cluster = cluster(&endpoint.cluster, &source.registry);
                self.join_workload(&mut endpoint);
                fit.iter().for_each(|fit| fit.apply(&mut endpoint));
                ranked.push((rank, endpoint));
            }
        }
        for (rank, (source, fit)) in claims.united.iter().enumerate() {
            sources.insert(source.clone());
            let Some(declared) = claims.declared.get(source) else {
                continue;
            };
            let Some(selector) = &declared.workload_selector else {
                continue;
            };
            let stated = claims.has_part_of(&source.registry);
            for id in self.selected(key, selector) {
                let workload = self.mesh.workload(&id.0, &id.1);
                let (Some(workload), Some((by, kind))) = (workload, self.workloads.source(id))
                else {
                    continue;
                };
                // A platform says itself which of its own workloads its services have, if it says it of any.
                let platforms =
                    (declared.source, kind) == (ServiceSource::Platform, ServiceSource::Platform);
                if platforms && (stated || by.registry != source.registry) {
                    continue;
                }
                let Some(mut endpoint) = resolve::endpoint_of(declared, workload, kind) else {
                    continue;
                };
                endpoint.locality = self.mesh.locality_of(workload).clone();
                endpoint.identity = self.identity_of(workload);
                fit.apply(&mut endpoint);
                sources.insert(by.clone());
                ranked.push((claims.united.len() + rank, endpoint));
            }
        }
        let by_cluster = self.mesh.config().is_cluster_local(key);
        let ranked = dual_stack::united(ranked, service);
        (merge::endpoints(ranked, service, by_cluster), sources)
    }

    /// The workloads that a service of this key selects.
    fn selected<'a>(
        &'a self,
        key: &'a ServiceKey,
        selector: &'a Labels,
    ) -> impl Iterator<Item = &'a WorkloadId> {
        let by_label = self.workloads.by_label();
        let candidates: Box<dyn Iterator<Item = &WorkloadId>> = match selector.iter().next() {
            None => Box::new(by_label.bare(&key.namespace)),
            Some((name, value)) => Box::new(by_label.labelled(&key.namespace, name, value)),
        };
        candidates.filter(|id| {
            let workload = self.mesh.workload(&id.0, &id.1);
            workload.is_some_and(|workload| workload.labels.selected_by(selector))
        })
    }

    /// Adds what the workload at the endpoint's address knows and the endpoint does not say.
    fn join_workload(&self, endpoint: &mut Endpoint) {
        let Some(workload) = workload_behind(&self.mesh, endpoint) else {
            self.join_node(endpoint);
            return;
        };
        endpoint.labels = endpoint.labels.over(&workload.labels);
        if endpoint.identity.is_none() {
            endpoint.identity = self.identity_of(workload);
        }
        let there = self.mesh.locality_of(workload);
        if endpoint.locality.region.is_empty() && !there.is_empty() {
            endpoint.locality = there.clone();
        }
        if endpoint.node.is_none() {
            endpoint.node.clone_from(&workload.node);
        }
        self.join_node(endpoint);
        endpoint.tls_mode = endpoint.tls_mode.max(workload.tls_mode);
        if endpoint.network.as_str().is_empty() {
            endpoint.network = workload.network.clone();
        }
        endpoint
            .workload
            .get_or_insert_with(|| workload.key.clone());
    }

    fn identity_of(&self, workload: &Workload) -> Option<Arc<str>> {
        let identity = self.mesh.identity_of(workload)?;
        Some(self.identities.share(&identity))
    }

    /// Adds where its machine is, if the endpoint does not say it.
    fn join_node(&self, endpoint: &mut Endpoint) {
        let known = self.mesh.locality_on(
            &endpoint.locality,
            &endpoint.cluster,
            endpoint.node.as_ref(),
        );
        if *known != endpoint.locality {
            endpoint.locality = known.clone();
        }
    }
}

/// The workload at an endpoint's address; of several, the one that the endpoint names, or else the first. One that is named
/// may be on any network: it says which.
fn workload_behind<'a>(mesh: &'a Mesh, endpoint: &Endpoint) -> Option<&'a Arc<Workload>> {
    let ip = endpoint.addresses.iter().find_map(|address| address.ip())?;
    match &endpoint.workload {
        Some(named) => mesh
            .workload(&endpoint.cluster, named)
            .filter(|workload| workload.ips().any(|own| own == ip)),
        None => {
            let mut there = mesh.workloads_at(&endpoint.cluster, &endpoint.network, ip);
            there.next()
        }
    }
}

impl Claims {
    /// Whether this registry itself states which endpoints the service has.
    fn has_part_of(&self, registry: &RegistryId) -> bool {
        let is_one = |(source, part): (&Source, &Part)| {
            source.registry == *registry && matches!(part, Part::Object(_))
        };
        self.parts.iter().any(is_one)
    }

    /// The rank of the declaration that a part belongs to, and how it fits; `None` if that declaration has lost. A rule's
    /// part belongs to the rule, a platform's to the service that the same registry declares, or else to all.
    fn fit_of(&self, part: &Source) -> Option<(usize, Option<&Fit>)> {
        let owner = if self.declared.contains_key(part) {
            Some(part)
        } else {
            let own = |(source, service): &(&Source, &Arc<Service>)| {
                source.registry == part.registry && service.source == ServiceSource::Platform
            };
            let own = self.declared.iter().filter(own);
            own.min_by_key(|(source, service)| (service.created, *source))
                .map(|(source, _)| source)
        };
        let Some(owner) = owner else {
            return Some((self.united.len(), None));
        };
        let (rank, (_, fit)) = self
            .united
            .iter()
            .enumerate()
            .find(|(_, (source, _))| source == owner)?;
        Some((rank, Some(fit)))
    }
}
