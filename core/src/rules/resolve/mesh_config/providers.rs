//! Extension providers as written → as they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::port;
use crate::mesh::{
    AccessLogEncoding, Collector, DefaultProviders, FileLog, GrpcExport, GrpcLog, HttpExport,
    LogFormat, OpenTelemetry, OtelLog, Provider, ProviderKind, Sampling, TagValue, TracingDefaults,
    Zipkin,
};
use crate::model::{ByName, Host};
use crate::rules::spec::{self, mesh_config as written};

/// Where Zipkin takes spans unless something else is said.
const ZIPKIN_PATH: &str = "/api/v2/spans";

/// The providers that are written, over those that are there without.
pub(super) fn providers(
    all: &[written::ExtensionProvider],
    mut built_in: BTreeMap<Arc<str>, Arc<Provider>>,
) -> BTreeMap<Arc<str>, Arc<Provider>> {
    for one in all {
        if let Some(kind) = kind(one) {
            let name = Arc::from(one.name.as_str());
            built_in.insert(Arc::clone(&name), Arc::new(Provider { name, kind }));
        }
    }
    built_in
}

/// The providers that count where no rule names any.
pub(super) fn defaults(written: &written::DefaultProviders) -> DefaultProviders {
    DefaultProviders {
        access_logging: texts(&written.access_logging),
        tracing: texts(&written.tracing),
        metrics: texts(&written.metrics),
    }
}

/// What is said of spans.
pub(super) fn tracing(written: &written::Tracing) -> TracingDefaults {
    let zipkin = written.zipkin.as_ref().and_then(|zipkin| {
        let (host, port) = zipkin.address.rsplit_once(':')?;
        Some(Zipkin {
            to: collector(host, port.parse().ok()?)?,
            max_path_tag_length: None,
            path: ZIPKIN_PATH.into(),
            short_trace_id: false,
            w3c: false,
        })
    });
    TracingDefaults {
        zipkin,
        sampling: written
            .sampling
            .and_then(|sampling| Sampling::of_percent(sampling.get())),
        tags: tags(&written.custom_tags),
        max_path_tag_length: length(written.max_path_tag_length),
    }
}

/// Tags of spans, sorted by name.
pub(in crate::rules::resolve) fn tags(
    written: &ByName<written::CustomTag>,
) -> Vec<(Arc<str>, TagValue)> {
    let all = written.iter();
    all.filter_map(|(name, tag)| Some((Arc::from(name), tag_value(tag)?)))
        .collect()
}

fn tag_value(tag: &written::CustomTag) -> Option<TagValue> {
    let lookup = |of: &written::Lookup| -> (Arc<str>, Arc<str>) {
        (of.name.as_str().into(), of.default_value.as_str().into())
    };
    let literal = tag.literal.as_ref().map(|literal| &literal.value);
    let formatter = tag.formatter.as_ref().map(|format| &format.value);
    let environment = tag.environment.as_ref().map(lookup);
    literal
        .map(|value| TagValue::Literal(value.as_str().into()))
        .or(environment.map(|(name, default)| TagValue::Environment(name, default)))
        .or_else(|| {
            let (name, default) = lookup(tag.header.as_ref()?);
            Some(TagValue::Header(name, default))
        })
        .or_else(|| Some(TagValue::Formatter(formatter?.as_str().into())))
}

fn kind(one: &written::ExtensionProvider) -> Option<ProviderKind> {
    if let Some(log) = &one.envoy_file_access_log {
        return Some(ProviderKind::FileLog(file_log(log)));
    }
    if let Some(log) = &one.envoy_http_als {
        return grpc_log(log, false).map(ProviderKind::GrpcLog);
    }
    if let Some(log) = &one.envoy_tcp_als {
        return grpc_log(log, true).map(ProviderKind::GrpcLog);
    }
    if let Some(log) = &one.envoy_otel_als {
        let format = log.log_format.as_ref();
        return Some(ProviderKind::OtelLog(OtelLog {
            to: collector_of(&log.service, log.port)?,
            log_name: or(&log.log_name, "otel_envoy_accesslog"),
            text: format
                .map(|format| format.text.as_str())
                .filter(|text| !text.is_empty())
                .map(Arc::from),
            labels: format.and_then(|format| labels(format.labels.as_ref())),
        }));
    }
    if let Some(zipkin) = &one.zipkin {
        return Some(ProviderKind::Zipkin(Zipkin {
            to: collector_of(&zipkin.service, zipkin.port)?,
            max_path_tag_length: length(zipkin.max_tag_length),
            path: or(&zipkin.path, ZIPKIN_PATH),
            short_trace_id: zipkin.enable64bit_trace_id,
            w3c: zipkin.trace_context_option == written::TraceContext::B3AndW3c,
        }));
    }
    if let Some(otel) = &one.opentelemetry {
        return opentelemetry(otel).map(ProviderKind::OpenTelemetry);
    }
    if one.prometheus.is_some() {
        return Some(ProviderKind::Prometheus);
    }
    one.inert.first().copied().map(ProviderKind::Inert)
}

