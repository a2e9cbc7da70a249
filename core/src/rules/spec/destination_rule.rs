//! `DestinationRule`: how clients deal with a service once they have chosen it, and the subsets of it.

mod connection;
mod load_balancer;
mod outlier;
mod tls;

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::model::Labels;
use crate::rules::at::At;

pub use connection::{
    ConnectionPool, H2Upgrade, HttpSettings, ProxyProtocol, ProxyProtocolVersion, RetryBudget,
    TcpKeepalive, TcpSettings, Tunnel,
};
pub use load_balancer::{
    ConsistentHash, Distribute, Failover, HttpCookie, LoadBalancer, LocalityLb, Maglev, RingHash,
    SimpleLb, Warmup,
};
pub use outlier::OutlierDetection;
pub use tls::{ClientTls, TlsMode};

/// What clients of a host do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DestinationRule {
    /// The service, or a wildcard for several.
    pub host: String,
    /// What holds for the whole service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<TrafficPolicy>,
    /// Named parts of the service's endpoints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subsets: Vec<Subset>,
    /// The namespaces that see it. Empty: the mesh's default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
    /// The clients that it is for; all where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<MatchLabels>,
}

/// Workloads by their labels, as younger kinds write it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MatchLabels {
    /// All of these are among the labels of a workload that is selected.
    pub match_labels: Labels,
}

/// A part of a service's endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    /// What routes call it.
    pub name: String,
    /// The endpoints that have all of these labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// What holds for it in place of the whole service's, block by block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<TrafficPolicy>,
}

/// How endpoints are chosen and connections to them are made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicy {
    /// How an endpoint is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// How many connections and requests there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
    /// When an endpoint is left out for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// How TLS is begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
    /// What holds for single ports, in place of everything above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub port_level_settings: Vec<PortPolicy>,
    /// That connections go through an HTTP proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// That connections begin with a PROXY header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How many of all requests may be retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudget>,
}

/// What holds for one port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PortPolicy {
    /// Which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<PortSelector>,
    /// How an endpoint is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// How many connections and requests there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
    /// When an endpoint is left out for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// How TLS is begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

/// A port of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PortSelector {
    /// Its number.
    pub number: u32,
}

impl Decode for DestinationRule {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            host: f.get("host"),
            traffic_policy: f.get("trafficPolicy"),
            subsets: f.get("subsets"),
            export_to: f.get("exportTo"),
            workload_selector: f.get("workloadSelector"),
        })
    }
}

impl Decode for MatchLabels {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            match_labels: f.get("matchLabels"),
        })
    }
}

impl Decode for Subset {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            labels: f.get("labels"),
            traffic_policy: f.get("trafficPolicy"),
        })
    }
}

impl Decode for TrafficPolicy {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            load_balancer: f.get("loadBalancer"),
            connection_pool: f.get("connectionPool"),
            outlier_detection: f.get("outlierDetection"),
            tls: f.get("tls"),
            port_level_settings: f.get("portLevelSettings"),
            tunnel: f.get("tunnel"),
            proxy_protocol: f.get("proxyProtocol"),
            retry_budget: f.get("retryBudget"),
        })
    }
}

impl Decode for PortPolicy {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            port: f.get("port"),
            load_balancer: f.get("loadBalancer"),
            connection_pool: f.get("connectionPool"),
            outlier_detection: f.get("outlierDetection"),
            tls: f.get("tls"),
        })
    }
}

impl Decode for PortSelector {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            number: f.get("number"),
        })
    }
}
