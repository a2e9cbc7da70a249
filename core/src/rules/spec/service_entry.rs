//! `ServiceEntry`: a service that no platform declares.

use serde::Serialize;
use serde_json::Value;

use super::{Decode, WorkloadEntry, object, one_of};
use crate::model::{Labels, Protocol};
use crate::rules::at::At;
use crate::rules::once::Once;

/// A service by its names, ports and endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServiceEntry {
    /// What clients call it: DNS names, optionally with a leading `*.`. Each becomes a service of its own.
    pub hosts: Vec<String>,
    /// Virtual addresses, or blocks of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Its ports.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// Whether it is part of the mesh.
    pub location: Location,
    /// How its endpoints are found.
    pub resolution: Resolution,
    /// Its endpoints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<WorkloadEntry>,
    /// The workloads that are its endpoints, instead of `endpoints`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<WorkloadSelector>,
    /// The namespaces that see it: `*`, `.` for its own, `~` for none, or names. Empty: the mesh's default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
    /// Names that its endpoints' certificates may bear.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// The number that clients connect to.
    pub number: u32,
    /// What is spoken, such as `HTTP`; empty where the proxy has to find out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// Its name, unique within the service.
    pub name: String,
    /// The number that endpoints listen on; 0: the same as `number`.
    #[serde(skip_serializing_if = "is_zero")]
    pub target_port: u32,
}

impl ServicePort {
    /// What is spoken: as declared, otherwise as the port's name and number say.
    pub fn spoken(&self) -> Protocol {
        let number = u16::try_from(self.number).unwrap_or_default();
        Protocol::parse(&self.protocol)
            .unwrap_or_else(|| Protocol::select(None, &self.name, number))
    }
}

/// Workloads by their labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkloadSelector {
    /// All of these are among the labels of a workload that is selected.
    pub labels: Labels,
}

/// Whether a service is part of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Location {
    /// It is outside.
    #[default]
    MeshExternal,
    /// It is part of it.
    MeshInternal,
}

/// How a proxy finds the endpoints of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolution {
    /// It forwards to the address that the client dialled.
    #[default]
    None,
    /// `endpoints` has their addresses.
    Static,
    /// It resolves the names of `endpoints`, or of the host, and uses all answers.
    Dns,
    /// It resolves one name and uses one answer at a time.
    DnsRoundRobin,
    /// It resolves the requested name, request by request.
    DynamicDns,
}

impl Decode for ServiceEntry {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let mut entry = object(value, at, |f| Self {
            hosts: f.get("hosts"),
            addresses: f.get("addresses"),
            ports: f.get("ports"),
            location: f.get("location"),
            resolution: f.get("resolution"),
            endpoints: f.get("endpoints"),
            workload_selector: f.get("workloadSelector"),
            export_to: f.get("exportTo"),
            subject_alt_names: f.get("subjectAltNames"),
        });
        share(&mut entry.endpoints);
        entry
    }
}

/// What several endpoints say alike is kept once.
fn share(endpoints: &mut [WorkloadEntry]) {
    let (mut ports, mut labels) = (Once::default(), Once::default());
    for endpoint in endpoints {
        ports.share(&mut endpoint.ports);
        labels.share(&mut endpoint.labels);
    }
}

impl Decode for ServicePort {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            number: f.get("number"),
            protocol: f.get("protocol"),
            name: f.get("name"),
            target_port: f.get("targetPort"),
        })
    }
}

impl Decode for WorkloadSelector {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            labels: f.get("labels"),
        })
    }
}

impl Decode for Location {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(
            value,
            at,
            &[
                ("MESH_EXTERNAL", 0, Self::MeshExternal),
                ("MESH_INTERNAL", 1, Self::MeshInternal),
            ],
        )
    }
}

impl Decode for Resolution {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(
            value,
            at,
            &[
                ("NONE", 0, Self::None),
                ("STATIC", 1, Self::Static),
                ("DNS", 2, Self::Dns),
                ("DNS_ROUND_ROBIN", 3, Self::DnsRoundRobin),
                ("DYNAMIC_DNS", 4, Self::DynamicDns),
            ],
        )
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
