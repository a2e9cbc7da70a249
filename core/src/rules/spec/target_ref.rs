//! What a policy is attached to, as Kubernetes' Gateway API writes it.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::rules::at::At;

/// An object that a policy is attached to, instead of selecting workloads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TargetRef {
    /// The group of its kind; empty for Kubernetes' own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// What it is.
    pub kind: String,
    /// What it is called.
    pub name: String,
    /// Where it is; empty for the policy's own namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl Decode for TargetRef {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            group: f.get("group"),
            kind: f.get("kind"),
            name: f.get("name"),
            namespace: f.get("namespace"),
        })
    }
}
