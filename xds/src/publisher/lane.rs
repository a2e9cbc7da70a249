//! The endpoint lane: load assignments, as the newest mesh has them, for the services of the published configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, NamespaceName, ServiceKey};

use super::memo::Memo;
use super::scope::Scope;
use super::views::{Seen, Views};
use crate::fanout::Set;
use crate::inputs;
use crate::metrics::Metrics;
use crate::selection::ForAssignments;

/// See the [module](self).
pub(super) struct Lane {
    mesh: Arc<Mesh>,
    /// As published, which may be behind the mesh.
    views: Views,
    scopes: BTreeMap<ForAssignments, Scope<inputs::Assignments>>,
    /// Hosts of services that the mesh has lost and the published configuration still has: their last endpoints stay.
    leaving: BTreeSet<Host>,
    memo: Memo,
}

impl Lane {
    /// Nothing is asked for yet.
    pub(super) fn new(mesh: Arc<Mesh>, views: Views, metrics: Metrics) -> Self {
        Self {
            mesh,
            views,
            scopes: BTreeMap::new(),
            leaving: BTreeSet::new(),
            memo: Memo::new(metrics),
        }
    }

    /// Follows a change of these services' endpoints.
    pub(super) fn follow(&mut self, mesh: Arc<Mesh>, touched: &BTreeSet<ServiceKey>) {
        let gone = touched.iter().filter(|key| mesh.service(key).is_none());
        self.leaving.extend(gone.map(|key| key.host.clone()));
        self.mesh = mesh;
        let hosts: BTreeSet<Host> = touched
            .iter()
            .map(|key| &key.host)
            .filter(|host| !self.leaving.contains(*host))
            .cloned()
            .collect();
        let seen = Seen {
            mesh: &self.mesh,
            views: &self.views,
        };
        for scope in self.scopes.values_mut() {
            scope.update(seen, seen, &hosts, &mut self.memo);
        }
    }

    /// Follows a publication of the configuration in which these hosts changed.
    pub(super) fn configured(&mut self, mesh: Arc<Mesh>, views: Views, hosts: &BTreeSet<Host>) {
        let before = std::mem::replace(&mut self.views, views);
        self.mesh = mesh;
        // A host that left the mesh after this configuration was computed leaves with the next.
        let (mesh, views) = (&self.mesh, &self.views);
        self.leaving.retain(|host| {
            views
                .services(host)
                .any(|service| mesh.service(&service.key).is_none())
        });
        let hosts = hosts.difference(&self.leaving).cloned().collect();
        for scope in self.scopes.values_mut() {
            scope.update(
                Seen {
                    mesh,
                    views: &before,
                },
                Seen { mesh, views },
                &hosts,
                &mut self.memo,
            );
        }
    }

    /// What proxies of this namespace and projection get.
    pub(super) fn set(
        &mut self,
        namespace: &NamespaceName,
        projection: &ForAssignments,
    ) -> &Arc<Set> {
        let Self {
            mesh,
            views,
            scopes,
            memo,
            ..
        } = self;
        scopes
            .entry(projection.clone())
            .or_insert_with(|| Scope::build(Seen { mesh, views }, projection, memo))
            .set(namespace)
    }
}
