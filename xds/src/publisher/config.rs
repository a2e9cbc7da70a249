//! The configuration lane's state: clusters, listeners and routes for every selection that some proxy has.
//!
//! It is handed to a blocking thread to be brought up to date and comes back when that is done.

mod added;
mod grpc;
mod router;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::{Mesh, Touched};
use pilothouse_core::model::Host;
use pilothouse_core::rules::HostKind;

use super::memo::Memo;
use super::relevance;
use super::scope::{Scope, stack};
use super::views::{Seen, Views};
use crate::conflicts::Conflicts;
use crate::fanout::{Layer, Set};
use crate::inputs::{self, Generator, Input};
use crate::metrics::Metrics;
use crate::selection::{
    ForClusters, ForDataPlane, ForEnvoy, ForListeners, ForNames, ForOwn, ForRouter, ForRoutes,
    Selection,
};
use crate::view::ViewKey;
use added::Added;
use grpc::Grpc;
use router::Routers;

/// What is to be computed.
pub(super) struct Work {
    pub(super) mesh: Arc<Mesh>,
    pub(super) touched: Touched,
    /// All selections that some proxy has; what only others need is dropped.
    pub(super) selections: BTreeSet<Arc<Selection>>,
}

/// See the [module](self).
pub(super) struct Config {
    pub(super) mesh: Arc<Mesh>,
    pub(super) views: Views,
    clusters: BTreeMap<ForClusters, Scope<inputs::Clusters>>,
    listeners: BTreeMap<ForListeners, Scope<inputs::Listeners>>,
    routes: BTreeMap<ForRoutes, Scope<inputs::Routes>>,
    names: BTreeMap<ForNames, Scope<inputs::Names>>,
    /// What a proxy gets for itself: clusters and listeners.
    own: BTreeMap<ForOwn, (Arc<Layer>, Arc<Layer>)>,
    added: Added,
    grpc: Grpc,
    routers: Routers,
    memo: Memo,
    conflicts: Conflicts,
    conflicts_changed: bool,
}

/// One selection's sets.
#[derive(Clone, Default)]
pub(super) struct Sets {
    pub(super) clusters: Arc<Set>,
    /// The clusters without the proxy's own: those that have assignments.
    pub(super) shared_clusters: Arc<Set>,
    pub(super) listeners: Arc<Set>,
    pub(super) routes: Arc<Set>,
    pub(super) names: Arc<Set>,
}

impl Config {
    /// Nothing is selected yet.
    pub(super) fn new(mesh: Arc<Mesh>, metrics: Metrics) -> Self {
        let views = Views::new(&mesh);
        Self {
            mesh,
            views,
            clusters: BTreeMap::new(),
            listeners: BTreeMap::new(),
            routes: BTreeMap::new(),
            names: BTreeMap::new(),
            own: BTreeMap::new(),
            added: Added::default(),
            grpc: Grpc::default(),
            routers: Routers::default(),
            memo: Memo::new(metrics),
            conflicts: Conflicts::default(),
            conflicts_changed: false,
        }
    }

