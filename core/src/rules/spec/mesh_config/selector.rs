//! Selectors of labels as Kubernetes has them.

use serde_json::Value;

use crate::model::Labels;
use crate::rules::at::At;
use crate::rules::spec::{Decode, object};

/// What labels must be like: all of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    /// Labels that must be there with these values.
    pub match_labels: Labels,
    /// Further requirements.
    pub match_expressions: Vec<LabelRequirement>,
}

/// What one label must be like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelRequirement {
    /// Its key.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values that the first two compare with.
    pub values: Vec<String>,
}

impl Decode for LabelSelector {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            match_labels: f.get("matchLabels"),
            match_expressions: f.get("matchExpressions"),
        })
    }
}

impl Decode for LabelRequirement {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            key: f.get("key"),
            operator: f.get("operator"),
            values: f.get("values"),
        })
    }
}
