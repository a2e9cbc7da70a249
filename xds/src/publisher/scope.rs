//! A scope: what one generator makes for all proxies with an equal projection, as layers that follow the mesh.
//!
//! The first layer holds what the common view gives and is shared by all namespaces. A namespace that sees other services
//! than that gets a second layer with just the names that come out differently. Where a `Sidecar` limits what is seen, there is
//! one layer alone with just that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::model::Host;

use super::memo::Memo;
use super::views::Seen;
use crate::fanout::{Change, Layer, Set};
use crate::inputs::{Generator, Lost};
use crate::resource::{Name, Resource};
use crate::view::{View, ViewKey};

/// See the [module](self).
pub(super) struct Scope<G: Generator> {
    projection: G::Projection,
    common: Arc<Layer>,
    own: BTreeMap<ViewKey, Arc<Layer>>,
    /// The layers as sets, one for all namespaces without a layer of their own.
    common_set: Arc<Set>,
    own_sets: BTreeMap<ViewKey, Arc<Set>>,
    lost: Losses,
    /// What of it a view has otherwise than the common one.
    own_lost: BTreeMap<ViewKey, Losses>,
    lost_changed: bool,
}

/// Who lost what they claim of which name; only names that are competed for.
type Losses = BTreeMap<Name, Vec<Lost>>;

impl<G: Generator> Scope<G> {
    /// Makes everything.
    pub(super) fn build(seen: Seen<'_>, projection: &G::Projection, memo: &mut Memo) -> Self {
        let mut scope = Self {
            projection: projection.clone(),
            common: Arc::default(),
            own: BTreeMap::new(),
            common_set: Arc::default(),
            own_sets: BTreeMap::new(),
            lost: Losses::new(),
            own_lost: BTreeMap::new(),
            lost_changed: true,
        };
        scope.rebuild(seen, memo);
        scope
    }

    /// Makes everything again. What comes out equal keeps its identity.
    pub(super) fn rebuild(&mut self, seen: Seen<'_>, memo: &mut Memo) {
        let mut names = G::names(seen.mesh, &seen.views.common, &self.projection);
        names.extend(self.common.iter().map(|entry| entry.name.clone()));
        names.extend(self.lost.keys().cloned());
        self.remake_common(seen, &names, memo);
        self.retain(seen);
        for key in seen.views.keys() {
            let mut names = self.concerned(seen, key);
            let known = self.own.get(key).into_iter().flat_map(|own| own.iter());
            names.extend(known.map(|entry| entry.name.clone()));
            names.extend(
                self.own_lost
                    .get(key)
                    .into_iter()
                    .flat_map(|lost| lost.keys())
                    .cloned(),
            );
            self.remake_own(seen, key, &names, memo);
        }
        self.restack();
    }

    /// Follows from one state to the next, which differ in these hosts and perhaps in the namespaces that are watched.
    pub(super) fn update(
        &mut self,
        before: Seen<'_>,
        after: Seen<'_>,
        hosts: &BTreeSet<Host>,
        memo: &mut Memo,
    ) {
        let mut touched = self.names_of(before, &before.views.common, hosts);
        touched.append(&mut self.names_of(after, &after.views.common, hosts));
        self.remake_common(after, &touched, memo);
        self.retain(after);
        for key in after.views.keys() {
            let known = before.views.contains(key);
            let mut names = if key.egress.is_some() && known {
                BTreeSet::new()
            } else {
                self.concerned(after, key)
            };
            if known {
                let mut hers = self.names_of(before, before.views.of(key), hosts);
                hers.append(&mut self.names_of(after, after.views.of(key), hosts));
                if key.egress.is_some() {
                    names = hers;
                } else {
                    hers.extend(touched.iter().cloned());
                    names.append(&mut self.concerned(before, key));
                    names.retain(|name| hers.contains(name));
                }
            }
            self.remake_own(after, key, &names, memo);
        }
        self.restack();
    }

    /// What proxies with this view get. As long as nothing changes it is the same `Arc`, for all namespaces that see the same.
    pub(super) fn set(&self, key: &ViewKey) -> &Arc<Set> {
        self.own_sets.get(key).unwrap_or(&self.common_set)
    }

    /// Who lost what they claim of which name, in any view.
    pub(super) fn lost(&self) -> impl Iterator<Item = (&Name, &Lost)> {
        let all = std::iter::once(&self.lost).chain(self.own_lost.values());
        all.flatten()
            .flat_map(|(name, lost)| lost.iter().map(move |lost| (name, lost)))
    }

    /// Whether [`Scope::lost`] may have changed since this was asked last.
    pub(super) fn take_lost_changed(&mut self) -> bool {
        std::mem::take(&mut self.lost_changed)
    }