    /// Brings everything up to date. Returns the hosts in which the views may differ from before.
    pub(super) fn apply(&mut self, work: Work) -> BTreeSet<Host> {
        let Work {
            mesh,
            touched,
            selections,
        } = work;
        let before = (std::mem::replace(&mut self.mesh, mesh), self.views.clone());
        let hosts = if touched.config {
            // Any input may read mesh config: everything is looked at again, and what is equal stays the same.
            let mut all = self.views.hosts();
            all.extend(self.mesh.hosts().cloned());
            for mesh in [&before.0, &self.mesh] {
                all.extend(mesh.hosts_of_rules(HostKind::Virtual).cloned());
            }
            all
        } else {
            relevance::hosts(&before.0, &self.mesh, &touched)
        };
        let wanted: BTreeSet<_> = selections
            .iter()
            .map(|selection| selection.view.clone())
            .collect();
        self.views.retain(&wanted);
        let mut hosts = hosts;
        hosts.append(&mut self.views.update(&self.mesh, &hosts));
        for key in &wanted {
            self.views.watch(&self.mesh, key);
        }
        let change = Change {
            before: Seen {
                mesh: &before.0,
                views: &before.1,
            },
            after: Seen {
                mesh: &self.mesh,
                views: &self.views,
            },
            hosts: &hosts,
            all: touched.config,
        };
        let listeners = self.listeners.len();
        let memo = &mut self.memo;
        let envoys = || selections.iter().filter_map(|selection| selection.envoy());
        follow(
            &mut self.clusters,
            &change,
            selections.iter().filter_map(|s| s.clusters().cloned()),
            memo,
        );
        follow(
            &mut self.listeners,
            &change,
            envoys().map(|s| s.listeners.clone()),
            memo,
        );
        follow(
            &mut self.routes,
            &change,
            envoys().map(|s| s.routes.clone()),
            memo,
        );
        follow(
            &mut self.names,
            &change,
            envoys().filter_map(|s| s.names.clone()),
            memo,
        );
        let grpc = selections.iter().filter_map(|selection| selection.grpc());
        self.grpc.follow(&change, grpc.collect(), memo);
        let routers = selections
            .iter()
            .filter_map(|s| Some((s.view.clone(), s.router()?.gateways.clone())));
        self.routers
            .follow(&change, &touched, routers.collect(), memo);
        let own_changed = self.follow_own(touched.config, envoys().map(|s| &s.own).collect());
        self.follow_conflicts(listeners, own_changed);
        self.follow_patches(&selections);
        hosts
    }

    /// All conflicts, if they have changed since this was asked last.
    pub(super) fn take_conflicts(&mut self) -> Option<Conflicts> {
        std::mem::take(&mut self.conflicts_changed).then(|| self.conflicts.clone())
    }

    /// Looks for conflicts if anything has changed in which there may be one; `listeners` is how many scopes there were.
    fn follow_conflicts(&mut self, listeners: usize, own_changed: bool) {
        let mut changed = self.listeners.len() != listeners;
        for scope in self.listeners.values_mut() {
            changed |= scope.take_lost_changed();
        }
        changed |= self.routers.take_lost_changed();
        if !changed && !own_changed {
            return;
        }
        let mut found = Conflicts::default();
        for (name, lost) in self.listeners.values().flat_map(Scope::lost) {
            let names = found.outbound.entry(lost.clone()).or_default();
            names.insert(name.clone());
        }
        for (port, lost) in self.own.keys().flat_map(inputs::own::lost) {
            found.inbound.entry(lost).or_default().insert(port);
        }
        found.servers.extend(self.routers.lost().cloned());
        self.conflicts_changed |= found != self.conflicts;
        self.conflicts = found;
    }

    /// The sets of a selection, which keep their identity as long as they are equal to `sets`.
    pub(super) fn restack(&self, selection: &Arc<Selection>, sets: &mut Sets) {
        match &selection.data_plane {
            ForDataPlane::Envoy(envoy) => self.restack_envoy(&selection.view, envoy, sets),
            ForDataPlane::Router(router) => self.restack_router(&selection.view, router, sets),
            ForDataPlane::Grpc(grpc) => self.grpc.restack(&selection.view, grpc, sets),
        }
    }

    fn restack_envoy(&self, key: &ViewKey, envoy: &ForEnvoy, sets: &mut Sets) {
        let clusters = self
            .clusters
            .get(&envoy.clusters)
            .map(|scope| scope.set(key));
        let listeners = self
            .listeners
            .get(&envoy.listeners)
            .map(|scope| scope.set(key));
        if let Some(shared) = clusters {
            sets.shared_clusters = shared.clone();
        }
        if let Some(routes) = self.routes.get(&envoy.routes) {
            sets.routes = routes.set(key).clone();
        }
        if let Some(names) = envoy.names.as_ref().and_then(|names| self.names.get(names)) {
            sets.names = names.set(key).clone();
        }
        let own = self.own.get(&envoy.own);
        let added = self.added.get(&envoy.added);
        let (clusters_added, listeners_added) = (
            added.map(|added| &added.clusters),
            added.map(|added| &added.listeners),
        );
        with_own(
            &mut sets.clusters,
            clusters_added,
            clusters,
            own.map(|own| &own.0),
        );
        with_own(
            &mut sets.listeners,
            listeners_added,
            listeners,
            own.map(|own| &own.1),
        );
    }

