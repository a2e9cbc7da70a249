//! A set: the layers that one kind of proxy gets of one type of resource.

use std::sync::Arc;

use super::layer::{Entry, Layer};
use crate::resource::{Name, Resource};

/// Ordered layers; a later one replaces or hides names of the earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Set {
    layers: Vec<Arc<Layer>>,
}

impl Set {
    /// A set of these layers, the most general first.
    pub fn new(layers: Vec<Arc<Layer>>) -> Self {
        Self { layers }
    }

    /// Its layers.
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// The resource of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Resource>> {
        self.layers
            .iter()
            .rev()
            .find_map(|layer| layer.get(name))
            .and_then(|entry| entry.resource.as_ref())
    }

    /// All resources in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let mut heads: Vec<_> = self
            .layers
            .iter()
            .map(|layer| layer.iter().peekable())
            .collect();
        std::iter::from_fn(move || {
            loop {
                let name = heads
                    .iter_mut()
                    .filter_map(|head| head.peek().map(|entry| &entry.name))
                    .min()?;
                let mut top: Option<&Entry> = None;
                for head in &mut heads {
                    if let Some(entry) = head.next_if(|entry| entry.name == *name) {
                        top = Some(entry);
                    }
                }
                if let Some(resource) = top.and_then(|entry| entry.resource.as_ref()) {
                    return Some(resource);
                }
            }
        })
    }

    /// Whether both consist of the same layers.
    pub fn same(&self, other: &Set) -> bool {
        self.layers.len() == other.layers.len()
            && self
                .layers
                .iter()
                .zip(&other.layers)
                .all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// The names that this set and `other` have in different versions, or that only one of them has; sorted.
    pub fn changed<'a>(&'a self, other: &'a Set) -> Vec<&'a Name> {
        let empty = Layer::default();
        let mut names: Vec<Name> = Vec::new();
        for i in 0..self.layers.len().max(other.layers.len()) {
            let (a, b) = (
                self.layers.get(i).map_or(&empty, |l| l),
                other.layers.get(i).map_or(&empty, |l| l),
            );
            names.extend(a.changed(b).into_iter().cloned());
        }
        names.sort();
        names.dedup();
        names
            .iter()
            .filter_map(
                |name| match (self.get(name.as_str()), other.get(name.as_str())) {
                    (Some(a), Some(b)) if Arc::ptr_eq(a, b) || a.version == b.version => None,
                    (Some(a), _) => Some(&a.name),
                    (None, Some(b)) => Some(&b.name),
                    (None, None) => None,
                },
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::layer::tests::resource;
    use super::super::layer::{Change, Layer};
    use super::*;

    fn names(set: &Set) -> Vec<(String, u64)> {
        set.iter()
            .map(|r| (r.name.to_string(), r.version.0))
            .collect()
    }

    #[test]
    fn later_layers_replace_and_hide() {
        let base = Arc::new(Layer::new([
            resource("a", 1),
            resource("b", 1),
            resource("c", 1),
        ]));
        let over = Arc::new(Layer::default().with([
            ("b".into(), Change::Put(resource("b", 2))),
            ("c".into(), Change::Hide),
            ("d".into(), Change::Put(resource("d", 1))),
        ]));
        let set = Set::new(vec![base.clone(), over]);
        assert_eq!(
            names(&set),
            [("a".into(), 1), ("b".into(), 2), ("d".into(), 1)]
        );
        assert!(set.get("c").is_none());
        let plain = Set::new(vec![base]);
        let changed: Vec<_> = plain.changed(&set).into_iter().map(Name::as_str).collect();
        assert_eq!(changed, ["b", "c", "d"]);
        assert!(set.changed(&set).is_empty());
    }

    #[test]
    fn what_is_hidden_on_both_sides_did_not_change() {
        let hide = Arc::new(Layer::default().with([("a".into(), Change::Hide)]));
        let one = Set::new(vec![Arc::new(Layer::new([resource("a", 1)])), hide.clone()]);
        let two = Set::new(vec![Arc::new(Layer::new([resource("a", 2)])), hide]);
        assert!(one.changed(&two).is_empty());
    }
}
