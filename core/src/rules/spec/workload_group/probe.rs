//! How an agent finds out whether the workload beside it is well.

use serde::Serialize;
use serde_json::Value;

use crate::rules::at::At;
use crate::rules::spec::{Decode, object};

/// When a workload is asked, and how: exactly one of the ways is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Seconds from its start to the first question; 0 is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub initial_delay_seconds: u32,
    /// Seconds that an answer may take; 0 is taken as 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout_seconds: u32,
    /// Seconds between questions; 0 is taken as 10.
    #[serde(skip_serializing_if = "is_zero")]
    pub period_seconds: u32,
    /// Good answers in a row that make it well; 0 is taken as 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub success_threshold: u32,
    /// Bad answers in a row that make it unwell; 0 is taken as 3.
    #[serde(skip_serializing_if = "is_zero")]
    pub failure_threshold: u32,
    /// By an HTTP request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_get: Option<HttpProbe>,
    /// By a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_socket: Option<TcpProbe>,
    /// By a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecProbe>,
    /// By gRPC's health service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<GrpcProbe>,
}

/// An HTTP request; a status below 400 is a good answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// What is asked for; empty is `/`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The port.
    pub port: u32,
    /// The host; empty is the workload's own address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// `HTTP` or `HTTPS`; empty is the former.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scheme: String,
    /// Headers of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http_headers: Vec<HttpHeader>,
}

/// A header of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A connection; one that is accepted is a good answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TcpProbe {
    /// The host; empty is the workload's own address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The port.
    pub port: u32,
}

/// A command; one that exits with 0 is a good answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecProbe {
    /// The program and its arguments. No shell is involved.
    pub command: Vec<String>,
}

/// A call of `grpc.health.v1.Health/Check`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GrpcProbe {
    /// The service that is asked about; empty is the server as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The port.
    pub port: u32,
}

impl Decode for Probe {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            initial_delay_seconds: f.get("initialDelaySeconds"),
            timeout_seconds: f.get("timeoutSeconds"),
            period_seconds: f.get("periodSeconds"),
            success_threshold: f.get("successThreshold"),
            failure_threshold: f.get("failureThreshold"),
            http_get: f.get("httpGet"),
            tcp_socket: f.get("tcpSocket"),
            exec: f.get("exec"),
            grpc: f.get("grpc"),
        })
    }
}

impl Decode for HttpProbe {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            path: f.get("path"),
            port: f.get("port"),
            host: f.get("host"),
            scheme: f.get("scheme"),
            http_headers: f.get("httpHeaders"),
        })
    }
}

impl Decode for HttpHeader {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            value: f.get("value"),
        })
    }
}

impl Decode for TcpProbe {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            host: f.get("host"),
            port: f.get("port"),
        })
    }
}

impl Decode for ExecProbe {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            command: f.get("command"),
        })
    }
}

impl Decode for GrpcProbe {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            service: f.get("service"),
            port: f.get("port"),
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
