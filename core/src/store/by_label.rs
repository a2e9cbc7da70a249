//! Things by namespace and label, so that a selector or a set of labels finds its counterparts without looking at all.

use std::collections::{BTreeMap, BTreeSet};

use super::few::Few;
use crate::model::{Labels, NamespaceName};

/// Things that are filed under labels of a namespace.
#[derive(Debug)]
pub(super) struct ByLabel<T> {
    namespaces: BTreeMap<NamespaceName, Namespace<T>>,
}

#[derive(Debug)]
struct Namespace<T> {
    /// Under no label.
    bare: BTreeSet<T>,
    labelled: BTreeMap<String, BTreeMap<String, Few<T, ()>>>,
}

impl<T: Ord + Clone> ByLabel<T> {
    /// Files a thing under each of these labels, and where all are to be found together.
    pub(super) fn insert(&mut self, namespace: &NamespaceName, labels: Filed<'_>, thing: &T) {
        let names = self.namespaces.entry(namespace.clone()).or_default();
        if labels.bare() {
            names.bare.insert(thing.clone());
        }
        labels.each(|key, value| {
            if let Some(things) = names
                .labelled
                .get_mut(key)
                .and_then(|values| values.get_mut(value))
            {
                things.insert(thing.clone(), ());
                return;
            }
            let values = names.labelled.entry(key.to_owned()).or_default();
            values
                .entry(value.to_owned())
                .or_default()
                .insert(thing.clone(), ());
        });
    }

    /// Takes a thing out from where [`insert`](Self::insert) has put it with the same labels.
    pub(super) fn remove(&mut self, namespace: &NamespaceName, labels: Filed<'_>, thing: &T) {
        let Some(names) = self.namespaces.get_mut(namespace) else {
            return;
        };
        if labels.bare() {
            names.bare.remove(thing);
        }
        labels.each(|key, value| {
            let Some(values) = names.labelled.get_mut(key) else {
                return;
            };
            if let Some(things) = values.get_mut(value) {
                things.remove(thing);
                if things.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                names.labelled.remove(key);
            }
        });
        if names.bare.is_empty() && names.labelled.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// What is filed under none of the labels of the namespace.
    pub(super) fn bare(&self, namespace: &NamespaceName) -> impl Iterator<Item = &T> {
        self.namespaces
            .get(namespace)
            .into_iter()
            .flat_map(|names| &names.bare)
    }

    /// What is filed under this label.
    pub(super) fn labelled(
        &self,
        namespace: &NamespaceName,
        key: &str,
        value: &str,
    ) -> impl Iterator<Item = &T> {
        let names = self.namespaces.get(namespace);
        names
            .and_then(|names| names.labelled.get(key)?.get(value))
            .into_iter()
            .flat_map(Few::keys)
    }
}

/// Where a thing is filed.
#[derive(Clone, Copy)]
pub(super) enum Filed<'a> {
    /// A workload: under every label it has, and bare, where an empty selector finds it.
    Workload(&'a Labels),
    /// A selector: under its first label alone, for who is selected has that one, too; bare if it is empty.
    Selector(&'a Labels),
}

impl Filed<'_> {
    fn bare(self) -> bool {
        match self {
            Self::Workload(_) => true,
            Self::Selector(labels) => labels.is_empty(),
        }
    }

    fn each(self, f: impl FnMut(&str, &str)) {
        let mut f = f;
        match self {
            Self::Workload(labels) => labels.iter().for_each(|(key, value)| f(key, value)),
            Self::Selector(labels) => labels.iter().take(1).for_each(|(key, value)| f(key, value)),
        }
    }
}

impl<T> Default for ByLabel<T> {
    fn default() -> Self {
        Self {
            namespaces: BTreeMap::new(),
        }
    }
}

impl<T> Default for Namespace<T> {
    fn default() -> Self {
        Self {
            bare: BTreeSet::new(),
            labelled: BTreeMap::new(),
        }
    }
}
