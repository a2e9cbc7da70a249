//! Access logs, in Istio's formats unless mesh config has one of its own.

use envoy_types::pb::envoy::config::accesslog::v3::{
    AccessLog as EnvoyAccessLog, AccessLogFilter, ResponseFlagFilter, access_log, access_log_filter,
};
use envoy_types::pb::envoy::config::core::v3::{
    DataSource, SubstitutionFormatString, TypedExtensionConfig, data_source,
    substitution_format_string,
};
use envoy_types::pb::envoy::extensions::access_loggers::file::v3::{
    FileAccessLog, file_access_log,
};
use envoy_types::pb::envoy::extensions::formatter::req_without_query::v3::ReqWithoutQuery;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::util::pack_any;
use pilothouse_core::mesh::{AccessLog, AccessLogEncoding};
use serde_json::Value as Json;

use crate::extensions::{Extension, WITHOUT_QUERY};

use super::common::{list, nested, number, object, text};

/// The fields, by their names in JSON; the line of text has the same in the same order.
const FIELDS: [(&str, &str); 24] = [
    ("start_time", "%START_TIME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    (
        "connection_termination_details",
        "%CONNECTION_TERMINATION_DETAILS%",
    ),
    (
        "upstream_transport_failure_reason",
        "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    ),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    (
        "upstream_service_time",
        "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    ),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("route_name", "%ROUTE_NAME%"),
];

/// The fields that stand in quotes in the line of text.
const QUOTED: [&str; 6] = [
    "upstream_transport_failure_reason",
    "x_forwarded_for",
    "user_agent",
    "request_id",
    "authority",
    "upstream_host",
];

/// The log of requests and connections; nothing if there is to be none.
pub(super) fn access_log(log: Option<&AccessLog>) -> Vec<EnvoyAccessLog> {
    log.map(|log| entry(log, None)).into_iter().collect()
}

/// The log of a listener: connections that found no chain.
pub(super) fn listener_log(log: Option<&AccessLog>) -> Vec<EnvoyAccessLog> {
    let no_route = ResponseFlagFilter {
        flags: vec!["NR".into()],
    };
    let filter = AccessLogFilter {
        filter_specifier: Some(access_log_filter::FilterSpecifier::ResponseFlagFilter(
            no_route,
        )),
    };
    log.map(|log| entry(log, Some(filter)))
        .into_iter()
        .collect()
}

fn entry(log: &AccessLog, filter: Option<AccessLogFilter>) -> EnvoyAccessLog {
    let format = SubstitutionFormatString {
        format: Some(format(log)),
        formatters: formatters(log),
        ..Default::default()
    };
    let file = FileAccessLog {
        path: log.file.to_string(),
        access_log_format: Some(file_access_log::AccessLogFormat::LogFormat(format)),
    };
    EnvoyAccessLog {
        name: Extension::FileAccessLog.name().into(),
        filter,
        config_type: Some(access_log::ConfigType::TypedConfig(pack_any(file))),
    }
}

/// What Envoy needs besides to read a format.
fn formatters(log: &AccessLog) -> Vec<TypedExtensionConfig> {
    let format = log.format.as_deref().unwrap_or_default();
    let without_query = format
        .contains(WITHOUT_QUERY)
        .then(|| TypedExtensionConfig {
            name: Extension::RequestWithoutQuery.name().into(),
            typed_config: Some(pack_any(ReqWithoutQuery {})),
        });
    without_query.into_iter().collect()
}

fn format(log: &AccessLog) -> substitution_format_string::Format {
    match log.encoding {
        AccessLogEncoding::Text => {
            let line = log
                .format
                .as_deref()
                .filter(|line| !line.is_empty())
                .map_or_else(default_line, with_newline);
            substitution_format_string::Format::TextFormatSource(DataSource {
                specifier: Some(data_source::Specifier::InlineString(line)),
                ..Default::default()
            })
        }
        AccessLogEncoding::Json => {
            let own = log.format.as_deref().and_then(own_object);
            let default = || object(FIELDS.map(|(name, command)| (name, text(command))));
            substitution_format_string::Format::JsonFormat(own.unwrap_or_else(default))
        }
    }
}

fn with_newline(line: &str) -> String {
    if line.ends_with('\n') {
        line.to_owned()
    } else {
        format!("{line}\n")
    }
}

fn default_line() -> String {
    let word = |(name, command): &(&str, &str)| match *name {
        "start_time" => format!("[{command}]"),
        "method" => format!("\"{command}"),
        "protocol" => format!("{command}\""),
        name if QUOTED.contains(&name) => format!("\"{command}\""),
        _ => (*command).to_owned(),
    };
    let words: Vec<String> = FIELDS.iter().map(word).collect();
    with_newline(&words.join(" "))
}

/// A format of JSON that is an object.
fn own_object(format: &str) -> Option<Struct> {
    match serde_json::from_str(format).ok()? {
        Json::Object(fields) => Some(object(
            fields.iter().map(|(key, json)| (key.as_str(), value(json))),
        )),
        _ => None,
    }
}

fn value(json: &Json) -> envoy_types::pb::google::protobuf::Value {
    match json {
        Json::String(string) => text(string.as_str()),
        Json::Number(n) => number(n.as_f64().unwrap_or_default()),
        Json::Array(items) => list(items.iter().map(value).collect()),
        Json::Object(fields) => nested(object(
            fields.iter().map(|(key, json)| (key.as_str(), value(json))),
        )),
        Json::Bool(_) | Json::Null => text(json.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_line_is_istios() {
        let expected = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% \
            %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \
            \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
            %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \
            \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% \
            %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";
        assert_eq!(default_line(), expected);
    }

    #[test]
    fn a_formatter_comes_with_the_operator_that_needs_it() {
        let names = |format: &str| -> Vec<String> {
            let log = AccessLog {
                file: "/dev/stdout".into(),
                encoding: AccessLogEncoding::Text,
                format: Some(format.into()),
            };
            formatters(&log).into_iter().map(|one| one.name).collect()
        };
        assert_eq!(names("%REQ(:PATH)%"), [""; 0]);
        assert_eq!(
            names("%REQ_WITHOUT_QUERY(:PATH)%"),
            ["envoy.formatter.req_without_query"]
        );
    }

    #[test]
    fn an_own_format_counts_if_it_can() {
        let of = |encoding, text: &str| {
            format(&AccessLog {
                file: "/dev/stdout".into(),
                encoding,
                format: Some(text.into()),
            })
        };
        let line = |text: &str| {
            let specifier = Some(data_source::Specifier::InlineString(text.into()));
            substitution_format_string::Format::TextFormatSource(DataSource {
                specifier,
                ..Default::default()
            })
        };
        assert_eq!(of(AccessLogEncoding::Text, "a"), line("a\n"));
        assert_eq!(of(AccessLogEncoding::Text, ""), line(&default_line()));
        let json = |fields| substitution_format_string::Format::JsonFormat(fields);
        let own = object([(
            "a",
            nested(object([("b", list(vec![text("%PROTOCOL%"), number(1)]))])),
        )]);
        assert_eq!(
            of(
                AccessLogEncoding::Json,
                r#"{"a": {"b": ["%PROTOCOL%", 1]}}"#
            ),
            json(own)
        );
        let default = object(FIELDS.map(|(name, command)| (name, text(command))));
        assert_eq!(of(AccessLogEncoding::Json, "[1]"), json(default));
    }
}
