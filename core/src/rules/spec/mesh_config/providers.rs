//! Extension providers as operators write them.

use std::time::Duration;

use serde_json::{Map, Value};

use super::known_by_istio;
use crate::rules::at::At;
use crate::rules::spec::{Decode, Fields, object};

/// What proxies report to; of the kinds, one is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtensionProvider {
    /// What rules call it.
    pub name: String,
    /// A file of access logs.
    pub envoy_file_access_log: Option<FileAccessLog>,
    /// A service that takes logs of requests.
    pub envoy_http_als: Option<GrpcAccessLog>,
    /// A service that takes logs of connections.
    pub envoy_tcp_als: Option<GrpcAccessLog>,
    /// A service that takes logs by OpenTelemetry's protocol.
    pub envoy_otel_als: Option<OtelAccessLog>,
    /// A collector of spans.
    pub zipkin: Option<Zipkin>,
    /// A collector of spans by OpenTelemetry's protocol.
    pub opentelemetry: Option<OpenTelemetry>,
    /// Whoever scrapes.
    pub prometheus: Option<Empty>,
    /// Those that have no effect here.
    pub inert: Vec<&'static str>,
}

/// Nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Empty;

/// A file of access logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileAccessLog {
    /// Where it is.
    pub path: String,
    /// How its entries look.
    pub log_format: Option<LogFormat>,
    /// Whether what has no value is left out.
    pub omit_empty_values: bool,
}

/// How entries of a log look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFormat {
    /// A line.
    pub text: String,
    /// Keys and formats.
    pub labels: Option<Struct>,
}

/// Any object of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Struct(pub Map<String, Value>);

/// A service that takes access logs by Envoy's own protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrpcAccessLog {
    /// Its host, optionally after a namespace and `/`.
    pub service: String,
    /// Its port.
    pub port: u32,
    /// What the log is called.
    pub log_name: String,
    /// Filter state that is part of it.
    pub filter_state_objects_to_log: Vec<String>,
    /// Headers of requests that are part of it.
    pub additional_request_headers_to_log: Vec<String>,
    /// Headers of responses that are part of it.
    pub additional_response_headers_to_log: Vec<String>,
    /// Trailers of responses that are part of it.
    pub additional_response_trailers_to_log: Vec<String>,
}

/// A service that takes access logs by OpenTelemetry's protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtelAccessLog {
    /// Its host, optionally after a namespace and `/`.
    pub service: String,
    /// Its port.
    pub port: u32,
    /// What the log is called.
    pub log_name: String,
    /// How its entries look.
    pub log_format: Option<LogFormat>,
}

/// A collector of spans that speaks Zipkin's protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zipkin {
    /// Its host, optionally after a namespace and `/`.
    pub service: String,
    /// Its port.
    pub port: u32,
    /// How much of a path is kept.
    pub max_tag_length: u32,
    /// Whether identities of traces are short.
    pub enable64bit_trace_id: bool,
    /// Where it takes spans.
    pub path: String,
    /// Which headers carry a trace.
    pub trace_context_option: TraceContext,
}

/// Which headers carry a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceContext {
    /// Zipkin's.
    #[default]
    B3,
    /// Zipkin's and W3C's.
    B3AndW3c,
}

/// A collector of spans that speaks OpenTelemetry's protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenTelemetry {
    /// Its host, optionally after a namespace and `/`.
    pub service: String,
    /// Its port.
    pub port: u32,
    /// How much of a path is kept.
    pub max_tag_length: u32,
    /// That it is reached by HTTP.
    pub http: Option<HttpService>,
    /// How it is reached by gRPC.
    pub grpc: Option<GrpcService>,
    /// Where attributes of the process come from.
    pub resource_detectors: ResourceDetectors,
}

/// How a collector is reached by HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpService {
    /// Where it takes spans.
    pub path: String,
    /// How long an export may take.
    pub timeout: Option<Duration>,
    /// Headers that it wants.
    pub headers: Vec<HttpHeader>,
}

/// How a collector is reached by gRPC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrpcService {
    /// How long an export may take.
    pub timeout: Option<Duration>,
    /// Metadata that it wants.
    pub initial_metadata: Vec<HttpHeader>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Where attributes of the process come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceDetectors {
    /// From its environment.
    pub environment: Option<Empty>,
    /// From Dynatrace's files.
    pub dynatrace: Option<Empty>,
}

