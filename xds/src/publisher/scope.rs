//! A scope: what one generator makes for all proxies with an equal projection, as layers that follow the mesh.
//!
//! The first layer holds what the common view gives and is shared by all namespaces. A namespace that sees other services
//! than that gets a second layer with just the names that come out differently.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, NamespaceName};

use super::memo::Memo;
use super::views::Views;
use crate::fanout::{Change, Layer, Set};
use crate::inputs::Generator;
use crate::resource::{Name, Resource};
use crate::view::View;

/// See the [module](self).
pub(super) struct Scope<G: Generator> {
    projection: G::Projection,
    common: Arc<Layer>,
    own: BTreeMap<NamespaceName, Arc<Layer>>,
    /// The layers as sets, one for all namespaces without a layer of their own.
    common_set: Arc<Set>,
    own_sets: BTreeMap<NamespaceName, Arc<Set>>,
}

impl<G: Generator> Scope<G> {
    /// Makes everything.
    pub(super) fn build(mesh: &Mesh, views: &Views, projection: &G::Projection, memo: &mut Memo) -> Self {
        let mut scope = Self {
            projection: projection.clone(),
            common: Arc::default(),
            own: BTreeMap::new(),
            common_set: Arc::default(),
            own_sets: BTreeMap::new(),
        };
        scope.rebuild(mesh, views, memo);
        scope
    }

    /// Makes everything again. What comes out equal keeps its identity.
    pub(super) fn rebuild(&mut self, mesh: &Mesh, views: &Views, memo: &mut Memo) {
        let mut names = G::names(mesh, &views.common, &self.projection);
        names.extend(self.common.iter().map(|entry| entry.name.clone()));
        self.remake_common(mesh, views, &names, memo);
        self.own.retain(|namespace, _| views.contains(namespace));
        for namespace in views.namespaces() {
            let mut names = self.concerned(mesh, views, namespace);
            names.extend(self.own.get(namespace).into_iter().flat_map(|own| own.iter()).map(|entry| entry.name.clone()));
            self.remake_own(mesh, views, namespace, &names, memo);
        }
        self.restack();
    }

    /// Follows the views from one state to the next, which differ in these hosts and perhaps in the namespaces they are kept for.
    pub(super) fn update(&mut self, mesh: &Mesh, before: &Views, after: &Views, hosts: &BTreeSet<Host>, memo: &mut Memo) {
        let mut touched = BTreeSet::new();
        for host in hosts {
            touched.extend(G::names_of_host(mesh, &before.common, &self.projection, host));
            touched.extend(G::names_of_host(mesh, &after.common, &self.projection, host));
        }
        self.remake_common(mesh, after, &touched, memo);
        self.own.retain(|namespace, _| after.contains(namespace));
        for namespace in after.namespaces() {
            let mut names = self.concerned(mesh, after, namespace);
            if before.contains(namespace) {
                let mut hers = touched.clone();
                for host in hosts {
                    hers.extend(G::names_of_host(mesh, before.of(namespace), &self.projection, host));
                    hers.extend(G::names_of_host(mesh, after.of(namespace), &self.projection, host));
                }
                names.extend(self.concerned(mesh, before, namespace));
                names.retain(|name| hers.contains(name));
            }
            self.remake_own(mesh, after, namespace, &names, memo);
        }
        self.restack();
    }

    /// What proxies of `namespace` get. As long as nothing changes it is the same `Arc`, for all namespaces that see the same.
    pub(super) fn set(&self, namespace: &NamespaceName) -> &Arc<Set> {
        self.own_sets.get(namespace).unwrap_or(&self.common_set)
    }

    fn restack(&mut self) {
        stack(&mut self.common_set, vec![self.common.clone()]);
        self.own_sets.retain(|namespace, _| self.own.contains_key(namespace));
        for (namespace, own) in &self.own {
            let set = self.own_sets.entry(namespace.clone()).or_default();
            stack(set, vec![self.common.clone(), own.clone()]);
        }
    }

    /// The names in which the hosts that mean something else in `namespace` have a part.
    fn concerned(&self, mesh: &Mesh, views: &Views, namespace: &NamespaceName) -> BTreeSet<Name> {
        let views_of = [&views.common, views.of(namespace)];
        let hosts = views.differing(namespace);
        hosts
            .flat_map(|host| views_of.map(|view| G::names_of_host(mesh, view, &self.projection, host)))
            .flatten()
            .collect()
    }

    fn remake_common(&mut self, mesh: &Mesh, views: &Views, names: &BTreeSet<Name>, memo: &mut Memo) {
        let changes: Vec<_> = names
            .iter()
            .filter_map(|name| {
                let made = make::<G>(mesh, &views.common, &self.projection, name, memo);
                let old = self.common.get(name.as_str()).and_then(|entry| entry.resource.as_ref());
                match (old, made) {
                    (Some(old), Some(new)) if old.version == new.version => None,
                    (None, None) => None,
                    (_, Some(new)) => Some((name.clone(), Change::Put(new))),
                    (Some(_), None) => Some((name.clone(), Change::Drop)),
                }
            })
            .collect();
        if !changes.is_empty() {
            self.common = Arc::new(self.common.with(changes));
        }
    }

    fn remake_own(&mut self, mesh: &Mesh, views: &Views, namespace: &NamespaceName, names: &BTreeSet<Name>, memo: &mut Memo) {
        if names.is_empty() {
            return;
        }
        let old = self.own.get(namespace).cloned().unwrap_or_default();
        let changes = names.iter().map(|name| {
            let own = make::<G>(mesh, views.of(namespace), &self.projection, name, memo);
            let common = self.common.get(name.as_str()).and_then(|entry| entry.resource.as_ref());
            let change = match (common, own) {
                (Some(common), Some(own)) if common.version == own.version => Change::Drop,
                (_, Some(own)) => Change::Put(own),
                (Some(_), None) => Change::Hide,
                (None, None) => Change::Drop,
            };
            (name.clone(), change)
        });
        let next = old.with(changes.collect::<Vec<_>>());
        if next.is_empty() {
            self.own.remove(namespace);
        } else if !old.changed(&next).is_empty() {
            self.own.insert(namespace.clone(), Arc::new(next));
        }
    }
}

/// Replaces `set` unless it consists of these very layers.
pub(super) fn stack(set: &mut Arc<Set>, layers: Vec<Arc<Layer>>) {
    let next = Set::new(layers);
    if !set.same(&next) {
        *set = Arc::new(next);
    }
}

fn make<G: Generator>(mesh: &Mesh, view: &View, projection: &G::Projection, name: &Name, memo: &mut Memo) -> Option<Arc<Resource>> {
    G::input(mesh, view, projection, name).map(|input| memo.resource(input))
}
