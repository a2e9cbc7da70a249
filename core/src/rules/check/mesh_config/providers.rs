//! Checks of extension providers, and of the providers that count by default.

use std::collections::BTreeSet;

use super::super::access_log;
use super::super::name::{host, is_label, plain_text, port_number};
use super::duration;
use crate::rules::at::At;
use crate::rules::spec::excerpt;
use crate::rules::spec::mesh_config::{
    DefaultProviders, ExtensionProvider, GrpcAccessLog, HttpHeader, LogFormat, MeshConfig,
    OpenTelemetry,
};

/// Providers that Istio has without their being written.
const BUILT_IN: [&str; 3] = ["envoy", "prometheus", "stackdriver"];

/// All that is wrong with the providers of `config`.
pub(super) fn providers(at: &At<'_>, config: &MeshConfig) {
    let all = at.field("extensionProviders");
    let mut names: BTreeSet<_> = BTreeSet::new();
    for (index, one) in config.extension_providers.iter().enumerate() {
        let here = all.index(index);
        if one.name.is_empty() {
            here.field("name")
                .error_hint("is missing", "rules choose providers by their names");
        } else if !names.insert(one.name.as_str()) {
            here.field("name").error(format!(
                "another provider has the name {:?}",
                excerpt(&one.name)
            ));
        }
        provider(&here, one);
    }
    names.extend(BUILT_IN);
    defaults(
        &at.field("defaultProviders"),
        &config.default_providers,
        &names,
    );
}

fn provider(at: &At<'_>, one: &ExtensionProvider) {
    let kinds = [
        one.envoy_file_access_log.is_some(),
        one.envoy_http_als.is_some(),
        one.envoy_tcp_als.is_some(),
        one.envoy_otel_als.is_some(),
        one.zipkin.is_some(),
        one.opentelemetry.is_some(),
        one.prometheus.is_some(),
    ];
    match kinds.iter().filter(|is_there| **is_there).count() + one.inert.len() {
        0 => at.error_hint(
            "says nothing beyond its name",
            "it has one of envoyFileAccessLog, envoyHttpAls, envoyTcpAls, envoyOtelAls, zipkin, opentelemetry, prometheus",
        ),
        1 => {}
        _ => at.error("is of several kinds: one provider is one"),
    }
    if let Some(log) = &one.envoy_file_access_log {
        let here = at.field("envoyFileAccessLog");
        plain_text(&here.field("path"), &log.path);
        log_format(&here.field("logFormat"), log.log_format.as_ref());
    }
    for (name, log) in [
        ("envoyHttpAls", &one.envoy_http_als),
        ("envoyTcpAls", &one.envoy_tcp_als),
    ] {
        if let Some(log) = log {
            grpc_log(&at.field(name), log);
        }
    }
    if let Some(tcp) = &one.envoy_tcp_als {
        let here = at.field("envoyTcpAls");
        let headers = [
            (
                "additionalRequestHeadersToLog",
                &tcp.additional_request_headers_to_log,
            ),
            (
                "additionalResponseHeadersToLog",
                &tcp.additional_response_headers_to_log,
            ),
            (
                "additionalResponseTrailersToLog",
                &tcp.additional_response_trailers_to_log,
            ),
        ];
        for (name, _) in headers.iter().filter(|(_, headers)| !headers.is_empty()) {
            here.field(name)
                .warning("has no effect: connections have no headers");
        }
    }
    if let Some(log) = &one.envoy_otel_als {
        let here = at.field("envoyOtelAls");
        service(&here, &log.service, log.port);
        log_format(&here.field("logFormat"), log.log_format.as_ref());
    }
    if let Some(zipkin) = &one.zipkin {
        let here = at.field("zipkin");
        service(&here, &zipkin.service, zipkin.port);
        path(&here.field("path"), &zipkin.path);
    }
    if let Some(otel) = &one.opentelemetry {
        opentelemetry(&at.field("opentelemetry"), otel);
    }
}

