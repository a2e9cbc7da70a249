//! The endpoint lane: load assignments, as the newest mesh has them, for the services of the published configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, ServiceKey};

use super::memo::Memo;
use super::scope::Scope;
use super::views::{Seen, Views};
use crate::fanout::Set;
use crate::inputs;
use crate::metrics::Metrics;
use crate::selection::ForAssignments;
use crate::view::ViewKey;

/// See the [module](self).
pub(super) struct Lane {
    mesh: Arc<Mesh>,
    /// As published, which may be behind the mesh.
    views: Views,
    scopes: BTreeMap<ForAssignments, Scope<inputs::Assignments>>,
    memo: Memo,
}

impl Lane {
    /// Nothing is asked for yet.
    pub(super) fn new(mesh: Arc<Mesh>, views: Views, metrics: Metrics) -> Self {
        Self {
            mesh,
            views,
            scopes: BTreeMap::new(),
            memo: Memo::new(metrics),
        }
    }

    /// Follows a change of these services' endpoints.
    pub(super) fn follow(&mut self, mesh: Arc<Mesh>, touched: &BTreeSet<ServiceKey>) {
        self.mesh = mesh;
        let hosts = touched.iter().map(|key| &key.host);
        let hosts = hosts.filter(|host| !self.is_ahead(host)).cloned().collect();
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
        let hosts = hosts
            .iter()
            .filter(|host| !self.is_ahead(host))
            .cloned()
            .collect();
        let (mesh, views) = (&self.mesh, &self.views);
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

    /// Drops what no proxy gets any longer.
    pub(super) fn retain(&mut self, wanted: &BTreeSet<&ForAssignments>) {
        self.scopes
            .retain(|projection, _| wanted.contains(projection));
    }

    /// Whether the mesh has lost a service of this host, or has it otherwise than it was published. Endpoints of the mesh do
    /// not fit such a service: the last that did stay until the configuration has followed, which then names the host.
    fn is_ahead(&self, host: &Host) -> bool {
        self.views.services(host).any(|published| {
            let newest = self.mesh.service(&published.key);
            newest.is_none_or(|newest| {
                newest.resolution != published.resolution || newest.ports != published.ports
            })
        })
    }

    /// What proxies of this view and projection get.
    pub(super) fn set(&mut self, key: &ViewKey, projection: &ForAssignments) -> &Arc<Set> {
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
            .set(key)
    }
}
