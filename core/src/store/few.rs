//! A map that nearly always has one entry.

use std::collections::BTreeMap;
use std::mem;

/// A map in the order of its keys, of which there are thousands with one entry each: that one stands in place, where a
/// B-tree would make room for eleven.
#[derive(Debug, Clone)]
pub(super) enum Few<K, V> {
    One(Option<(K, V)>),
    Many(BTreeMap<K, V>),
}

impl<K: Ord, V> Few<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::One(one) => one
                .as_ref()
                .filter(|(known, _)| known == key)
                .map(|(_, value)| value),
            Self::Many(many) => many.get(key),
        }
    }

    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// What `key` had before.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self {
            Self::Many(many) => many.insert(key, value),
            Self::One(Some((known, old))) if *known == key => Some(mem::replace(old, value)),
            Self::One(None) => {
                *self = Self::One(Some((key, value)));
                None
            }
            Self::One(one) => {
                let mut many: BTreeMap<_, _> = one.take().into_iter().collect();
                many.insert(key, value);
                *self = Self::Many(many);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            Self::One(one) => one
                .take_if(|(known, _)| known == key)
                .map(|(_, value)| value),
            Self::Many(many) => {
                let gone = many.remove(key);
                if many.len() <= 1 {
                    *self = Self::One(many.pop_first());
                }
                gone
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (one, many) = match self {
            Self::One(one) => (one.as_ref(), None),
            Self::Many(many) => (None, Some(many)),
        };
        let one = one.map(|(key, value)| (key, value));
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(one) => usize::from(one.is_some()),
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self::One(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map(steps in prop::collection::vec((0u8..4, prop::option::of(0u8..9)), 0..30)) {
            let (mut few, mut map) = (Few::default(), BTreeMap::new());
            for (key, value) in steps {
                match value {
                    Some(value) => prop_assert_eq!(few.insert(key, value), map.insert(key, value)),
                    None => prop_assert_eq!(few.remove(&key), map.remove(&key)),
                }
                prop_assert!(few.iter().eq(&map));
                prop_assert!(few.keys().eq(map.keys()) && few.values().eq(map.values()));
                prop_assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
                prop_assert_eq!((few.get(&0), few.contains_key(&1)), (map.get(&0), map.contains_key(&1)));
                prop_assert_eq!(matches!(few, Few::Many(_)), map.len() > 1);
            }
        }
    }
}
