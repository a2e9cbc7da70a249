//! `PeerAuthentication`: what workloads demand of their clients' connections.

use serde::Serialize;
use serde_json::Value;

use super::destination_rule::MatchLabels;
use super::{Decode, object, one_of};
use crate::model::ByName;
use crate::rules::at::At;

/// What workloads demand of their clients' connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PeerAuthentication {
    /// The workloads that it is for; all of the namespace where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<MatchLabels>,
    /// What they demand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls: Option<MutualTls>,
    /// What they demand on single ports of theirs.
    #[serde(skip_serializing_if = "ByName::is_empty")]
    pub port_level_mtls: ByName<MutualTls>,
}

/// Whether clients have to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MutualTls {
    /// Whether, and how.
    pub mode: MtlsMode,
}

/// Whether clients have to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MtlsMode {
    /// As what is above it says.
    #[default]
    Unset,
    /// They cannot: connections are plaintext.
    Disable,
    /// They may.
    Permissive,
    /// They must.
    Strict,
}

impl Decode for PeerAuthentication {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            selector: f.get("selector"),
            mtls: f.get("mtls"),
            port_level_mtls: f.get("portLevelMtls"),
        })
    }
}

impl Decode for MutualTls {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            mode: f.get("mode"),
        })
    }
}

impl Decode for MtlsMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("UNSET", 0, Self::Unset),
            ("DISABLE", 1, Self::Disable),
            ("PERMISSIVE", 2, Self::Permissive),
            ("STRICT", 3, Self::Strict),
        ];
        one_of(value, at, &all)
    }
}
