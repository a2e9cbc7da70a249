//! What entries of access logs look like.

use envoy_types::pb::envoy::config::core::v3::substitution_format_string::Format;
use envoy_types::pb::envoy::config::core::v3::{
    DataSource, SubstitutionFormatString, TypedExtensionConfig, data_source,
};
use envoy_types::pb::envoy::extensions::formatter::req_without_query::v3::ReqWithoutQuery;
use envoy_types::pb::google::protobuf::Struct;
use envoy_types::util::pack_any;
use pilothouse_core::mesh::{AccessLogEncoding, FileLog, LogFormat};
use serde_json::Value as Json;

use super::super::common::{list, nested, number, object, text};
use crate::extensions::{Extension, WITHOUT_QUERY};

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

/// The entries of a file.
pub(super) fn of_file(log: &FileLog) -> SubstitutionFormatString {
    let own = match &log.format {
        LogFormat::Default(_) => "",
        LogFormat::Text(format) | LogFormat::Json(format) => format,
    };
    SubstitutionFormatString {
        format: Some(format(&log.format)),
        formatters: formatters([own]),
        omit_empty_values: log.omit_empty,
        ..Default::default()
    }
}

/// What Envoy needs besides to read formats.
pub(super) fn formatters<'a>(
    formats: impl IntoIterator<Item = &'a str>,
) -> Vec<TypedExtensionConfig> {
    let needs_more = formats
        .into_iter()
        .any(|format| format.contains(WITHOUT_QUERY));
    let without_query = needs_more.then(|| TypedExtensionConfig {
        name: Extension::RequestWithoutQuery.name().into(),
        typed_config: Some(pack_any(ReqWithoutQuery {})),
    });
    without_query.into_iter().collect()
}

fn format(format: &LogFormat) -> Format {
    let line = |line: String| {
        Format::TextFormatSource(DataSource {
            specifier: Some(data_source::Specifier::InlineString(line)),
            ..Default::default()
        })
    };
    let default =
        || Format::JsonFormat(object(FIELDS.map(|(name, command)| (name, text(command)))));
    match format {
        LogFormat::Default(AccessLogEncoding::Text) => line(default_line()),
        LogFormat::Default(AccessLogEncoding::Json) => default(),
        LogFormat::Text(own) => line(with_newline(own)),
        LogFormat::Json(own) => own_object(own).map_or_else(default, Format::JsonFormat),
    }
}

fn with_newline(line: &str) -> String {
    if line.ends_with('\n') {
        line.to_owned()
    } else {
        format!("{line}\n")
    }
}

/// Istio's line.
pub(super) fn default_line() -> String {
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
            let all = formatters([format]).into_iter();
            all.map(|one| one.name).collect()
        };
        assert_eq!(names("%REQ(:PATH)%"), [""; 0]);
        assert_eq!(
            names("%REQ_WITHOUT_QUERY(:PATH)%"),
            ["envoy.formatter.req_without_query"]
        );
    }

    #[test]
    fn an_own_format_counts_if_it_can() {
        let line = |text: &str| {
            let specifier = Some(data_source::Specifier::InlineString(text.into()));
            Format::TextFormatSource(DataSource {
                specifier,
                ..Default::default()
            })
        };
        assert_eq!(format(&LogFormat::Text("a".into())), line("a\n"));
        let default = LogFormat::Default(AccessLogEncoding::Text);
        assert_eq!(format(&default), line(&default_line()));
        let own = object([(
            "a",
            nested(object([("b", list(vec![text("%PROTOCOL%"), number(1)]))])),
        )]);
        let written = r#"{"a": {"b": ["%PROTOCOL%", 1]}}"#;
        assert_eq!(
            format(&LogFormat::Json(written.into())),
            Format::JsonFormat(own)
        );
        let default = format(&LogFormat::Default(AccessLogEncoding::Json));
        assert_eq!(format(&LogFormat::Json("[1]".into())), default);
    }
}
