//! The answer: every step that was taken, what was passed over on the way, and how it ends.

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::value::Kind;
use serde::Serialize;

use super::headers::Headers;

/// The way of a connection or request through the proxy.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Walk {
    /// The listener that took the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<ListenerStep>,
    /// The filter chain that took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainStep>,
    /// What the HTTP connection manager decided, for requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpStep>,
    /// The clusters among which was chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// The cluster that was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterStep>,
    /// How it ends.
    pub outcome: Outcome,
}

/// How it ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// It goes to an endpoint of [`Walk::cluster`].
    Forwarded {
        /// The cluster's name.
        cluster: String,
        /// The request as the endpoint gets it; nothing for bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<Box<Upstream>>,
    },
    /// Envoy answers the request itself.
    Answered {
        /// The status.
        status: u16,
        /// What access logs call it.
        flag: FlagCode,
        /// Why.
        why: String,
        /// Headers of the answer that say more.
        #[serde(skip_serializing_if = "Headers::is_empty")]
        headers: Headers,
        /// The body.
        #[serde(skip_serializing_if = "String::is_empty")]
        body: String,
    },
    /// The connection is taken, and ended.
    Closed {
        /// What access logs call it.
        flag: FlagCode,
        /// Why.
        why: String,
    },
    /// Nobody listens.
    Refused {
        /// Why.
        why: String,
    },
    /// It needs something that is not followed here.
    Unknown {
        /// What.
        why: String,
    },
}

impl Default for Outcome {
    fn default() -> Self {
        Self::Unknown { why: String::new() }
    }
}

/// Envoy's response flags, as far as they are met here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum FlagCode {
    /// Nothing went wrong.
    #[serde(rename = "-")]
    None,
    /// No route, or no filter chain.
    NR,
    /// The cluster is not there.
    NC,
    /// No healthy endpoint.
    UH,
    /// An upstream connection could not be used.
    UF,
    /// A fault was injected.
    FI,
    /// A fault delayed it.
    DI,
    /// The client broke the protocol.
    DPE,
}

impl FlagCode {
    /// As in access logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::NR => "NR",
            Self::NC => "NC",
            Self::UH => "UH",
            Self::UF => "UF",
            Self::FI => "FI",
            Self::DI => "DI",
            Self::DPE => "DPE",
        }
    }
}

/// Something that was looked at and not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// What it is called.
    pub name: String,
    /// Why it was not taken.
    pub why: String,
}

/// The rule behind a resource, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// As Istio writes it: `/apis/networking.istio.io/v1/namespaces/NS/virtual-service/NAME`.
    pub config: String,
    /// The field of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Rule {
    /// What metadata under `istio` says.
    pub(super) fn of(metadata: Option<&Metadata>) -> Option<Self> {
        let istio = metadata?.filter_metadata.get("istio")?;
        let text = |key: &str| match istio.fields.get(key)?.kind.as_ref()? {
            Kind::StringValue(text) => Some(text.clone()),
            _ => None,
        };
        Some(Self {
            config: text("config")?,
            field: text("field"),
        })
    }
}

/// The listener.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListenerStep {
    /// Its name.
    pub name: String,
    /// The listener that captured the connection and handed it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_over_by: Option<String>,
    /// Its listener filters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
    /// What they found out.
    pub detected: Detected,
    /// The rule behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// What is known of a connection when its filter chain is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// `raw_buffer` or `tls`.
    pub transport_protocol: String,
    /// The server name of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// What TLS offers, or what the first bytes look like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub application_protocols: Vec<String>,
}

/// The filter chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ChainStep {
    /// Its name, or its place.
    pub name: String,
    /// It is the one for what no other takes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// The others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub considered: Vec<Considered>,
    /// Its network filters.
    pub filters: Vec<String>,
    /// It ends TLS of the client.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub terminates_tls: bool,
    /// The rule behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// What happens to a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HttpStep {
    /// The route configuration.
    pub route_configuration: String,
    /// It is part of the listener.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inline: bool,
    /// The virtual host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_host: Option<String>,
    /// The one of its domains that matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Other virtual hosts that match, less exactly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub virtual_hosts_considered: Vec<Considered>,
    /// The route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Its place among the routes of the virtual host, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_index: Option<usize>,
    /// What it asks for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub matched: String,
    /// The routes before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes_considered: Vec<Considered>,
    /// The rule behind the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The HTTP filters that it passes.
    pub filters: Vec<String>,
    /// Faults that are injected, or could be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// How long the whole may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Who gets copies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
    /// Changes of the request's headers, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<HeaderEdit>,
    /// Changes of the answer's headers, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_headers: Vec<HeaderEdit>,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// What: `delay 5s`, `abort 503`.
    pub what: String,
    /// How many of a hundred requests it concerns.
    pub percent: f64,
    /// Whether it concerns this one.
    pub applies: bool,
}

/// When a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retries {
    /// After what.
    pub on: String,
    /// How often.
    pub attempts: u32,
    /// How long each try may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<String>,
}

/// Somebody who gets a copy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mirror {
    /// The cluster.
    pub cluster: String,
    /// How many of a hundred requests.
    pub percent: f64,
}

/// A change of a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeaderEdit {
    /// `add`, `set`, `default` or `remove`.
    pub operation: &'static str,
    /// The header.
    pub name: String,
    /// The value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// A cluster that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its name.
    pub cluster: String,
    /// Its weight.
    pub weight: u32,
    /// It is the one.
    pub chosen: bool,
}

/// A request as it leaves the proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// The method.
    pub method: String,
    /// `Host`, or `:authority`; nothing where the endpoint's name decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The path with its query.
    pub path: String,
    /// All other headers, without those that Envoy adds to every request.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
}

/// A cluster and its endpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ClusterStep {
    /// Its name.
    pub name: String,
    /// How its endpoints are found: `EDS`, `STATIC`, `STRICT_DNS` …
    #[serde(rename = "type")]
    pub discovery: String,
    /// How one of them is chosen.
    pub load_balancing: String,
    /// The subset, from its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
    /// How TLS begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Limits that are set: name and number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<(String, u32)>,
    /// Endpoints that fail are left alone for a while.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ejects: bool,
    /// Endpoints by priority and locality.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointGroup>,
    /// The rule behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

/// TLS to endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// The server name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// The client shows a certificate.
    pub mutual: bool,
    /// Only endpoints that say so get it.
    pub by_endpoint: bool,
}

/// The endpoints of a priority in a locality.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EndpointGroup {
    /// The priority; 0 goes first.
    pub priority: u32,
    /// `region/zone/subzone`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub locality: String,
    /// The locality's weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// How many of a hundred requests go to its priority.
    pub load: u32,
    /// The endpoints.
    pub endpoints: Vec<Address>,
}

/// An endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Address {
    /// `IP:PORT`, a host and port, or the path of a socket.
    pub address: String,
    /// `HEALTHY`, `UNHEALTHY`, `DRAINING` …
    pub health: String,
    /// Its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}
