//! `Gateway`: what a router listens on.

mod tls;

use serde::Serialize;
use serde_json::Value;

use super::{Decode, object};
use crate::model::Labels;
use crate::rules::at::At;

pub use tls::{ServerCertificate, ServerTls, ServerTlsMode, TlsVersion};

/// What a router listens on, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// What is listened on.
    pub servers: Vec<Server>,
    /// The routers that it is for, wherever they are: those that have all of these labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub selector: Labels,
}

/// A port that is listened on, for certain hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<ServerPort>,
    /// The address, or `unix://PATH`; all addresses where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bind: String,
    /// For whom: `HOST`, or `NAMESPACE/HOST` for rules of one namespace.
    pub hosts: Vec<String>,
    /// How TLS is dealt with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// Where traffic goes that no rule is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub default_endpoint: String,
    /// What its author calls it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// A port, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ServerPort {
    /// Its number.
    pub number: u32,
    /// What is spoken.
    pub protocol: String,
    /// Its name, unique within the object.
    pub name: String,
    /// Has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_port: Option<u32>,
}

impl Decode for Gateway {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            servers: f.get("servers"),
            selector: f.get("selector"),
        })
    }
}

impl Decode for Server {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            port: f.get("port"),
            bind: f.get("bind"),
            hosts: f.get("hosts"),
            tls: f.get("tls"),
            default_endpoint: f.get("defaultEndpoint"),
            name: f.get("name"),
        })
    }
}

impl Decode for ServerPort {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            number: f.get("number"),
            protocol: f.get("protocol"),
            name: f.get("name"),
            target_port: f.get("targetPort"),
        })
    }
}
