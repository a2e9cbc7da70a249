//! Spans: who takes them, of how many requests, and with which tags.

use envoy_types::pb::envoy::config::core::v3::{
    GrpcService, HeaderValue, HeaderValueOption, HttpService, HttpUri, TypedExtensionConfig,
    grpc_service as grpc, http_uri,
};
use envoy_types::pb::envoy::config::trace::v3::tracing::{Http, http};
use envoy_types::pb::envoy::config::trace::v3::zipkin_config::{
    CollectorEndpointVersion, TraceContextOption,
};
use envoy_types::pb::envoy::config::trace::v3::{OpenTelemetryConfig, ZipkinConfig};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::RequestIdExtension;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::Tracing as Config;
use envoy_types::pb::envoy::extensions::request_id::uuid::v3::UuidRequestIdConfig;
use envoy_types::pb::envoy::extensions::tracers::opentelemetry::resource_detectors::v3::{
    DynatraceResourceDetectorConfig, EnvironmentResourceDetectorConfig,
};
use envoy_types::pb::envoy::r#type::tracing::v3::custom_tag::{Environment, Header, Literal, Type};
use envoy_types::pb::envoy::r#type::tracing::v3::CustomTag;
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::util::pack_any;
use pilothouse_core::mesh::{GrpcExport, HttpExport, OpenTelemetry, TagValue, Zipkin};
use prost::Message;

use super::Notes;
use super::common::{boolean, duration, uint};
use crate::extensions::Extension;
use crate::inputs::reports::{Tracer, Tracing, Upstream};

/// How long an export may take unless something else is said, by HTTP.
const HTTP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Spans of requests.
pub(super) fn tracing(spans: &Tracing, notes: &mut Notes) -> Config {
    let percent = |value| Some(Percent { value });
    Config {
        client_sampling: percent(100.0),
        random_sampling: percent(spans.sampling.percent()),
        overall_sampling: percent(100.0),
        max_path_tag_length: spans.max_path_tag_length.and_then(uint),
        custom_tags: spans.tags.iter().map(tag).collect(),
        provider: Some(provider(&spans.tracer, notes)),
        spawn_upstream_span: spans.spawn_upstream_span.then(|| boolean(true)).flatten(),
        ..Default::default()
    }
}

/// That a request's identity does not say whether it is traced; nothing where it does.
pub(super) fn request_id(spans: &Tracing) -> Option<RequestIdExtension> {
    (!spans.by_request_id).then(|| RequestIdExtension {
        typed_config: Some(pack_any(UuidRequestIdConfig {
            use_request_id_for_trace_sampling: boolean(false),
            ..Default::default()
        })),
    })
}

/// A service that is reached by gRPC.
pub(super) fn grpc_service(to: &Upstream, how: &GrpcExport, notes: &mut Notes) -> GrpcService {
    notes.clusters.insert(to.cluster.clone());
    let metadata = how.metadata.iter().map(|(key, value)| HeaderValue {
        key: key.to_string(),
        value: value.to_string(),
        ..Default::default()
    });
    GrpcService {
        timeout: how.timeout.and_then(duration),
        initial_metadata: metadata.collect(),
        target_specifier: Some(grpc::TargetSpecifier::EnvoyGrpc(grpc::EnvoyGrpc {
            cluster_name: to.cluster.to_string(),
            authority: to.host.to_string(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

fn provider(tracer: &Tracer, notes: &mut Notes) -> Http {
    match tracer {
        Tracer::Zipkin(how, to) => packed(Extension::Zipkin, zipkin(how, to, notes)),
        Tracer::OpenTelemetry {
            otel,
            to,
            service_name,
        } => {
            let mut config = opentelemetry(otel, to, notes);
            config.service_name = service_name.to_string();
            packed(Extension::OpenTelemetry, config)
        }
    }
}

fn packed<T: Message + prost::Name>(extension: Extension, config: T) -> Http {
    Http {
        name: extension.name().into(),
        config_type: Some(http::ConfigType::TypedConfig(pack_any(config))),
    }
}

fn zipkin(how: &Zipkin, to: &Upstream, notes: &mut Notes) -> ZipkinConfig {
    notes.clusters.insert(to.cluster.clone());
    ZipkinConfig {
        collector_cluster: to.cluster.to_string(),
        collector_endpoint: how.path.to_string(),
        collector_endpoint_version: CollectorEndpointVersion::HttpJson.into(),
        collector_hostname: to.host.to_string(),
        trace_id_128bit: !how.short_trace_id,
        shared_span_context: boolean(false),
        trace_context_option: match how.w3c {
            true => TraceContextOption::UseB3WithW3cPropagation.into(),
            false => TraceContextOption::UseB3.into(),
        },
        ..Default::default()
    }
}

fn opentelemetry(how: &OpenTelemetry, to: &Upstream, notes: &mut Notes) -> OpenTelemetryConfig {
    let detector = |name: &str, config| TypedExtensionConfig {
        name: format!("envoy.tracers.opentelemetry.resource_detectors.{name}"),
        typed_config: Some(config),
    };
    let environment = how.detect_environment.then(|| {
        let config = EnvironmentResourceDetectorConfig::default();
        detector("environment", pack_any(config))
    });
    let dynatrace = how.detect_dynatrace.then(|| {
        let config = DynatraceResourceDetectorConfig::default();
        detector("dynatrace", pack_any(config))
    });
    let mut config = OpenTelemetryConfig {
        resource_detectors: environment.into_iter().chain(dynatrace).collect(),
        ..Default::default()
    };
    match &how.http {
        Some(http) => config.http_service = Some(http_service(http, to, notes)),
        None => config.grpc_service = Some(grpc_service(to, &how.grpc, notes)),
    }
    config
}

fn http_service(how: &HttpExport, to: &Upstream, notes: &mut Notes) -> HttpService {
    notes.clusters.insert(to.cluster.clone());
    let headers = how.headers.iter().map(|(key, value)| HeaderValueOption {
        header: Some(HeaderValue {
            key: key.to_string(),
            value: value.to_string(),
            ..Default::default()
        }),
        ..Default::default()
    });
    HttpService {
        http_uri: Some(HttpUri {
            uri: format!("http://{}{}", to.host, how.path),
            timeout: duration(how.timeout.unwrap_or(HTTP_TIMEOUT)),
            http_upstream_type: Some(http_uri::HttpUpstreamType::Cluster(to.cluster.to_string())),
        }),
        request_headers_to_add: headers.collect(),
        ..Default::default()
    }
}

fn tag((name, value): &(std::sync::Arc<str>, TagValue)) -> CustomTag {
    let value = match value {
        TagValue::Literal(value) => Type::Literal(Literal {
            value: value.to_string(),
        }),
        TagValue::Environment(name, default) => Type::Environment(Environment {
            name: name.to_string(),
            default_value: default.to_string(),
        }),
        TagValue::Header(name, default) => Type::RequestHeader(Header {
            name: name.to_string(),
            default_value: default.to_string(),
        }),
        TagValue::Formatter(format) => Type::Value(format.to_string()),
    };
    CustomTag {
        tag: name.to_string(),
        r#type: Some(value),
    }
}
