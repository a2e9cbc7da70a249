//! Clusters and listeners that patches add: layers of their own, beneath everything that is there without them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::rules::resolve::envoy_filter::Patch;

use super::Config;
use crate::fanout::{Layer, Set};
use crate::patch::{Outcomes, Patches};
use crate::resource::{Resource, ResourceType};
use crate::selection::{ForEnvoy, Selection};
use crate::view::ViewKey;

/// What patches add, by all patches of a proxy that add something.
pub(super) type Added = BTreeMap<Patches, Layers>;

/// What is added.
pub(super) struct Layers {
    made: Vec<(Arc<Patch>, ResourceType, Arc<Resource>)>,
    pub(super) clusters: Arc<Layer>,
    pub(super) listeners: Arc<Layer>,
}

impl Layers {
    fn new(made: Vec<(Arc<Patch>, ResourceType, Arc<Resource>)>) -> Self {
        let layer = |wanted: ResourceType| {
            let those = made.iter().filter(|(_, of, _)| *of == wanted);
            Arc::new(Layer::new(those.map(|(.., made)| made.clone())))
        };
        Self {
            clusters: layer(ResourceType::Cluster),
            listeners: layer(ResourceType::Listener),
            made,
        }
    }
}

impl Config {
    /// What has become of the patches of all selections.
    pub(in super::super) fn patch_outcomes(&self) -> &Outcomes {
        self.memo.outcomes()
    }

    /// Makes what the patches of these selections add, and forgets other patches.
    pub(super) fn follow_patches(&mut self, selections: &BTreeSet<Arc<Selection>>) {
        let envoys = || {
            let all = selections.iter();
            all.filter_map(|selection| Some((&selection.view, selection.envoy()?)))
        };
        let patches: BTreeSet<&Arc<Patch>> = envoys()
            .flat_map(|(_, envoy)| envoy.patches())
            .flat_map(Patches::iter)
            .collect();
        self.memo.retain_patches(&patches);
        let wanted: BTreeSet<_> = envoys()
            .map(|(_, envoy)| &envoy.added)
            .filter(|added| !added.is_empty())
            .collect();
        self.added.retain(|patches, _| wanted.contains(patches));
        for patches in wanted {
            if !self.added.contains_key(patches) {
                let layers = Layers::new(self.memo.added(patches));
                self.added.insert(patches.clone(), layers);
            }
        }
        let hidden = envoys().flat_map(|(key, envoy)| self.hidden(key, envoy));
        let hidden: BTreeSet<Arc<Patch>> = hidden.collect();
        self.memo.outcomes_mut().hidden(hidden);
    }

    /// The patches of a proxy that add something of whose name there is something else.
    fn hidden(&self, key: &ViewKey, envoy: &ForEnvoy) -> Vec<Arc<Patch>> {
        let Some(added) = self.added.get(&envoy.added) else {
            return Vec::new();
        };
        let (clusters, listeners) = (
            self.clusters.get(&envoy.clusters),
            self.listeners.get(&envoy.listeners),
        );
        let clusters = clusters.map(|scope| scope.set(key));
        let listeners = listeners.map(|scope| scope.set(key));
        let own = self.own.get(&envoy.own);
        let is_there = |of: ResourceType, name: &str| {
            let (shared, own) = match of {
                ResourceType::Cluster => (clusters, own.map(|own| &own.0)),
                _ => (listeners, own.map(|own| &own.1)),
            };
            has(shared, name) || own.is_some_and(|own| own.get(name).is_some())
        };
        let made = added.made.iter();
        made.filter(|(_, of, made)| is_there(*of, made.name.as_str()))
            .map(|(patch, ..)| patch.clone())
            .collect()
    }
}

fn has(set: Option<&Arc<Set>>, name: &str) -> bool {
    set.is_some_and(|set| set.get(name).is_some())
}
