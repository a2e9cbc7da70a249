//! `Sidecar`: what a sidecar's clients reach, and how it is reached itself.

use serde::Serialize;
use serde_json::Value;

use super::destination_rule::ConnectionPool;
use super::gateway::{ServerPort, ServerTls};
use super::{Decode, WorkloadSelector, object, one_of};
use crate::rules::at::At;

/// What a sidecar's clients reach, and how it is reached itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// The workloads that it is for; all of the namespace where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<WorkloadSelector>,
    /// What is listened on for others, in place of the ports of the workload's services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<IngressListener>,
    /// What clients reach; everything where it is empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<EgressListener>,
    /// How many connections and requests the workload gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_connection_pool: Option<ConnectionPool>,
    /// Outbound traffic that no service claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_traffic_policy: Option<OutboundPolicy>,
}

/// A port that is listened on for others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct IngressListener {
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<ServerPort>,
    /// The address; all of the workload's where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bind: String,
    /// How connections get there.
    pub capture_mode: CaptureMode,
    /// Where the workload listens: `127.0.0.1:PORT`, `0.0.0.0:PORT`, `[::1]:PORT`, `[::]:PORT`, `unix://PATH`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub default_endpoint: String,
    /// The TLS that the sidecar ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// How many connections and requests the workload gets here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
}

/// What clients reach, on one port or on all others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EgressListener {
    /// The port; all that have no listener of their own where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<ServerPort>,
    /// The address, or `unix://PATH`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bind: String,
    /// How connections get there.
    pub capture_mode: CaptureMode,
    /// The services: `NAMESPACE/HOST`, where the namespace is a name, `.` for the client's own, `*` for any or `~` for none.
    pub hosts: Vec<String>,
}

/// How connections get to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CaptureMode {
    /// As the proxy's other connections do.
    #[default]
    Default,
    /// They are captured.
    Iptables,
    /// Clients dial the listener.
    None,
}

/// Outbound traffic that no service claims.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OutboundPolicy {
    /// What becomes of it.
    pub mode: OutboundMode,
    /// The service that it goes to, in place of where it was meant to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_proxy: Option<EgressProxy>,
}

/// What becomes of outbound traffic that no service claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundMode {
    /// It is blocked.
    #[default]
    RegistryOnly,
    /// It passes.
    AllowAny,
    /// It passes, to the name that the request asks for.
    AllowAnyDynamicDns,
}

/// A service that unclaimed traffic goes to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EgressProxy {
    /// The service.
    pub host: String,
    /// A part of its endpoints; empty: all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// Which of its ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<super::destination_rule::PortSelector>,
}

impl Decode for Sidecar {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            workload_selector: f.get("workloadSelector"),
            ingress: f.get("ingress"),
            egress: f.get("egress"),
            inbound_connection_pool: f.get("inboundConnectionPool"),
            outbound_traffic_policy: f.get("outboundTrafficPolicy"),
        })
    }
}

impl Decode for IngressListener {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            port: f.get("port"),
            bind: f.get("bind"),
            capture_mode: f.get("captureMode"),
            default_endpoint: f.get("defaultEndpoint"),
            tls: f.get("tls"),
            connection_pool: f.get("connectionPool"),
        })
    }
}

impl Decode for EgressListener {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            port: f.get("port"),
            bind: f.get("bind"),
            capture_mode: f.get("captureMode"),
            hosts: f.get("hosts"),
        })
    }
}

impl Decode for CaptureMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("DEFAULT", 0, Self::Default),
            ("IPTABLES", 1, Self::Iptables),
            ("NONE", 2, Self::None),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for OutboundPolicy {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            mode: f.get("mode"),
            egress_proxy: f.get("egressProxy"),
        })
    }
}

impl Decode for OutboundMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("REGISTRY_ONLY", 0, Self::RegistryOnly),
            ("ALLOW_ANY", 1, Self::AllowAny),
            ("ALLOW_ANY_DYNAMIC_DNS", 2, Self::AllowAnyDynamicDns),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for EgressProxy {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            host: f.get("host"),
            subset: f.get("subset"),
            port: f.get("port"),
        })
    }
}
