//! `WorkloadEntry`: a workload that no platform declares. Also the form of a [`ServiceEntry`](super::ServiceEntry)'s endpoints.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::model::{ByName, Labels};
use crate::rules::at::At;

/// A workload by its address and labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkloadEntry {
    /// An IP address, a DNS name, or `unix://` followed by a path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The numbers that it listens on, by the names that the service's ports have.
    #[serde(skip_serializing_if = "ByName::is_empty")]
    pub ports: ByName<u32>,
    /// What selectors look at, together with the object's own labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The network that its address belongs to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// Where it runs, as `region/zone/subzone`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub locality: String,
    /// Share of the load; 0 is taken as 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub weight: u32,
    /// The account that it runs as; its identity is made from it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account: String,
}

impl Decode for WorkloadEntry {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            address: f.get("address"),
            ports: f.get("ports"),
            labels: f.get("labels"),
            network: f.get("network"),
            locality: f.get("locality"),
            weight: f.get("weight"),
            service_account: f.get("serviceAccount"),
        })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
