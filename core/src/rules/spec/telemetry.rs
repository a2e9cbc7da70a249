//! `Telemetry`: what proxies report.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::destination_rule::MatchLabels;
use super::mesh_config::CustomTag;
use super::{Decode, Double, TargetRef, object, one_of, seconds_of};
use crate::model::ByName;
use crate::rules::at::At;

/// What proxies report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    /// The workloads whose proxies it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<MatchLabels>,
    /// The object that it is attached to, in an older form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<TargetRef>,
    /// The objects that it is attached to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<TargetRef>,
    /// Spans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tracing: Vec<Tracing>,
    /// Metrics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metrics>,
    /// Access logs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_logging: Vec<AccessLogging>,
}

/// Which traffic something is about, by the part that the proxy has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkloadMode {
    /// All of it.
    #[default]
    ClientAndServer,
    /// What its workload asks for.
    Client,
    /// What its workload is asked for.
    Server,
}

/// A provider, by its name in mesh config.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderRef {
    /// Its name.
    pub name: String,
}

/// Which traffic a part is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModeMatch {
    /// By the part that the proxy has in it.
    pub mode: WorkloadMode,
}

/// Spans.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Of which traffic.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<ModeMatch>,
    /// Who takes them; the first counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderRef>,
    /// How many requests are traced, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_sampling_percentage: Option<Double>,
    /// That there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_span_reporting: Option<bool>,
    /// Tags of every span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_tags: Option<ByName<CustomTag>>,
    /// Whether a request's identity says whether it is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_request_id_for_trace_sampling: Option<bool>,
    /// Whether there are tags about the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_istio_tags: Option<bool>,
}

/// Metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Who takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderRef>,
    /// What is other than Istio's defaults.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<MetricsOverride>,
    /// How often metrics of TCP are reported.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds_of")]
    pub reporting_interval: Option<Duration>,
}

/// What of metrics is other than Istio's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MetricsOverride {
    /// Which metrics.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<MetricSelector>,
    /// Whether they are not reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// What becomes of their tags.
    #[serde(skip_serializing_if = "ByName::is_empty")]
    pub tag_overrides: ByName<TagOverride>,
}

/// Which metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MetricSelector {
    /// One of Istio's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<IstioMetric>,
    /// Another one, by its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub custom_metric: String,
    /// Of which traffic.
    pub mode: WorkloadMode,
}

/// Istio's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum IstioMetric {
    #[default]
    AllMetrics,
    RequestCount,
    RequestDuration,
    RequestSize,
    ResponseSize,
    TcpOpenedConnections,
    TcpClosedConnections,
    TcpSentBytes,
    TcpReceivedBytes,
    GrpcRequestMessages,
    GrpcResponseMessages,
}

/// What becomes of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TagOverride {
    /// Whether it is set or removed.
    pub operation: TagOperation,
    /// Its value, in CEL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// Whether a tag is set or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TagOperation {
    /// It is set.
    #[default]
    Upsert,
    /// It is removed.
    Remove,
}

/// Access logs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessLogging {
    /// Of which traffic.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<ModeMatch>,
    /// Who takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderRef>,
    /// That there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Of which requests and connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// Which requests and connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Filter {
    /// In CEL.
    pub expression: String,
}

impl Decode for Telemetry {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            selector: f.get("selector"),
            target_ref: f.get("targetRef"),
            target_refs: f.get("targetRefs"),
            tracing: f.get("tracing"),
            metrics: f.get("metrics"),
            access_logging: f.get("accessLogging"),
        })
    }
}

impl Decode for WorkloadMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("CLIENT_AND_SERVER", 0, Self::ClientAndServer),
            ("CLIENT", 1, Self::Client),
            ("SERVER", 2, Self::Server),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for ProviderRef {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            name: f.get("name"),
        })
    }
}

impl Decode for ModeMatch {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            mode: f.get("mode"),
        })
    }
}

impl Decode for Tracing {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            matches: f.get("match"),
            providers: f.get("providers"),
            random_sampling_percentage: f.get("randomSamplingPercentage"),
            disable_span_reporting: f.get("disableSpanReporting"),
            custom_tags: f.get("customTags"),
            use_request_id_for_trace_sampling: f.get("useRequestIdForTraceSampling"),
            enable_istio_tags: f.get("enableIstioTags"),
        })
    }
}

impl Decode for Metrics {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            providers: f.get("providers"),
            overrides: f.get("overrides"),
            reporting_interval: f.get("reportingInterval"),
        })
    }
}

impl Decode for MetricsOverride {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            matches: f.get("match"),
            disabled: f.get("disabled"),
            tag_overrides: f.get("tagOverrides"),
        })
    }
}

impl Decode for MetricSelector {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            metric: f.get("metric"),
            custom_metric: f.get("customMetric"),
            mode: f.get("mode"),
        })
    }
}

impl Decode for IstioMetric {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("ALL_METRICS", 0, Self::AllMetrics),
            ("REQUEST_COUNT", 1, Self::RequestCount),
            ("REQUEST_DURATION", 2, Self::RequestDuration),
            ("REQUEST_SIZE", 3, Self::RequestSize),
            ("RESPONSE_SIZE", 4, Self::ResponseSize),
            ("TCP_OPENED_CONNECTIONS", 5, Self::TcpOpenedConnections),
            ("TCP_CLOSED_CONNECTIONS", 6, Self::TcpClosedConnections),
            ("TCP_SENT_BYTES", 7, Self::TcpSentBytes),
            ("TCP_RECEIVED_BYTES", 8, Self::TcpReceivedBytes),
            ("GRPC_REQUEST_MESSAGES", 9, Self::GrpcRequestMessages),
            ("GRPC_RESPONSE_MESSAGES", 10, Self::GrpcResponseMessages),
        ];
        one_of(value, at, &all)
    }
}

impl Decode for TagOverride {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            operation: f.get("operation"),
            value: f.get("value"),
        })
    }
}

impl Decode for TagOperation {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [("UPSERT", 0, Self::Upsert), ("REMOVE", 1, Self::Remove)];
        one_of(value, at, &all)
    }
}

impl Decode for AccessLogging {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            matches: f.get("match"),
            providers: f.get("providers"),
            disabled: f.get("disabled"),
            filter: f.get("filter"),
        })
    }
}

impl Decode for Filter {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f| Self {
            expression: f.get("expression"),
        })
    }
}
