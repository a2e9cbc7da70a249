//! Workloads: of several declarations of one name the first counts. What selects or contains them becomes due.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::{Join, WorkloadId, cluster};
use crate::mesh::Source;
use crate::model::{ServiceKey, ServiceSource, Workload};
use crate::registry::{Meta, Object, RegistryId, Value};
use crate::status::{Contest, Lost};
use crate::store::by_label::{ByLabel, Filed};
use crate::store::few::Few;

/// Who declares each, and where selectors find them.
#[derive(Debug, Default)]
pub(super) struct Table {
    declared: HashMap<WorkloadId, Few<Source, Claim>, RandomState>,
    by_label: ByLabel<WorkloadId>,
    /// Whose declaration is in force.
    source: HashMap<WorkloadId, Source, RandomState>,
}

/// One declaration.
#[derive(Debug)]
pub(super) enum Claim {
    /// A platform's, in place.
    Platform(Arc<Object>),
    /// A rule's.
    Rule(Option<Timestamp>, Arc<Workload>),
}

impl Claim {
    /// Of an object that is a workload.
    pub(super) fn of_platform(object: Arc<Object>) -> Self {
        Self::Platform(object)
    }

    pub(super) fn of_rule(meta: &Meta, workload: Arc<Workload>) -> Self {
        Self::Rule(meta.created, workload)
    }

    /// Its place among several of one name.
    fn rank(&self) -> (ServiceSource, Option<Timestamp>) {
        match self {
            Self::Platform(object) => (ServiceSource::Platform, object.meta.created),
            Self::Rule(created, _) => (ServiceSource::Rule, *created),
        }
    }

    fn workload(&self) -> Option<&Workload> {
        match self {
            Self::Rule(_, workload) => Some(workload),
            Self::Platform(object) => match &object.value {
                Value::Workload(workload) => Some(workload),
                _ => None,
            },
        }
    }
}

/// The identity of a workload that was read from `registry`.
pub(super) fn id(registry: &RegistryId, workload: &Workload) -> WorkloadId {
    (cluster(&workload.cluster, registry), workload.key.clone())
}

impl Table {
    /// Whose declaration of a workload is in force, and of which kind it is.
    pub(super) fn source(&self, id: &WorkloadId) -> Option<(&Source, ServiceSource)> {
        let source = self.source.get(id)?;
        let (kind, _) = self.declared.get(id)?.get(source)?.rank();
        Some((source, kind))
    }

    pub(super) fn by_label(&self) -> &ByLabel<WorkloadId> {
        &self.by_label
    }
}

impl Join {
    pub(super) fn declare_workload(&mut self, source: Source, id: WorkloadId, claim: Claim) {
        self.workloads
            .declared
            .entry(id.clone())
            .or_default()
            .insert(source, claim);
        self.due.workloads.insert(id);
    }

    pub(super) fn undeclare_workload(&mut self, source: &Source, id: &WorkloadId) {
        if let Some(all) = self.workloads.declared.get_mut(id) {
            all.remove(source);
        }
        self.status.not_lost(source, &contest(id));
        self.due.workloads.insert(id.clone());
    }

    pub(super) fn settle_workload(&mut self, id: &WorkloadId) {
        self.work.workloads += 1;
        let declared = self
            .workloads
            .declared
            .get(id)
            .into_iter()
            .flat_map(Few::iter);
        let first = declared.min_by_key(|(source, claim)| (claim.rank(), *source));
        let (source, workload) = match first {
            Some((source, claim)) => (Some(source.clone()), self.completed(id, claim)),
            None => (None, None),
        };
        if let Some(winner) = &source {
            for loser in self
                .workloads
                .declared
                .get(id)
                .into_iter()
                .flat_map(Few::keys)
            {
                if loser == winner {
                    self.status.not_lost(loser, &contest(id));
                } else {
                    let why = "of several workloads of one name and cluster the platform's own counts, then the oldest";
                    self.status.lost(
                        loser,
                        Lost {
                            over: contest(id),
                            to: winner.clone(),
                            at: None,
                            why: why.into(),
                        },
                    );
                }
            }
        } else {
            self.workloads.declared.remove(id);
        }
        let before = self.mesh.workload(&id.0, &id.1).cloned();
        let other_source = self.workloads.source.get(id) != source.as_ref();
        match source {
            Some(source) => self.workloads.source.insert(id.clone(), source),
            None => self.workloads.source.remove(id),
        };
        if before.as_deref() == workload.as_deref() {
            if let (true, Some(workload)) = (other_source, &workload) {
                self.readers_are_due(workload);
            }
            return;
        }
        if let Some(before) = &before {
            self.workloads
                .by_label
                .remove(&id.1.namespace, Filed::Workload(&before.labels), id);
        }
        if let Some(after) = &workload {
            self.workloads
                .by_label
                .insert(&id.1.namespace, Filed::Workload(&after.labels), id);
        }
        for version in [&before, &workload].into_iter().flatten() {
            self.readers_are_due(version);
        }
        self.mesh.set_workload(&id.0, &id.1, workload);
        self.touched.workloads.insert(id.clone());
    }

    /// What a declaration says, with what follows from its machine and its service account.
    fn completed(&self, id: &WorkloadId, claim: &Claim) -> Option<Arc<Workload>> {
        let workload = claim.workload()?;
        let (cluster, key) = id;
        let locality = self
            .nodes
            .complete(&workload.locality, cluster, workload.node.as_ref());
        let account = workload
            .service_account
            .as_ref()
            .filter(|_| workload.identity.is_none());
        if let Claim::Rule(_, shared) = claim
            && account.is_none()
            && *locality == workload.locality
        {
            return Some(Arc::clone(shared));
        }
        let trust_domain = &self.mesh.config().trust_domain;
        let identity = account.map(|account| {
            format!("spiffe://{trust_domain}/ns/{}/sa/{account}", key.namespace).into()
        });
        Some(Arc::new(Workload {
            cluster: cluster.clone(),
            locality: locality.clone(),
            identity: identity.or_else(|| workload.identity.clone()),
            ..workload.clone()
        }))
    }

    /// The services that select a workload, or have an endpoint where it is.
    fn readers_are_due(&mut self, workload: &Workload) {
        let selecting = self.services.selecting(workload);
        self.due.endpoints.extend(selecting);
        for ip in workload.ips() {
            let at: Vec<ServiceKey> = self
                .mesh
                .services_at(ip)
                .map(|service| service.key.clone())
                .collect();
            self.due.endpoints.extend(at);
        }
    }
}

fn contest(id: &WorkloadId) -> Contest {
    Contest::Workload(id.0.clone(), id.1.clone())
}
