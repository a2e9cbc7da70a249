//! What happens beside the way to a service: retries, faults, copies, permissions of browsers.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{Destination, StringMatch};
use crate::rules::at::At;
use crate::rules::spec::{Decode, Double, object, one_of, seconds_of};

/// How failed requests are tried again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// How often at most; 0: never.
    pub attempts: u32,
    /// How long one attempt may take. Missing: as long as the request.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub per_try_timeout: Option<Duration>,
    /// After which failures: Envoy's words and statuses, separated by commas. Empty: as the mesh does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub retry_on: String,
    /// Whether endpoints elsewhere are tried, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_remote_localities: Option<bool>,
    /// Whether endpoints that failed are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ignore_previous_hosts: Option<bool>,
    /// The least pause between attempts. Missing: Envoy's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub backoff: Option<Duration>,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Percent {
    /// From 0 to 100.
    pub value: Double,
}

/// What goes wrong on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fault {
    /// Requests are held up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// Requests are answered with a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<Abort>,
}

/// Requests are held up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    /// The old form of `percentage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// How long.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub fixed_delay: Option<Duration>,
    /// How long on average: without effect.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub exponential_delay: Option<Duration>,
    /// How many. Missing: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
}

/// Requests are answered with a failure: one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Abort {
    /// The old form of `percentage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// An HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u32>,
    /// A gRPC status, by name or number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<String>,
    /// An error of HTTP/2: without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http2_error: Option<String>,
    /// How many. Missing: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
}

/// Who gets a copy of requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Mirror {
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// Of how many. Missing: of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Percent>,
}

/// What browsers may do from elsewhere (CORS).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// The old form of `allow_origins`: equal ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origin: Vec<String>,
    /// From where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origins: Vec<StringMatch>,
    /// With which methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    /// With which headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// Which headers of responses they see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// How long the answer may be remembered.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub max_age: Option<Duration>,
    /// Whether with cookies and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
    /// What becomes of preflight requests from anywhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmatched_preflights: Option<UnmatchedPreflights>,
}

/// What becomes of preflight requests from where nothing is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UnmatchedPreflights {
    /// As Envoy does: they go to the service.
    #[default]
    Unspecified,
    /// They go to the service.
    Forward,
    /// The proxy answers them.
    Ignore,
}

impl Decode for Retries {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            attempts: f.get("attempts"),
            per_try_timeout: f.get("perTryTimeout"),
            retry_on: f.get("retryOn"),
            retry_remote_localities: f.get("retryRemoteLocalities"),
            retry_ignore_previous_hosts: f.get("retryIgnorePreviousHosts"),
            backoff: f.get("backoff"),
        })
    }
}

impl Decode for Percent {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            value: f.get("value"),
        })
    }
}

impl Decode for Fault {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            delay: f.get("delay"),
            abort: f.get("abort"),
        })
    }
}

impl Decode for Delay {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            percent: f.get("percent"),
            fixed_delay: f.get("fixedDelay"),
            exponential_delay: f.get("exponentialDelay"),
            percentage: f.get("percentage"),
        })
    }
}

impl Decode for Abort {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            percent: f.get("percent"),
            http_status: f.get("httpStatus"),
            grpc_status: f.get("grpcStatus"),
            http2_error: f.get("http2Error"),
            percentage: f.get("percentage"),
        })
    }
}

impl Decode for Mirror {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            destination: f.get("destination"),
            percentage: f.get("percentage"),
        })
    }
}

impl Decode for Cors {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            allow_origin: f.get("allowOrigin"),
            allow_origins: f.get("allowOrigins"),
            allow_methods: f.get("allowMethods"),
            allow_headers: f.get("allowHeaders"),
            expose_headers: f.get("exposeHeaders"),
            max_age: f.get("maxAge"),
            allow_credentials: f.get("allowCredentials"),
            unmatched_preflights: f.get("unmatchedPreflights"),
        })
    }
}

impl Decode for UnmatchedPreflights {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("UNSPECIFIED", 0, Self::Unspecified),
            ("FORWARD", 1, Self::Forward),
            ("IGNORE", 2, Self::Ignore),
        ];
        one_of(value, at, &all)
    }
}