/// The providers that count where no rule names any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DefaultProviders {
    /// Of access logs.
    pub access_logging: Vec<String>,
    /// Of spans.
    pub tracing: Vec<String>,
    /// Of metrics.
    pub metrics: Vec<String>,
}

/// Providers of Istio's that nothing here reads.
const INERT: &[&str] = &[
    "datadog",
    "envoyExtAuthzGrpc",
    "envoyExtAuthzHttp",
    "lightstep",
    "opencensus",
    "sds",
    "skywalking",
    "stackdriver",
];

impl Decode for ExtensionProvider {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let mut provider = known_by_istio(value, at, INERT, |f| Self {
            name: f.get("name"),
            envoy_file_access_log: f.get("envoyFileAccessLog"),
            envoy_http_als: f.get("envoyHttpAls"),
            envoy_tcp_als: f.get("envoyTcpAls"),
            envoy_otel_als: f.get("envoyOtelAls"),
            zipkin: f.get("zipkin"),
            opentelemetry: f.get("opentelemetry"),
            prometheus: f.get("prometheus"),
            inert: Vec::new(),
        });
        let written = |name: &&&str| value.get(**name).is_some_and(|field| !field.is_null());
        provider.inert = INERT.iter().filter(written).copied().collect();
        provider
    }
}

impl Decode for Empty {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |_| Self)
    }
}

impl Decode for Struct {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let Value::Object(fields) = value else {
            at.error("is not an object of keys and formats");
            return Self::default();
        };
        Self(fields.clone())
    }
}

impl Decode for FileAccessLog {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            path: f.get("path"),
            log_format: f.get("logFormat"),
            omit_empty_values: f.get("omitEmptyValues"),
        })
    }
}

impl Decode for LogFormat {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            text: f.get("text"),
            labels: f.get("labels"),
        })
    }
}

impl Decode for GrpcAccessLog {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            service: f.get("service"),
            port: f.get("port"),
            log_name: f.get("logName"),
            filter_state_objects_to_log: f.get("filterStateObjectsToLog"),
            additional_request_headers_to_log: f.get("additionalRequestHeadersToLog"),
            additional_response_headers_to_log: f.get("additionalResponseHeadersToLog"),
            additional_response_trailers_to_log: f.get("additionalResponseTrailersToLog"),
        })
    }
}

impl Decode for OtelAccessLog {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            service: f.get("service"),
            port: f.get("port"),
            log_name: f.get("logName"),
            log_format: f.get("logFormat"),
        })
    }
}

impl Decode for Zipkin {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &["timeout", "headers"], |f| Self {
            service: f.get("service"),
            port: f.get("port"),
            max_tag_length: f.get("maxTagLength"),
            enable64bit_trace_id: f.get("enable64bitTraceId"),
            path: f.get("path"),
            trace_context_option: f.get("traceContextOption"),
        })
    }
}

impl Decode for TraceContext {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        let all = [
            ("USE_B3", 0, Self::B3),
            ("USE_B3_WITH_W3C_PROPAGATION", 1, Self::B3AndW3c),
        ];
        crate::rules::spec::one_of(value, at, &all)
    }
}

impl Decode for OpenTelemetry {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &["dynatraceSampler"], |f| Self {
            service: f.get("service"),
            port: f.get("port"),
            max_tag_length: f.get("maxTagLength"),
            http: f.get("http"),
            grpc: f.get("grpc"),
            resource_detectors: f.get("resourceDetectors"),
        })
    }
}

impl Decode for HttpService {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            path: f.get("path"),
            timeout: f.get("timeout"),
            headers: f.get("headers"),
        })
    }
}

impl Decode for GrpcService {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            timeout: f.get("timeout"),
            initial_metadata: f.get("initialMetadata"),
        })
    }
}

impl Decode for HttpHeader {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        object(value, at, |f: &mut Fields<'_>| {
            let header = Self {
                name: f.get("name"),
                value: f.get("value"),
            };
            f.without_effect(&["envName"]);
            header
        })
    }
}

impl Decode for ResourceDetectors {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            environment: f.get("environment"),
            dynatrace: f.get("dynatrace"),
        })
    }
}

impl Decode for DefaultProviders {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            access_logging: f.get("accessLogging"),
            tracing: f.get("tracing"),
            metrics: f.get("metrics"),
        })
    }
}
