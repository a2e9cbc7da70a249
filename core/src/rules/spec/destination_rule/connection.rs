//! What a `DestinationRule` says of connections: how many, how long, and what they begin with.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::rules::at::At;
use crate::rules::spec::{Decode, Double, object, one_of, seconds_of};

/// How many connections and requests there may be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConnectionPool {
    /// Whatever is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpSettings>,
    /// Where HTTP is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSettings>,
}

/// Limits and time-outs of connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TcpSettings {
    /// How many connections there may be to all endpoints together; 0: no limit.
    pub max_connections: u32,
    /// How long connecting may take.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub connect_timeout: Option<Duration>,
    /// That the kernel probes idle connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How long a connection may last.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub max_connection_duration: Option<Duration>,
    /// How long a TCP connection may be idle.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub idle_timeout: Option<Duration>,
}

/// How the kernel probes idle connections; what is missing is the kernel's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TcpKeepalive {
    /// How many probes may fail.
    pub probes: u32,
    /// How long a connection is idle before the first probe.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub time: Option<Duration>,
    /// How long it is between probes.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub interval: Option<Duration>,
}

/// Limits and time-outs of requests. A 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HttpSettings {
    /// How many requests may wait for a connection.
    pub http1_max_pending_requests: u32,
    /// How many requests there may be at once.
    pub http2_max_requests: u32,
    /// How many requests a connection is used for.
    pub max_requests_per_connection: u32,
    /// How many retries there may be at once.
    pub max_retries: u32,
    /// How long a connection may be without requests.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub idle_timeout: Option<Duration>,
    /// Whether HTTP/1.1 becomes HTTP/2.
    pub h2_upgrade_policy: H2Upgrade,
    /// Whether the version of HTTP is the client's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_client_protocol: bool,
    /// How many requests an HTTP/2 connection carries at once.
    pub max_concurrent_streams: u32,
}

/// Whether HTTP/1.1 becomes HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum H2Upgrade {
    /// As the mesh says: it does not.
    #[default]
    Default,
    /// It does not.
    DoNotUpgrade,
    /// It does.
    Upgrade,
}

/// Connections through an HTTP proxy, which is the service itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tunnel {
    /// `CONNECT` or `POST`; empty: `CONNECT`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// Where the proxy is to connect to.
    pub target_host: String,
    /// At which port.
    pub target_port: u32,
}

/// A PROXY header before everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProxyProtocol {
    /// Which version of it.
    pub version: ProxyProtocolVersion,
}

/// The versions of the PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum ProxyProtocolVersion {
    /// As text.
    #[default]
    V1,
    /// As bytes.
    V2,
}

/// How many of all requests may be retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RetryBudget {
    /// In percent of the requests that there are at once; missing: 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<Double>,
    /// How many there may be whatever the percentage; 0: 3.
    pub min_retry_concurrency: u32,
}

impl Decode for ConnectionPool {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            tcp: f.get("tcp"),
            http: f.get("http"),
        })
    }
}

impl Decode for TcpSettings {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            max_connections: f.get("maxConnections"),
            connect_timeout: f.get("connectTimeout"),
            tcp_keepalive: f.get("tcpKeepalive"),
            max_connection_duration: f.get("maxConnectionDuration"),
            idle_timeout: f.get("idleTimeout"),
        })
    }
}

impl Decode for TcpKeepalive {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            probes: f.get("probes"),
            time: f.get("time"),
            interval: f.get("interval"),
        })
    }
}

impl Decode for HttpSettings {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            http1_max_pending_requests: f.get("http1MaxPendingRequests"),
            http2_max_requests: f.get("http2MaxRequests"),
            max_requests_per_connection: f.get("maxRequestsPerConnection"),
            max_retries: f.get("maxRetries"),
            idle_timeout: f.get("idleTimeout"),
            h2_upgrade_policy: f.get("h2UpgradePolicy"),
            use_client_protocol: f.get("useClientProtocol"),
            max_concurrent_streams: f.get("maxConcurrentStreams"),
        })
    }
}

impl Decode for H2Upgrade {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("DEFAULT", 0, Self::Default),
            ("DO_NOT_UPGRADE", 1, Self::DoNotUpgrade),
            ("UPGRADE", 2, Self::Upgrade),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for Tunnel {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            protocol: f.get("protocol"),
            target_host: f.get("targetHost"),
            target_port: f.get("targetPort"),
        })
    }
}

impl Decode for ProxyProtocol {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            version: f.get("version"),
        })
    }
}

impl Decode for ProxyProtocolVersion {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(value, at, &[("V1", 0, Self::V1), ("V2", 1, Self::V2)])
    }
}

impl Decode for RetryBudget {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            percent: f.get("percent"),
            min_retry_concurrency: f.get("minRetryConcurrency"),
        })
    }
}
