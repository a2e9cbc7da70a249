//! Extension providers: what proxies report to, as mesh config names them.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{AccessLog, AccessLogEncoding};
use crate::model::{Host, NamespaceName};

/// What proxies report to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Provider {
    /// What rules call it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: ProviderKind,
}

/// What a provider is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ProviderKind {
    /// A file of access logs.
    FileLog(FileLog),
    /// A service that takes access logs by Envoy's own protocol.
    GrpcLog(GrpcLog),
    /// A service that takes access logs by OpenTelemetry's protocol.
    OtelLog(OtelLog),
    /// A collector of spans.
    Zipkin(Zipkin),
    /// A collector of spans, by OpenTelemetry's protocol.
    OpenTelemetry(OpenTelemetry),
    /// Whoever scrapes proxies.
    Prometheus,
    /// Something that has no effect here, by the name of its field.
    Inert(&'static str),
}

/// A service that takes reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Collector {
    /// The namespace that declares it, if that is said.
    pub namespace: Option<NamespaceName>,
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
}

/// A file of access logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FileLog {
    /// Where it is, such as `/dev/stdout`.
    pub path: Arc<str>,
    /// How its lines look.
    pub format: LogFormat,
    /// Whether what has no value is left out instead of written as `-`.
    pub omit_empty: bool,
}

/// How access logs look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum LogFormat {
    /// Istio's default.
    Default(AccessLogEncoding),
    /// A line of Envoy's operators.
    Text(Arc<str>),
    /// An object of Envoy's operators, as JSON.
    Json(Arc<str>),
}

/// A service that takes access logs by Envoy's own protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GrpcLog {
    /// Whether it is about connections; otherwise it is about requests.
    pub connections: bool,
    /// The service.
    pub to: Collector,
    /// What the log is called.
    pub log_name: Arc<str>,
    /// Filter state that is part of it.
    pub filter_state: Vec<Arc<str>>,
    /// Headers of requests that are part of it.
    pub request_headers: Vec<Arc<str>>,
    /// Headers of responses that are part of it.
    pub response_headers: Vec<Arc<str>>,
    /// Trailers of responses that are part of it.
    pub response_trailers: Vec<Arc<str>>,
}

/// A service that takes access logs by OpenTelemetry's protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct OtelLog {
    /// The service.
    pub to: Collector,
    /// What the log is called.
    pub log_name: Arc<str>,
    /// The body of an entry; `None`: Istio's default line.
    pub text: Option<Arc<str>>,
    /// The attributes of an entry, as a JSON object of Envoy's operators.
    pub labels: Option<Arc<str>>,
}

/// A collector of spans that speaks Zipkin's protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Zipkin {
    /// The service.
    pub to: Collector,
    /// How much of a path is kept.
    pub max_path_tag_length: Option<u32>,
    /// Where it takes spans.
    pub path: Arc<str>,
    /// Whether identities of traces are short.
    pub short_trace_id: bool,
    /// Whether W3C's headers are read and written beside Zipkin's own.
    pub w3c: bool,
}

/// A collector of spans that speaks OpenTelemetry's protocol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct OpenTelemetry {
    /// The service.
    pub to: Collector,
    /// How much of a path is kept.
    pub max_path_tag_length: Option<u32>,
    /// That it is reached by HTTP; otherwise by gRPC.
    pub http: Option<HttpExport>,
    /// How it is reached by gRPC.
    pub grpc: GrpcExport,
    /// Whether attributes of the process come from its environment.
    pub detect_environment: bool,
    /// Whether they come from Dynatrace's files.
    pub detect_dynatrace: bool,
}

/// How a collector is reached by HTTP.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct HttpExport {
    /// Where it takes spans.
    pub path: Arc<str>,
    /// How long an export may take.
    pub timeout: Option<Duration>,
    /// Headers that it wants.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
}

/// How a collector is reached by gRPC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct GrpcExport {
    /// How long an export may take.
    pub timeout: Option<Duration>,
    /// Metadata that it wants.
    pub metadata: Vec<(Arc<str>, Arc<str>)>,
}

/// The providers that count where no rule names any.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct DefaultProviders {
    /// Of access logs.
    pub access_logging: Vec<Arc<str>>,
    /// Of spans: the first counts.
    pub tracing: Vec<Arc<str>>,
    /// Of metrics.
    pub metrics: Vec<Arc<str>>,
}

/// What mesh config says of spans (`defaultConfig.tracing`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct TracingDefaults {
    /// Where spans go if mesh config enables tracing and no provider is named.
    pub zipkin: Option<Zipkin>,
    /// How many requests are traced.
    pub sampling: Option<Sampling>,
    /// Tags of every span, sorted by name.
    pub tags: Vec<(Arc<str>, TagValue)>,
    /// How much of a path is kept.
    pub max_path_tag_length: Option<u32>,
}

/// A share of all requests, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Sampling(pub u32);

impl Sampling {
    /// What Istio samples unless somebody says otherwise: one percent.
    pub const DEFAULT: Self = Self(100);

    /// A share in percent; `None` for what is none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked just before"
    )]
    pub fn of_percent(percent: f64) -> Option<Self> {
        (0.0..=100.0)
            .contains(&percent)
            .then(|| Self((percent * 100.0).round() as u32))
    }

    /// In percent.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// The value of a span's tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum TagValue {
    /// As it is.
    Literal(Arc<str>),
    /// A variable of Envoy's environment, and what stands for it where it is missing.
    Environment(Arc<str>, Arc<str>),
    /// A header of the request, and what stands for it where it is missing.
    Header(Arc<str>, Arc<str>),
    /// A format of Envoy's operators.
    Formatter(Arc<str>),
}

impl From<&AccessLog> for FileLog {
    fn from(log: &AccessLog) -> Self {
        let format = log.format.as_ref().filter(|format| !format.is_empty());
        Self {
            path: log.file.clone(),
            format: match (format, log.encoding) {
                (None, encoding) => LogFormat::Default(encoding),
                (Some(format), AccessLogEncoding::Text) => LogFormat::Text(format.clone()),
                (Some(format), AccessLogEncoding::Json) => LogFormat::Json(format.clone()),
            },
            omit_empty: false,
        }
    }
}

impl ProviderKind {
    /// The service that it needs, if it needs any.
    pub fn collector(&self) -> Option<&Collector> {
        match self {
            Self::GrpcLog(log) => Some(&log.to),
            Self::OtelLog(log) => Some(&log.to),
            Self::Zipkin(zipkin) => Some(&zipkin.to),
            Self::OpenTelemetry(otel) => Some(&otel.to),
            Self::FileLog(_) | Self::Prometheus | Self::Inert(_) => None,
        }
    }

    /// Whether it takes access logs.
    pub fn takes_logs(&self) -> bool {
        matches!(self, Self::FileLog(_) | Self::GrpcLog(_) | Self::OtelLog(_))
    }

    /// Whether it takes spans.
    pub fn takes_spans(&self) -> bool {
        matches!(self, Self::Zipkin(_) | Self::OpenTelemetry(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_to_a_hundredth_of_a_percent() {
        let check = |percent, expected: Option<f64>| {
            assert_eq!(
                Sampling::of_percent(percent).map(Sampling::percent),
                expected,
                "{percent}"
            );
        };
        check(0.0, Some(0.0));
        check(100.0, Some(100.0));
        check(33.335, Some(33.34));
        check(0.01, Some(0.01));
        check(100.1, None);
        check(-1.0, None);
        check(f64::NAN, None);
    }
}