fn file_log(log: &written::FileAccessLog) -> FileLog {
    let format = log.log_format.as_ref();
    let text = format
        .map(|format| format.text.as_str())
        .filter(|text| !text.is_empty());
    let labels = format.and_then(|format| labels(format.labels.as_ref()));
    // An object without fields asks for JSON in Istio's format.
    let is_json = format.is_some_and(|format| format.labels.is_some());
    FileLog {
        path: or(&log.path, "/dev/stdout"),
        format: match (text, labels) {
            (Some(text), _) => LogFormat::Text(text.into()),
            (None, Some(labels)) => LogFormat::Json(labels),
            (None, None) if is_json => LogFormat::Default(AccessLogEncoding::Json),
            (None, None) => LogFormat::Default(AccessLogEncoding::Text),
        },
        omit_empty: log.omit_empty_values,
    }
}

fn grpc_log(log: &written::GrpcAccessLog, connections: bool) -> Option<GrpcLog> {
    let default = match connections {
        true => "tcp_envoy_accesslog",
        false => "http_envoy_accesslog",
    };
    let headers = |all: &[String]| match connections {
        true => Vec::new(),
        false => texts(all),
    };
    Some(GrpcLog {
        connections,
        to: collector_of(&log.service, log.port)?,
        log_name: or(&log.log_name, default),
        filter_state: texts(&log.filter_state_objects_to_log),
        request_headers: headers(&log.additional_request_headers_to_log),
        response_headers: headers(&log.additional_response_headers_to_log),
        response_trailers: headers(&log.additional_response_trailers_to_log),
    })
}

fn opentelemetry(otel: &written::OpenTelemetry) -> Option<OpenTelemetry> {
    let pairs = |headers: &[written::HttpHeader]| -> Vec<(Arc<str>, Arc<str>)> {
        let valued = headers.iter().filter(|header| !header.value.is_empty());
        valued
            .map(|header| (header.name.as_str().into(), header.value.as_str().into()))
            .collect()
    };
    Some(OpenTelemetry {
        to: collector_of(&otel.service, otel.port)?,
        max_path_tag_length: length(otel.max_tag_length),
        http: otel.http.as_ref().map(|http| HttpExport {
            path: http.path.as_str().into(),
            timeout: http.timeout,
            headers: pairs(&http.headers),
        }),
        grpc: otel
            .grpc
            .as_ref()
            .map_or_else(GrpcExport::default, |grpc| GrpcExport {
                timeout: grpc.timeout,
                metadata: pairs(&grpc.initial_metadata),
            }),
        detect_environment: otel.resource_detectors.environment.is_some(),
        detect_dynatrace: otel.resource_detectors.dynatrace.is_some(),
    })
}

fn collector_of(service: &str, number: u32) -> Option<Collector> {
    collector(service, port(number)?)
}

fn collector(service: &str, port: u16) -> Option<Collector> {
    let (namespace, host) = match service.split_once('/') {
        Some((namespace, host)) => (Some(namespace.into()), host),
        None => (None, service),
    };
    Some(Collector {
        namespace,
        host: Host::new(host).ok()?,
        port,
    })
}

fn labels(labels: Option<&spec::mesh_config::Struct>) -> Option<Arc<str>> {
    let fields = &labels?.0;
    (!fields.is_empty()).then(|| Value::Object(fields.clone()).to_string().into())
}

fn texts(all: &[String]) -> Vec<Arc<str>> {
    all.iter().map(|text| text.as_str().into()).collect()
}

fn length(length: u32) -> Option<u32> {
    (length != 0).then_some(length)
}

fn or(text: &str, default: &str) -> Arc<str> {
    if text.is_empty() { default } else { text }.into()
}
