//! What a proxy reports of requests and connections, and to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_core::mesh::{
    FileLog, GrpcLog, LogFormat, Mesh, OpenTelemetry, OtelLog, Sampling, TagValue, Zipkin,
};
use pilothouse_core::model::Host;
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{Metric, TagOverride};

use crate::extensions::{Extension, Missing, WITHOUT_QUERY};
use crate::resource::Name;

/// What one side of a proxy reports, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Reports {
    /// Where requests and connections are written down.
    pub logs: Vec<Log>,
    /// Whom spans are sent to.
    pub tracing: Option<Tracing>,
    /// What is counted.
    pub metrics: Option<Metrics>,
    /// The rules that say it.
    pub rules: Vec<ObjectKey>,
}

/// Where requests and connections are written down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Log {
    /// Where.
    pub to: LogTo,
    /// Which of them, in CEL; `None`: all.
    pub filter: Option<Arc<str>>,
}

/// Where requests and connections are written down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogTo {
    /// In a file.
    File(FileLog),
    /// By a service that speaks Envoy's own protocol.
    Grpc(GrpcLog, Upstream),
    /// By a service that speaks OpenTelemetry's protocol.
    Otel {
        /// How.
        log: OtelLog,
        /// The service.
        to: Upstream,
        /// Whether the proxy knows only the older of the fields that name the service.
        older: bool,
    },
}

/// A service that takes reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upstream {
    /// Its cluster.
    pub cluster: Name,
    /// Its host.
    pub host: Host,
}

/// Whom spans are sent to, and of what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tracing {
    /// To whom.
    pub tracer: Tracer,
    /// How many requests are traced of those of which no client has decided it.
    pub sampling: Sampling,
    /// How much of a path is kept.
    pub max_path_tag_length: Option<u32>,
    /// Tags of every span, sorted by name.
    pub tags: Vec<(Arc<str>, TagValue)>,
    /// Whether what goes on upstream has a span of its own.
    pub spawn_upstream_span: bool,
    /// Whether a request's identity says whether it is traced.
    pub by_request_id: bool,
}

/// Who takes spans.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tracer {
    /// A collector that speaks Zipkin's protocol.
    Zipkin(Zipkin, Upstream),
    /// One that speaks OpenTelemetry's.
    OpenTelemetry {
        /// How.
        otel: OpenTelemetry,
        /// The service.
        to: Upstream,
        /// What the proxy's workload is called there.
        service_name: Arc<str>,
    },
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metrics {
    /// Whether it is counted by who is asked; otherwise by who asks.
    pub by_destination: bool,
    /// What is counted, and which of its tags are other than Istio's.
    pub counted: BTreeMap<Metric, BTreeMap<Arc<str>, TagOverride>>,
    /// What is known of the proxy's own workload.
    pub own: Own,
}

/// What metrics say of the proxy's own workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Own {
    /// Its name.
    pub workload: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its identity.
    pub principal: Arc<str>,
    /// The application that it is part of.
    pub app: Arc<str>,
    /// The application's version.
    pub version: Arc<str>,
    /// The canonical name of its service.
    pub canonical_service: Arc<str>,
    /// The canonical name of its service's revision.
    pub canonical_revision: Arc<str>,
    /// Its cluster.
    pub cluster: Arc<str>,
}

/// What listeners report: what rules or providers say, or what mesh config says without any.
pub(super) fn reports(
    mesh: &Mesh,
    selected: Option<&Arc<Reports>>,
    without: Missing,
) -> Arc<Reports> {
    if let Some(selected) = selected {
        return Arc::clone(selected);
    }
    Arc::new(Reports {
        logs: log_of_mesh_config(mesh, without).into_iter().collect(),
        ..Reports::default()
    })
}

/// The access log that mesh config asks for without naming a provider.
pub(crate) fn log_of_mesh_config(mesh: &Mesh, without: Missing) -> Option<Log> {
    let log = mesh.config().access_log.as_ref()?;
    file_log(FileLog::from(log), without).map(|to| Log { to, filter: None })
}

/// A file of logs for a proxy that lacks `without`; `None` where it cannot have one.
pub(crate) fn file_log(log: FileLog, without: Missing) -> Option<LogTo> {
    let needs_more = match &log.format {
        LogFormat::Default(_) => false,
        LogFormat::Text(format) | LogFormat::Json(format) => format.contains(WITHOUT_QUERY),
    };
    let is_impossible = without.has(Extension::FileAccessLog)
        || needs_more && without.has(Extension::RequestWithoutQuery);
    (!is_impossible).then_some(LogTo::File(log))
}
