//! How a client chooses among endpoints.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::model::ByName;
use crate::rules::at::At;
use crate::rules::spec::{Decode, Double, object, one_of, seconds_of};

/// How an endpoint is chosen: `simple` or by `consistent_hash`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// Without looking at the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simple: Option<SimpleLb>,
    /// The same endpoint for what is alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistent_hash: Option<ConsistentHash>,
    /// How localities are chosen, in place of the mesh's settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality_lb_setting: Option<LocalityLb>,
    /// The old form of `warmup.duration`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub warmup_duration_secs: Option<Duration>,
    /// That new endpoints get their full share only after a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Warmup>,
}

/// Choosing without looking at the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SimpleLb {
    /// As the mesh does it: `LEAST_REQUEST`.
    #[default]
    Unspecified,
    /// The old name of `LEAST_REQUEST`.
    LeastConn,
    /// Any.
    Random,
    /// The address that the client dialled.
    Passthrough,
    /// One after the other.
    RoundRobin,
    /// Of two at random, the one that has less to do.
    LeastRequest,
}

/// The same endpoint for requests that have something alike: one of header, cookie, source address and parameter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConsistentHash {
    /// A request header.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub http_header_name: String,
    /// A cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_cookie: Option<HttpCookie>,
    /// The client's address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_source_ip: bool,
    /// A parameter in the path's query.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub http_query_parameter_name: String,
    /// Endpoints on a ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_hash: Option<RingHash>,
    /// Endpoints in a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maglev: Option<Maglev>,
    /// The old form of `ringHash.minimumRingSize`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_ring_size: Option<u32>,
}

/// A cookie, which the proxy makes where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpCookie {
    /// Its name.
    pub name: String,
    /// The path that it is made for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// How long it lasts; zero: as long as the client runs. Missing: none is made.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub ttl: Option<Duration>,
}

/// Endpoints on a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RingHash {
    /// How many places the ring has at least; 0: 1024.
    pub minimum_ring_size: u32,
}

/// Endpoints in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Maglev {
    /// How many places the table has, a prime; 0: 65537.
    pub table_size: u32,
}

/// That new endpoints get their full share only after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Warmup {
    /// After how long.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub duration: Option<Duration>,
    /// The share at the beginning, in percent; missing: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_percent: Option<Double>,
    /// How the share grows; 1 and missing: evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggression: Option<Double>,
}

/// How localities are chosen: one of `distribute`, `failover` and `failover_priority`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LocalityLb {
    /// What part of the traffic from one locality goes to which others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub distribute: Vec<Distribute>,
    /// Where traffic goes when a region fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failover: Vec<Failover>,
    /// Labels: endpoints with more of the client's go first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failover_priority: Vec<String>,
    /// Whether the client's locality counts; missing: yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// What part of the traffic from a locality goes where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Distribute {
    /// `region/zone/subzone`, the later parts missing or `*`.
    pub from: String,
    /// Percents by locality.
    pub to: ByName<u32>,
}

/// Where traffic goes when a region fails.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failover {
    /// The region.
    pub from: String,
    /// The region instead.
    pub to: String,
}

impl Decode for LoadBalancer {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| {
            f.without_effect(&["zoneAware"]);
            Self {
                simple: f.get("simple"),
                consistent_hash: f.get("consistentHash"),
                locality_lb_setting: f.get("localityLbSetting"),
                warmup_duration_secs: f.get("warmupDurationSecs"),
                warmup: f.get("warmup"),
            }
        })
    }
}

impl Decode for SimpleLb {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("UNSPECIFIED", 0, Self::Unspecified),
            ("LEAST_CONN", 1, Self::LeastConn),
            ("RANDOM", 2, Self::Random),
            ("PASSTHROUGH", 3, Self::Passthrough),
            ("ROUND_ROBIN", 4, Self::RoundRobin),
            ("LEAST_REQUEST", 5, Self::LeastRequest),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for ConsistentHash {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            http_header_name: f.get("httpHeaderName"),
            http_cookie: f.get("httpCookie"),
            use_source_ip: f.get("useSourceIp"),
            http_query_parameter_name: f.get("httpQueryParameterName"),
            ring_hash: f.get("ringHash"),
            maglev: f.get("maglev"),
            minimum_ring_size: f.get("minimumRingSize"),
        })
    }
}

impl Decode for HttpCookie {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
            path: f.get("path"),
            ttl: f.get("ttl"),
        })
    }
}

impl Decode for RingHash {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            minimum_ring_size: f.get("minimumRingSize"),
        })
    }
}

impl Decode for Maglev {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            table_size: f.get("tableSize"),
        })
    }
}

impl Decode for Warmup {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            duration: f.get("duration"),
            minimum_percent: f.get("minimumPercent"),
            aggression: f.get("aggression"),
        })
    }
}

impl Decode for LocalityLb {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            distribute: f.get("distribute"),
            failover: f.get("failover"),
            failover_priority: f.get("failoverPriority"),
            enabled: f.get("enabled"),
        })
    }
}

impl Decode for Distribute {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            from: f.get("from"),
            to: f.get("to"),
        })
    }
}

impl Decode for Failover {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            from: f.get("from"),
            to: f.get("to"),
        })
    }
}
