//! Who would get what else: changed resources, and the proxies that see the same changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_core::model::{NamespaceName, Proxy};
use serde_json::{Value, json};

use crate::json::any_to_json;
use crate::resource::{Name, Resource, ResourceType, Version};
use crate::snapshot::Snapshot;

/// What differs between two configurations of each of some proxies.
///
/// A load assignment differs when its own content does. One that is only sent again because its cluster has changed is none.
#[derive(Debug, Default)]
pub struct Differences {
    /// Every change, once for all who see it.
    changes: BTreeMap<Change, Held>,
    /// The proxies by what they see.
    groups: BTreeMap<Vec<Change>, Vec<Arc<Proxy>>>,
    /// What was found for a pair of snapshots, by their addresses.
    found: BTreeMap<(usize, usize), Vec<Change>>,
    /// The snapshots, so that no other takes the address of one meanwhile.
    kept: Vec<[Arc<Snapshot>; 2]>,
}

/// A resource in two versions; `None` where it is not there.
type Change = (ResourceType, Name, Option<Version>, Option<Version>);
type Held = [Option<Arc<Resource>>; 2];

impl Differences {
    /// Takes in what a proxy has, and what it would have.
    pub fn add(&mut self, proxy: &Arc<Proxy>, before: &Arc<Snapshot>, after: &Arc<Snapshot>) {
        let pair = (Arc::as_ptr(before).addr(), Arc::as_ptr(after).addr());
        if !self.found.contains_key(&pair) {
            let found = self.between(before, after);
            self.found.insert(pair, found);
            self.kept.push([Arc::clone(before), Arc::clone(after)]);
        }
        let seen = self.found.get(&pair).cloned().unwrap_or_default();
        self.groups.entry(seen).or_default().push(Arc::clone(proxy));
    }

    /// Whether nobody sees a change.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// For pages and tools: `changes` with both versions of each resource in Envoy's JSON, `groups` of proxies that see the same
    /// of them, by their places, and how many proxies there are at all.
    pub fn to_json(&self) -> Value {
        let changes: Vec<_> = self
            .changes
            .iter()
            .map(|((resource_type, name, ..), [before, after])| {
                json!({
                    "type": resource_type.short(),
                    "name": name.as_str(),
                    "before": before.as_deref().map(content),
                    "after": after.as_deref().map(content),
                })
            })
            .collect();
        let places: BTreeMap<_, _> = self.changes.keys().zip(0_usize..).collect();
        let concerned = self.groups.iter().filter(|(seen, _)| !seen.is_empty());
        let groups: Vec<_> = concerned
            .map(|(seen, proxies)| {
                let seen: Vec<_> = seen.iter().filter_map(|change| places.get(change)).collect();
                let mut names: Vec<_> = proxies.iter().map(|proxy| proxy.id.to_string()).collect();
                names.sort();
                let mut namespaces: BTreeMap<&NamespaceName, usize> = BTreeMap::new();
                for proxy in proxies {
                    *namespaces.entry(&proxy.namespace).or_default() += 1;
                }
                json!({ "count": names.len(), "namespaces": namespaces, "proxies": names, "changes": seen })
            })
            .collect();
        let connected: usize = self.groups.values().map(Vec::len).sum();
        json!({ "connected": connected, "changes": changes, "groups": groups })
    }

    fn between(&mut self, before: &Snapshot, after: &Snapshot) -> Vec<Change> {
        let mut found = Vec::new();
        for resource_type in ResourceType::ALL {
            let (old, new) = (before.set(resource_type), after.set(resource_type));
            for name in old.changed(new) {
                let held = [old, new].map(|set| set.get(name.as_str()).cloned());
                let [a, b] = &held;
                let version = |resource: &Option<Arc<Resource>>| Some(resource.as_ref()?.version);
                let change = (resource_type, name.clone(), version(a), version(b));
                self.changes.entry(change.clone()).or_insert(held);
                found.push(change);
            }
        }
        found
    }
}

fn content(resource: &Resource) -> Value {
    any_to_json(&resource.body).unwrap_or_else(|error| json!({ "error": error.to_string() }))
}