fn opentelemetry(at: &At<'_>, otel: &OpenTelemetry) {
    service(at, &otel.service, otel.port);
    if otel.http.is_some() && otel.grpc.is_some() {
        at.error("has both http and grpc: a collector is reached one way");
    }
    if let Some(http) = &otel.http {
        let here = at.field("http");
        if http.path.is_empty() {
            here.field("path")
                .error_hint("is missing", "such as /v1/traces");
        }
        path(&here.field("path"), &http.path);
        duration(&here.field("timeout"), http.timeout, super::MILLISECOND);
        headers(&here.field("headers"), &http.headers);
    }
    if let Some(grpc) = &otel.grpc {
        let here = at.field("grpc");
        duration(&here.field("timeout"), grpc.timeout, super::MILLISECOND);
        headers(&here.field("initialMetadata"), &grpc.initial_metadata);
    }
}

fn grpc_log(at: &At<'_>, log: &GrpcAccessLog) {
    service(at, &log.service, log.port);
    plain_text(&at.field("logName"), &log.log_name);
    for (name, all) in [
        (
            "additionalRequestHeadersToLog",
            &log.additional_request_headers_to_log,
        ),
        (
            "additionalResponseHeadersToLog",
            &log.additional_response_headers_to_log,
        ),
        (
            "additionalResponseTrailersToLog",
            &log.additional_response_trailers_to_log,
        ),
    ] {
        for (index, header) in all.iter().enumerate() {
            header_name(&at.field(name).index(index), header);
        }
    }
}

fn headers(at: &At<'_>, headers: &[HttpHeader]) {
    for (index, header) in headers.iter().enumerate() {
        let here = at.index(index);
        header_name(&here.field("name"), &header.name);
        plain_text(&here.field("value"), &header.value);
    }
}

/// The name of a header that Envoy takes.
pub(in crate::rules::check) fn header_name(at: &At<'_>, name: &str) {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
    let own = name.strip_prefix(':').unwrap_or(name);
    if own.is_empty() {
        at.error("is missing");
    } else if !own.bytes().all(is_letter) {
        at.error(format!("{:?} is no name of a header", excerpt(name)));
    }
}

fn path(at: &At<'_>, path: &str) {
    plain_text(at, path);
    if !path.is_empty() && !path.starts_with('/') {
        at.error(format!("{:?} does not begin with '/'", excerpt(path)));
    }
}

fn log_format(at: &At<'_>, format: Option<&LogFormat>) {
    let Some(format) = format else { return };
    access_log::text(&at.field("text"), &format.text);
    let Some(labels) = &format.labels else { return };
    let here = at.field("labels");
    for (key, value) in &labels.0 {
        access_log::json(&here.key(key), value);
    }
}

/// `host` or `namespace/host`, and a port.
fn service(at: &At<'_>, service: &str, port: u32) {
    let here = at.field("service");
    if service.is_empty() {
        here.error_hint("is missing", "a host, optionally after a namespace and '/'");
    } else {
        let own = match service.split_once('/') {
            Some((namespace, own)) => {
                if !is_label(namespace) {
                    here.error(format!("{:?} is not a namespace", excerpt(namespace)));
                }
                own
            }
            None => service,
        };
        if host(&here, own).is_some_and(|host| host.is_wildcard()) {
            here.error("is a wildcard: one service takes reports");
        }
    }
    port_number(&at.field("port"), port);
}

fn defaults(at: &At<'_>, defaults: &DefaultProviders, known: &BTreeSet<&str>) {
    for (name, all) in [
        ("accessLogging", &defaults.access_logging),
        ("tracing", &defaults.tracing),
        ("metrics", &defaults.metrics),
    ] {
        let here = at.field(name);
        for (index, provider) in all.iter().enumerate() {
            if !known.contains(provider.as_str()) {
                here.index(index).error_hint(
                    format!("{:?} is not a provider", excerpt(provider)),
                    "one of extensionProviders, by its name",
                );
            }
        }
    }
    if defaults.tracing.len() > 1 {
        at.field("tracing")
            .warning("has several providers, of which the first counts");
    }
}
