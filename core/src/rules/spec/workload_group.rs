//! `WorkloadGroup`: what workloads of a kind have in common, for those who register them.

mod probe;

use serde::Serialize;
use serde_json::Value;

use super::{Decode, Location, WorkloadEntry, object};
use crate::model::Labels;
use crate::rules::at::At;

pub use probe::{ExecProbe, GrpcProbe, HttpHeader, HttpProbe, Probe, TcpProbe};

/// What workloads of a kind have in common. It declares no workload itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkloadGroup {
    /// What the objects of its workloads bear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<GroupMeta>,
    /// What their entries begin with; whoever registers adds the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<WorkloadEntry>,
    /// How a workload's own agent finds out whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// Whether its workloads are part of the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// Labels and annotations of the objects of a group's workloads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupMeta {
    /// Their labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Their annotations.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
}

impl Decode for WorkloadGroup {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            metadata: f.get("metadata"),
            template: f.get("template"),
            probe: f.get("probe"),
            location: f.get("location"),
        })
    }
}

impl Decode for GroupMeta {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            labels: f.get("labels"),
            annotations: f.get("annotations"),
        })
    }
}
