//! What of all that Envoy gets an `EnvoyFilter` changes.

use serde::Serialize;
use serde_json::Value;

use crate::model::Labels;
use crate::rules::at::At;
use crate::rules::spec::{Decode, object, one_of};

/// Which things are changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// What they are for.
    pub context: Context,
    /// Whose they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyMatch>,
    /// Which listener, and what in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<ListenerMatch>,
    /// Which route configuration, and what in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_configuration: Option<RouteConfigurationMatch>,
    /// Which cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterMatch>,
}

/// What something is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Context {
    /// Whatever it is for.
    #[default]
    Any,
    /// Connections to a sidecar's workload.
    SidecarInbound,
    /// Connections from a sidecar's workload.
    SidecarOutbound,
    /// Connections through a router.
    Gateway,
}

/// Whose configuration is changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProxyMatch {
    /// A regular expression for the version that the proxy says it has (`ISTIO_VERSION`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub proxy_version: String,
    /// Texts that are part of its metadata.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub metadata: Labels,
}

/// Which listener, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ListenerMatch {
    /// Its port.
    pub port_number: u32,
    /// The name of its port.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub port_name: String,
    /// A chain in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_chain: Option<FilterChainMatch>,
    /// The name of a listener filter in it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_filter: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// A chain of a listener, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FilterChainMatch {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A server name that it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sni: String,
    /// The transport that it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub transport_protocol: String,
    /// The applications that it is for, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub application_protocols: String,
    /// A network filter in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterMatch>,
    /// The port of connections that it is for.
    pub destination_port: u32,
}

/// A network filter, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FilterMatch {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A filter within the HTTP connection manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_filter: Option<SubFilterMatch>,
}

/// A filter within a filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubFilterMatch {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Which route configuration, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RouteConfigurationMatch {
    /// The port that it is for.
    pub port_number: u32,
    /// The name of that port, of a gateway's server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub port_name: String,
    /// The gateway that it is for, as `NAMESPACE/NAME`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// A virtual host in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vhost: Option<VirtualHostMatch>,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// A virtual host, and what in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VirtualHostMatch {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// One of its domains.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain_name: String,
    /// A route in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteMatch>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteMatch {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it does.
    pub action: RouteAction,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RouteAction {
    /// Whatever it does.
    #[default]
    Any,
    /// It leads to a cluster.
    Route,
    /// It tells the client to ask elsewhere.
    Redirect,
    /// It answers.
    DirectResponse,
}

/// Which cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClusterMatch {
    /// The port that it is for.
    pub port_number: u32,
    /// The host that it is for, with all its parts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The subset that it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// Its name; nothing else counts then.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Decode for Match {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            context: f.get("context"),
            proxy: f.get("proxy"),
            listener: f.get("listener"),
            route_configuration: f.get("routeConfiguration"),
            cluster: f.get("cluster"),
        })
    }
}

impl Decode for Context {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(
            value,
            at,
            &[
                ("ANY", 0, Self::Any),
                ("SIDECAR_INBOUND", 1, Self::SidecarInbound),
                ("SIDECAR_OUTBOUND", 2, Self::SidecarOutbound),
                ("GATEWAY", 3, Self::Gateway),
            ],
        )
    }
}

impl Decode for ProxyMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            proxy_version: f.get("proxyVersion"),
            metadata: f.get("metadata"),
        })
    }
}

impl Decode for ListenerMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            port_number: f.get("portNumber"),
            port_name: f.get("portName"),
            filter_chain: f.get("filterChain"),
            listener_filter: f.get("listenerFilter"),
            name: f.get("name"),
        })
    }
}

impl Decode for FilterChainMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            sni: f.get("sni"),
            transport_protocol: f.get("transportProtocol"),
            application_protocols: f.get("applicationProtocols"),
            filter: f.get("filter"),
            destination_port: f.get("destinationPort"),
        })
    }
}

impl Decode for FilterMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            sub_filter: f.get("subFilter"),
        })
    }
}

impl Decode for SubFilterMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
        })
    }
}

impl Decode for RouteConfigurationMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            port_number: f.get("portNumber"),
            port_name: f.get("portName"),
            gateway: f.get("gateway"),
            vhost: f.get("vhost"),
            name: f.get("name"),
        })
    }
}

impl Decode for VirtualHostMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            domain_name: f.get("domainName"),
            route: f.get("route"),
        })
    }
}

impl Decode for RouteMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            action: f.get("action"),
        })
    }
}

impl Decode for RouteAction {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(
            value,
            at,
            &[
                ("ANY", 0, Self::Any),
                ("ROUTE", 1, Self::Route),
                ("REDIRECT", 2, Self::Redirect),
                ("DIRECT_RESPONSE", 3, Self::DirectResponse),
            ],
        )
    }
}

impl Decode for ClusterMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            port_number: f.get("portNumber"),
            service: f.get("service"),
            subset: f.get("subset"),
            name: f.get("name"),
        })
    }
}
