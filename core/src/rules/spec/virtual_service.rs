//! `VirtualService`: which service clients choose, and what becomes of requests on the way.

mod action;
mod http;
mod l4;
mod matching;
mod policy;

use serde::Serialize;
use serde_json::Value;

use super::destination_rule::PortSelector;
use super::{Decode, object};
use crate::rules::at::At;

pub use action::{
    Delegate, DerivePort, DirectResponse, Redirect, RegexRewrite, ResponseBody, Rewrite,
};
pub use http::{HeaderOperations, Headers, HttpDestination, HttpRoute};
pub use l4::{L4Destination, L4Match, TcpRoute, TlsMatch, TlsRoute};
pub use matching::{HttpMatch, StringMatch};
pub use policy::{Abort, Cors, Delay, Fault, Mirror, Percent, Retries, UnmatchedPreflights};

/// How requests and connections to some hosts are routed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VirtualService {
    /// The hosts that clients ask for, wildcards among them. None: other rules delegate to this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Where it is in force: `Gateway`s, and `mesh` for all sidecars. Empty: `mesh`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// What becomes of HTTP requests: the first that matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRoute>,
    /// What becomes of TLS connections that are passed through: the first that matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<TlsRoute>,
    /// What becomes of other connections: the first that matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<TcpRoute>,
    /// The namespaces that see it. Empty: the mesh's default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub export_to: Vec<String>,
}

/// Where traffic goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Destination {
    /// The service.
    pub host: String,
    /// A part of its endpoints, as a `DestinationRule` names it. Empty: all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// Which of its ports. Missing: the only one that it has, or the one that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<PortSelector>,
}

impl Decode for VirtualService {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            hosts: f.get("hosts"),
            gateways: f.get("gateways"),
            http: f.get("http"),
            tls: f.get("tls"),
            tcp: f.get("tcp"),
            export_to: f.get("exportTo"),
        })
    }
}

impl Decode for Destination {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            host: f.get("host"),
            subset: f.get("subset"),
            port: f.get("port"),
        })
    }
}
