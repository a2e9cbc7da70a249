//! A map from names to values, for the many small ones that a mesh consists of.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An immutable map in the order of its names. It is as large as its content, an empty one allocates nothing, and cloning
/// shares it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByName<T>(Arc<[(Box<str>, T)]>);

impl<T> ByName<T> {
    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&T> {
        let found = self.0.binary_search_by(|(other, _)| (**other).cmp(name));
        found
            .ok()
            .and_then(|index| self.0.get(index))
            .map(|(_, value)| value)
    }

    /// All entries in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Of two values of one name the later counts.
impl<K: Into<Box<str>>, V: Into<T>, T> FromIterator<(K, V)> for ByName<T> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        let mut all: Vec<(Box<str>, T)> = entries
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        if all.is_empty() {
            return Self::default();
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                mem::swap(later, kept);
            }
            same
        });
        Self(all.into())
    }
}

impl<T: fmt::Debug> fmt::Debug for ByName<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<T: Serialize> Serialize for ByName<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByName<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<Box<str>, T>::deserialize(deserializer)?;
        Ok(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn by_name(entries: &[(&str, u32)]) -> ByName<u32> {
        entries.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn is_the_map_of_its_entries(entries in prop::collection::vec(("[a-c]{0,2}", 0u32..9), 0..8), name in "[a-c]{0,2}") {
            let map: BTreeMap<_, _> = entries.iter().cloned().collect();
            let own: ByName<u32> = entries.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            prop_assert_eq!(own.get(&name), map.get(&name));
            prop_assert_eq!((own.len(), own.is_empty()), (map.len(), map.is_empty()));
            let listed: BTreeMap<_, _> = own.iter().map(|(name, value)| (name.to_owned(), *value)).collect();
            prop_assert_eq!(&listed, &map);
            prop_assert_eq!(serde_json::to_value(&own).ok(), serde_json::to_value(&map).ok());
            prop_assert_eq!(format!("{own:?}"), format!("{map:?}"));
        }
    }

    #[test]
    fn equal_content_is_equal_whatever_its_order_was() {
        assert_eq!(
            by_name(&[("b", 2), ("a", 1)]),
            by_name(&[("a", 9), ("a", 1), ("b", 2)])
        );
        assert_ne!(by_name(&[("a", 1)]), by_name(&[("a", 2)]));
        assert!(by_name(&[("a", 1), ("b", 0)]) < by_name(&[("a", 1), ("c", 0)]));
    }

    #[test]
    fn is_read_as_an_object() {
        let read: Option<ByName<u32>> = serde_json::from_value(json!({"b": 2, "a": 1})).ok();
        assert_eq!(read, Some(by_name(&[("a", 1), ("b", 2)])));
    }
}
