//! Labels: ordered key-value pairs, shared by all who carry the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An immutable set of labels; cloning shares it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(Arc<BTreeMap<String, String>>);

impl Labels {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All pairs in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
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
        let mut joined = BTreeMap::clone(&under.0);
        joined.extend(
            self.0
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        Labels(Arc::new(joined))
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(Arc::new(map))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(Arc::new(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        ))
    }
}