    fn restack_router(&self, key: &ViewKey, router: &ForRouter, sets: &mut Sets) {
        let clusters = self.clusters.get(&router.clusters);
        let clusters = clusters.map(|scope| scope.set(key));
        if let Some(shared) = clusters {
            sets.shared_clusters = shared.clone();
        }
        let added = self.added.get(&router.added);
        with_own(
            &mut sets.clusters,
            added.map(|added| &added.clusters),
            clusters,
            None,
        );
        if let Some((listeners, routes)) = self.routers.sets(key, router) {
            sets.routes = routes.clone();
            with_own(
                &mut sets.listeners,
                added.map(|added| &added.listeners),
                Some(listeners),
                None,
            );
        }
    }

    /// What is made for a proxy's own sake depends on mesh config and on nothing else of the mesh but what was selected. Returns
    /// whether the projections are others.
    fn follow_own(&mut self, config_changed: bool, wanted: BTreeSet<&ForOwn>) -> bool {
        let before = self.own.len();
        self.own.retain(|projection, _| wanted.contains(projection));
        let mut changed = self.own.len() != before;
        for projection in wanted {
            let known = self.own.get(projection);
            if known.is_some() && !config_changed {
                continue;
            }
            changed |= known.is_none();
            let (clusters, listeners) = own_layers(&self.mesh, projection, &mut self.memo);
            let keep = |old: Option<&Arc<Layer>>, new: Layer| match old {
                Some(old) if old.changed(&new).is_empty() => old.clone(),
                _ => Arc::new(new),
            };
            let next = (
                keep(known.map(|own| &own.0), clusters),
                keep(known.map(|own| &own.1), listeners),
            );
            self.own.insert(projection.clone(), next);
        }
        changed
    }
}

struct Change<'a> {
    before: Seen<'a>,
    after: Seen<'a>,
    hosts: &'a BTreeSet<Host>,
    all: bool,
}

/// Brings the scopes of all `wanted` projections up to date and drops the others.
fn follow<G: Generator>(
    scopes: &mut BTreeMap<G::Projection, Scope<G>>,
    change: &Change<'_>,
    wanted: impl Iterator<Item = G::Projection>,
    memo: &mut Memo,
) {
    let wanted: BTreeSet<_> = wanted.collect();
    scopes.retain(|projection, _| wanted.contains(projection));
    for projection in wanted {
        match scopes.get_mut(&projection) {
            Some(scope) if change.all => scope.rebuild(change.after, memo),
            Some(scope) => scope.update(change.before, change.after, change.hosts, memo),
            None => {
                let scope = Scope::build(change.after, &projection, memo);
                scopes.insert(projection, scope);
            }
        }
    }
}

fn own_layers(mesh: &Mesh, projection: &ForOwn, memo: &mut Memo) -> (Layer, Layer) {
    let (mut clusters, mut listeners) = (Vec::new(), Vec::new());
    for input in inputs::own(mesh, projection) {
        let listener = matches!(input, Input::Listener(_));
        let Some(made) = memo.patched(input, &projection.patches) else {
            continue;
        };
        if listener {
            listeners.push(made)
        } else {
            clusters.push(made)
        }
    }
    (Layer::new(clusters), Layer::new(listeners))
}

/// What is shared, over what is added and under what is a proxy's own.
fn with_own(
    set: &mut Arc<Set>,
    added: Option<&Arc<Layer>>,
    shared: Option<&Arc<Set>>,
    own: Option<&Arc<Layer>>,
) {
    let Some(shared) = shared else { return };
    let some = |layer: Option<&Arc<Layer>>| layer.filter(|layer| !layer.is_empty()).cloned();
    let (added, own) = (some(added), some(own));
    if added.is_none() && own.is_none() {
        *set = shared.clone();
        return;
    }
    let mut layers: Vec<_> = added.into_iter().collect();
    layers.extend(shared.layers().iter().cloned());
    layers.extend(own);
    stack(set, layers);
}