    /// Drops what was made for views that are not there any more.
    fn retain(&mut self, seen: Seen<'_>) {
        self.own.retain(|key, _| seen.views.contains(key));
        let before = self.own_lost.len();
        self.own_lost.retain(|key, _| seen.views.contains(key));
        self.lost_changed |= self.own_lost.len() != before;
    }

    fn restack(&mut self) {
        stack(&mut self.common_set, vec![self.common.clone()]);
        self.own_sets.retain(|key, _| self.own.contains_key(key));
        for (key, own) in &self.own {
            let set = self.own_sets.entry(key.clone()).or_default();
            match key.egress {
                Some(_) => stack(set, vec![own.clone()]),
                None => stack(set, vec![self.common.clone(), own.clone()]),
            }
        }
    }

    /// The names in which the hosts that mean something else with `key` have a part; all that a limited view has.
    fn concerned(&self, seen: Seen<'_>, key: &ViewKey) -> BTreeSet<Name> {
        let own = seen.views.of(key);
        if key.egress.is_some() {
            return G::names(seen.mesh, own, &self.projection);
        }
        let differing = || seen.views.differing(key);
        let mut names = self.names_of(seen, &seen.views.common, differing());
        names.append(&mut self.names_of(seen, own, differing()));
        names
    }

    fn names_of<'a>(
        &self,
        seen: Seen<'_>,
        view: &View,
        hosts: impl IntoIterator<Item = &'a Host>,
    ) -> BTreeSet<Name> {
        hosts
            .into_iter()
            .flat_map(|host| G::names_of_host(seen.mesh, view, &self.projection, host))
            .collect()
    }

    fn remake_common(&mut self, seen: Seen<'_>, names: &BTreeSet<Name>, memo: &mut Memo) {
        let changes: Vec<_> = names
            .iter()
            .filter_map(|name| {
                let made = self.make(seen, &seen.views.common, name, memo);
                let old = self
                    .common
                    .get(name.as_str())
                    .and_then(|entry| entry.resource.as_ref());
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
        for name in names {
            let lost = G::lost(seen.mesh, &seen.views.common, &self.projection, name);
            self.lost_changed |= note(&mut self.lost, name, lost);
        }
    }

    fn remake_own(
        &mut self,
        seen: Seen<'_>,
        key: &ViewKey,
        names: &BTreeSet<Name>,
        memo: &mut Memo,
    ) {
        let limited = key.egress.is_some();
        if names.is_empty() && (!limited || self.own.contains_key(key)) {
            return;
        }
        let view = seen.views.of(key);
        let old = self.own.get(key).cloned().unwrap_or_default();
        let changes = names.iter().map(|name| {
            let own = self.make(seen, view, name, memo);
            let common = self
                .common
                .get(name.as_str())
                .filter(|_| !limited)
                .and_then(|entry| entry.resource.as_ref());
            let change = match (common, own) {
                (Some(common), Some(own)) if common.version == own.version => Change::Drop,
                (_, Some(own)) => Change::Put(own),
                (Some(_), None) => Change::Hide,
                (None, None) => Change::Drop,
            };
            (name.clone(), change)
        });
        let next = old.with(changes.collect::<Vec<_>>());
        if next.is_empty() && !limited {
            self.own.remove(key);
        } else if !old.changed(&next).is_empty() || !self.own.contains_key(key) {
            self.own.insert(key.clone(), Arc::new(next));
        }
        let mut losses = self.own_lost.remove(key).unwrap_or_default();
        for name in names {
            let mut lost = G::lost(seen.mesh, view, &self.projection, name);
            if !limited && self.lost.get(name) == Some(&lost) {
                lost.clear();
            }
            self.lost_changed |= note(&mut losses, name, lost);
        }
        if !losses.is_empty() {
            self.own_lost.insert(key.clone(), losses);
        }
    }

    fn make(
        &self,
        seen: Seen<'_>,
        view: &View,
        name: &Name,
        memo: &mut Memo,
    ) -> Option<Arc<Resource>> {
        let input = G::input(seen.mesh, view, &self.projection, name)?;
        match G::patches(&self.projection) {
            Some(patches) if !patches.is_empty() => {
                memo.patched(input, &patches.concerning(G::TYPE, name))
            }
            _ => Some(memo.resource(input)),
        }
    }
}

/// Replaces what is noted of a name. Returns whether it differs.
fn note(losses: &mut Losses, name: &Name, lost: Vec<Lost>) -> bool {
    if losses.get(name).map_or(&[][..], |known| known) == lost {
        return false;
    }
    if lost.is_empty() {
        losses.remove(name);
    } else {
        losses.insert(name.clone(), lost);
    }
    true
}

/// Replaces `set` unless it consists of these very layers.
pub(super) fn stack(set: &mut Arc<Set>, layers: Vec<Arc<Layer>>) {
    let next = Set::new(layers);
    if !set.same(&next) {
        *set = Arc::new(next);
    }
}
