//! Workloads: of several declarations of one name the first counts. What selects or contains them becomes due.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::{Join, WorkloadId, cluster};
use crate::mesh::Source;
use crate::model::{ServiceKey, ServiceSource, Workload};
use crate::registry::{Meta, RegistryId};
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
pub(super) struct Claim {
    kind: ServiceSource,
    created: Option<Timestamp>,
    workload: Arc<Workload>,
}

impl Claim {
    pub(super) fn new(kind: ServiceSource, meta: &Meta, workload: Arc<Workload>) -> Self {
        Self {
            kind,
            created: meta.created,
            workload,
        }
    }

    pub(super) fn of_platform(source: &Source, meta: &Meta, workload: &Workload) -> Self {
        let cluster = cluster(&workload.cluster, &source.registry);
        Self::new(
            ServiceSource::Platform,
            meta,
            Arc::new(Workload {
                cluster,
                ..workload.clone()
            }),
        )
    }
}

/// The identity of a workload that was read from `registry`.
pub(super) fn id(registry: &RegistryId, workload: &Workload) -> WorkloadId {
    (cluster(&workload.cluster, registry), workload.key.clone())
}

impl Table {
    /// Whose declaration of a workload is in force.
    pub(super) fn source(&self, id: &WorkloadId) -> Option<&Source> {
        self.source.get(id)
    }

    pub(super) fn by_label(&self) -> &ByLabel<WorkloadId> {
        &self.by_label
    }
}

impl Join {
    pub(super) fn declare_workload(&mut self, source: Source, claim: Claim) {
        let id = (claim.workload.cluster.clone(), claim.workload.key.clone());
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
        let first = declared.min_by_key(|(source, claim)| (claim.kind, claim.created, *source));
        let (source, workload) = match first {
            Some((source, claim)) => (Some(source.clone()), Some(Arc::clone(&claim.workload))),
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
