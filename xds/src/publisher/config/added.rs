//! Clusters and listeners that patches add: layers of their own, beneath everything that is there without them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::rules::resolve::envoy_filter::Patch;

use super::{Config, Sets};
use crate::fanout::Layer;
use crate::patch::{Outcomes, Patches};
use crate::resource::{Resource, ResourceType};
use crate::selection::Selection;

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
        let all = selections.iter().flat_map(|selection| selection.patches());
        self.memo
            .retain_patches(all.flat_map(Patches::iter).cloned().collect());
        let wanted: BTreeSet<_> = selections
            .iter()
            .filter_map(|selection| selection.added())
            .filter(|added| !added.is_empty())
            .collect();
        self.added.retain(|patches, _| wanted.contains(patches));
        for patches in wanted {
            if !self.added.contains_key(patches) {
                let layers = Layers::new(self.memo.added(patches));
                self.added.insert(patches.clone(), layers);
            }
        }
        let hidden = selections
            .iter()
            .flat_map(|selection| self.hidden(selection));
        let hidden: BTreeSet<Arc<Patch>> = hidden.collect();
        self.memo.outcomes_mut().hidden(hidden);
    }

    /// The patches of a proxy that add something of whose name there is something else.
    fn hidden(&self, selection: &Arc<Selection>) -> Vec<Arc<Patch>> {
        let added = selection.added().and_then(|added| self.added.get(added));
        let Some(added) = added else {
            return Vec::new();
        };
        let mut sets = Sets::default();
        self.restack(selection, &mut sets);
        let is_hidden = |of: ResourceType, made: &Arc<Resource>| {
            let set = match of {
                ResourceType::Cluster => &sets.clusters,
                _ => &sets.listeners,
            };
            let there = set.get(made.name.as_str());
            there.is_some_and(|there| !Arc::ptr_eq(there, made))
        };
        let made = added.made.iter();
        made.filter(|(_, of, made)| is_hidden(*of, made))
            .map(|(patch, ..)| patch.clone())
            .collect()
    }
}
