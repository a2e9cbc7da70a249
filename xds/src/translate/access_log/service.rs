//! Services that take access logs.

use envoy_types::pb::envoy::config::core::v3::ApiVersion;
use envoy_types::pb::envoy::extensions::access_loggers::grpc::v3::{
    CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig,
};
use envoy_types::pb::envoy::extensions::access_loggers::open_telemetry::v3::OpenTelemetryAccessLogConfig;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::opentelemetry::proto::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value,
};
use envoy_types::util::pack_any;
use pilothouse_core::mesh::{GrpcExport, GrpcLog, OtelLog};
use serde_json::Value as Json;

use super::super::Notes;
use super::super::tracing::grpc_service;
use super::format::{default_line, formatters};
use crate::extensions::Extension;
use crate::inputs::reports::Upstream;

/// A service that speaks Envoy's own protocol.
pub(super) fn grpc(log: &GrpcLog, to: &Upstream, notes: &mut Notes) -> (Extension, Any) {
    let common = Some(CommonGrpcAccessLogConfig {
        log_name: log.log_name.to_string(),
        grpc_service: Some(grpc_service(to, &GrpcExport::default(), notes)),
        transport_api_version: ApiVersion::V3.into(),
        filter_state_objects_to_log: texts(&log.filter_state),
        ..Default::default()
    });
    if log.connections {
        let config = TcpGrpcAccessLogConfig {
            common_config: common,
        };
        return (Extension::TcpGrpcLog, pack_any(config));
    }
    let config = HttpGrpcAccessLogConfig {
        common_config: common,
        additional_request_headers_to_log: texts(&log.request_headers),
        additional_response_headers_to_log: texts(&log.response_headers),
        additional_response_trailers_to_log: texts(&log.response_trailers),
    };
    (Extension::HttpGrpcLog, pack_any(config))
}

/// A service that speaks OpenTelemetry's protocol.
pub(super) fn otel(
    log: &OtelLog,
    to: &Upstream,
    older: bool,
    notes: &mut Notes,
) -> (Extension, Any) {
    let service = grpc_service(to, &GrpcExport::default(), notes);
    let body = log
        .text
        .as_deref()
        .map_or_else(|| default_line().trim_end().to_owned(), str::to_owned);
    let labels = log.labels.as_deref().unwrap_or_default();
    let mut config = OpenTelemetryAccessLogConfig {
        attributes: attributes(labels),
        formatters: formatters([body.as_str(), labels]),
        body: Some(string(body)),
        ..Default::default()
    };
    if older {
        #[allow(deprecated, reason = "older Envoys know nothing else")]
        {
            config.common_config = Some(CommonGrpcAccessLogConfig {
                log_name: log.log_name.to_string(),
                grpc_service: Some(service),
                transport_api_version: ApiVersion::V3.into(),
                ..Default::default()
            });
        }
    } else {
        config.log_name = log.log_name.to_string();
        config.grpc_service = Some(service);
    }
    (Extension::OtelLog, pack_any(config))
}

fn attributes(labels: &str) -> Option<KeyValueList> {
    let Ok(Json::Object(fields)) = serde_json::from_str(labels) else {
        return None;
    };
    Some(key_values(&fields))
}

fn key_values(fields: &serde_json::Map<String, Json>) -> KeyValueList {
    let values = fields.iter().map(|(key, json)| KeyValue {
        key: key.clone(),
        value: Some(value(json)),
        ..Default::default()
    });
    KeyValueList {
        values: values.collect(),
    }
}

/// Envoy takes texts, lists and objects.
fn value(json: &Json) -> AnyValue {
    let value = match json {
        Json::String(text) => return string(text.clone()),
        Json::Bool(_) | Json::Number(_) => return string(json.to_string()),
        Json::Null => return string(String::new()),
        Json::Array(items) => any_value::Value::ArrayValue(ArrayValue {
            values: items.iter().map(value).collect(),
        }),
        Json::Object(fields) => any_value::Value::KvlistValue(key_values(fields)),
    };
    AnyValue { value: Some(value) }
}

fn string(text: String) -> AnyValue {
    AnyValue {
        value: Some(any_value::Value::StringValue(text)),
    }
}

fn texts(all: &[std::sync::Arc<str>]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}
