//! Routes of connections.

use serde::Serialize;
use serde_json::Value;

use super::Destination;
use crate::model::Labels;
use crate::rules::at::At;
use crate::rules::spec::{Decode, object};

/// What becomes of TLS connections of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TlsRoute {
    /// The connections that it is for: any of these.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<TlsMatch>,
    /// Where they go, in proportion to the weights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<L4Destination>,
}

/// TLS connections of one kind: everything that is said has to fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TlsMatch {
    /// The server names that clients ask for, wildcards among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sni_hosts: Vec<String>,
    /// The addresses that clients dialled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destination_subnets: Vec<String>,
    /// The port that clients dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    /// The client's labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub source_labels: Labels,
    /// Where it is in force, in place of what the rule as a whole says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// The client's namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_namespace: String,
}

/// What becomes of other connections of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TcpRoute {
    /// The connections that it is for: any of these. None: all.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<L4Match>,
    /// Where they go, in proportion to the weights.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<L4Destination>,
}

/// Connections of one kind: everything that is said has to fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct L4Match {
    /// The addresses that clients dialled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destination_subnets: Vec<String>,
    /// The port that clients dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    /// The client's labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub source_labels: Labels,
    /// Where it is in force, in place of what the rule as a whole says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// The client's namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_namespace: String,
}

/// Where some connections go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct L4Destination {
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// Their share, in proportion to all weights of the route.
    #[serde(skip_serializing_if = "super::http::is_zero")]
    pub weight: u32,
}

impl Decode for TlsRoute {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            matches: f.get("match"),
            route: f.get("route"),
        })
    }
}

impl Decode for TlsMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            sni_hosts: f.get("sniHosts"),
            destination_subnets: f.get("destinationSubnets"),
            port: f.get("port"),
            source_labels: f.get("sourceLabels"),
            gateways: f.get("gateways"),
            source_namespace: f.get("sourceNamespace"),
        })
    }
}

impl Decode for TcpRoute {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            matches: f.get("match"),
            route: f.get("route"),
        })
    }
}

impl Decode for L4Match {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| {
            f.without_effect(&["sourceSubnet"]);
            Self {
                destination_subnets: f.get("destinationSubnets"),
                port: f.get("port"),
                source_labels: f.get("sourceLabels"),
                gateways: f.get("gateways"),
                source_namespace: f.get("sourceNamespace"),
            }
        })
    }
}

impl Decode for L4Destination {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            destination: f.get("destination"),
            weight: f.get("weight"),
        })
    }
}
