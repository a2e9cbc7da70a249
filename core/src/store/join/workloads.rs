//! Workloads: of several declarations of one name the first counts. What selects or contains them becomes due.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::{Join, WorkloadId, cluster};
use crate::mesh::Source;
use crate::model::{ServiceKey, ServiceSource, Workload};
use crate::registry::RegistryId;
use crate::status::{Contest, Lost};
use crate::store::by_label::{ByLabel, Filed};
use crate::store::few::Few;

/// Who declares each, and where selectors find them.
#[derive(Debug, Default)]
pub(super) struct Table {
    declared: HashMap<WorkloadId, Declared, RandomState>,
    by_label: ByLabel<WorkloadId>,
}

/// Everything of one name.
#[derive(Debug, Default)]
struct Declared {
    claims: Few<Source, Claim>,
    /// Whose claim is in force as of the last settling.
    in_force: Option<Source>,
}

/// One declaration.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) by: ServiceSource,
    pub(super) created: Option<Timestamp>,
    pub(super) workload: Arc<Workload>,
}

impl Claim {
    /// Its place among several of one name.
    fn rank(&self) -> (ServiceSource, Option<Timestamp>) {
        (self.by, self.created)
    }
}

/// A workload as the mesh knows it: of the cluster that it names, or of that of the registry it was read from.
pub(super) fn in_cluster(workload: &Arc<Workload>, registry: &RegistryId) -> Arc<Workload> {
    let cluster = cluster(&workload.cluster, registry);
    if cluster == workload.cluster {
        return Arc::clone(workload);
    }
    Arc::new(Workload {
        cluster,
        ..Workload::clone(workload)
    })
}

/// The identity of a workload that was read from `registry`.
pub(super) fn id(registry: &RegistryId, workload: &Workload) -> WorkloadId {
    Arc::new((cluster(&workload.cluster, registry), workload.key.clone()))
}

impl Table {
    /// Whose declaration of a workload is in force, and of which kind it is.
    pub(super) fn source(&self, id: &WorkloadId) -> Option<(&Source, ServiceSource)> {
        let declared = self.declared.get(id)?;
        let source = declared.in_force.as_ref()?;
        Some((source, declared.claims.get(source)?.by))
    }

    pub(super) fn by_label(&self) -> &ByLabel<WorkloadId> {
        &self.by_label
    }
}

impl Join {
    /// Takes over what `source` declares; the result is the identity by which it takes it back.
    pub(super) fn declare_workload(&mut self, source: Source, claim: Claim) -> WorkloadId {
        let id = id(&source.registry, &claim.workload);
        let entry = self.workloads.declared.entry(id);
        let id = Arc::clone(entry.key());
        entry.or_default().claims.insert(source, claim);
        self.due.workloads.insert(Arc::clone(&id));
        id
    }

    pub(super) fn undeclare_workload(&mut self, source: &Source, id: &WorkloadId) {
        if let Some(all) = self.workloads.declared.get_mut(id) {
            all.claims.remove(source);
        }
        self.status.not_lost(source, &contest(id));
        self.due.workloads.insert(Arc::clone(id));
    }

    pub(super) fn settle_workload(&mut self, id: &WorkloadId) {
        self.work.workloads += 1;
        let Some(declared) = self.workloads.declared.get_mut(id) else {
            return;
        };
        let first = declared
            .claims
            .iter()
            .min_by_key(|(source, claim)| (claim.rank(), *source));
        let (winner, workload) = match first {
            Some((source, claim)) => (Some(source.clone()), Some(Arc::clone(&claim.workload))),
            None => (None, None),
        };
        for loser in declared.claims.keys() {
            let Some(winner) = winner.as_ref().filter(|winner| *winner != loser) else {
                self.status.not_lost(loser, &contest(id));
                continue;
            };
            let why = "of several workloads of one name and cluster the platform's own counts, then the oldest";
            let lost = Lost {
                over: contest(id),
                to: winner.clone(),
                at: None,
                why: why.into(),
            };
            self.status.lost(loser, lost);
        }
        let other_source = declared.in_force != winner;
        if winner.is_none() {
            self.workloads.declared.remove(id);
        } else {
            declared.in_force = winner;
        }
        let before = self.mesh.workload(&id.0, &id.1).cloned();
        if before == workload {
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
        self.touched.workloads.insert((**id).clone());
    }

    /// What follows from others about these workloads (see [`Mesh::locality_of`](crate::mesh::Mesh::locality_of)) has changed.
    pub(super) fn workloads_have_moved(&mut self, which: impl Fn(&Workload) -> bool) {
        let all = self.mesh.workloads().filter(|workload| which(workload));
        let moved: Vec<_> = all.cloned().collect();
        for workload in moved {
            let id = (workload.cluster.clone(), workload.key.clone());
            self.touched.workloads.insert(id);
            self.readers_are_due(&workload);
        }
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
