//! Labels: ordered key-value pairs, shared by all who carry the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ByName;

/// An immutable set of labels; cloning shares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(ByName<Box<str>>);

impl Labels {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|value| &**value)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All pairs in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key, &**value))
    }

    /// Whether every pair of `selector` is among these. An empty selector selects everything.
    pub fn selected_by(&self, selector: &Labels) -> bool {
        selector
            .iter()
            .all(|(key, value)| self.get(key) == Some(value))
    }

    /// These labels, with those of `under` where a key is missing here.
    pub fn over(&self, under: &Labels) -> Labels {
        if under.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return under.clone();
        }
        under.iter().chain(self.iter()).collect()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        map.into_iter().collect()
    }
}

impl<K: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}
