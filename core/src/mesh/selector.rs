//! Selectors of labels: which namespaces are read.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::model::Labels;

/// What labels must be like: every requirement must hold. Without any it selects everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(transparent)]
pub struct LabelSelector(pub Vec<LabelRequirement>);

/// What one label must be like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum LabelRequirement {
    /// It is there, with one of these values.
    In {
        /// Its key.
        key: Arc<str>,
        /// The values.
        values: BTreeSet<Arc<str>>,
    },
    /// It is not there, or has none of these values.
    NotIn {
        /// Its key.
        key: Arc<str>,
        /// The values.
        values: BTreeSet<Arc<str>>,
    },
    /// It is there.
    Exists {
        /// Its key.
        key: Arc<str>,
    },
    /// It is not there.
    Missing {
        /// Its key.
        key: Arc<str>,
    },
}

impl LabelSelector {
    /// Whether these labels are like that.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl LabelRequirement {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Self::In { key, values } => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn { key, values } => {
                labels.get(key).is_none_or(|value| !values.contains(value))
            }
            Self::Exists { key } => labels.get(key).is_some(),
            Self::Missing { key } => labels.get(key).is_none(),
        }
    }
}
