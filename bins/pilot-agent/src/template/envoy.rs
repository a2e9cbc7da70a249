//! Whether a text is a configuration that an Envoy of this time reads: YAML, of its API v3, with fields that exist.
//!
//! Envoy would say so itself, after it has been started and in words of its own. Templates are often older than API v3, and that
//! is what people have to be told.

use std::fmt::Write as _;

use pilothouse_xds::json;
use serde_json::{Map, Value, json};

/// The type of Envoy's whole configuration.
const BOOTSTRAP: &str = "envoy.config.bootstrap.v3.Bootstrap";

/// Why Envoy would not read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is no YAML.
    #[error("it is no YAML: {0}")]
    Yaml(String),
    /// It is for an Envoy of long ago.
    #[error("it has content of Envoy's API v2, which no supported Envoy reads:{}", list(.0))]
    Old(Vec<String>),
    /// Something in it is not known, or not of its type.
    #[error("it is no configuration of Envoy: {0}")]
    Unknown(String),
}

fn list(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut all, line| {
        let _ = write!(all, "\n  {line}");
        all
    })
}

/// Whether Envoy reads `text`.
///
/// # Errors
/// It does not.
pub fn checked(text: &str) -> Result<(), Unusable> {
    let value: Value =
        serde_saphyr::from_str(text).map_err(|error| Unusable::Yaml(error.to_string()))?;
    let mut old = Vec::new();
    find_old(&value, "", &mut old);
    if !old.is_empty() {
        return Err(Unusable::Old(old));
    }
    json::from_json(BOOTSTRAP, &without_unknown_types(value))
        .map(drop)
        .map_err(|error| Unusable::Unknown(error.to_string()))
}

/// Notes what stands in API v2 alone, with its place and what API v3 has for it.
fn find_old(value: &Value, at: &str, old: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some((field, instead)) = of_old(fields, at) {
                let dot = if at.is_empty() { "" } else { "." };
                old.push(format!("{at}{dot}{field}: {instead}"));
            }
            for (name, value) in fields {
                let dot = if at.is_empty() { "" } else { "." };
                find_old(value, &format!("{at}{dot}{name}"), old);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                find_old(value, &format!("{at}[{index}]"), old);
            }
        }
        _ => {}
    }
}

/// The field of an object that API v3 does not have, and what to write instead.
fn of_old(fields: &Map<String, Value>, at: &str) -> Option<(&'static str, String)> {
    let has = |name: &str| fields.contains_key(name);
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let is_element_of = |list: &str| {
        at.rsplit_once('[')
            .is_some_and(|(before, index)| before.ends_with(list) && !index.contains('.'))
    };
    let say = |field, instead: &str| Some((field, instead.to_owned()));
    if at.is_empty() && has("listeners") {
        return say(
            "listeners",
            "this is API v1; write static_resources with listeners and clusters",
        );
    }
    if is_element_of("clusters") && has("hosts") {
        return say("hosts", "write load_assignment with endpoints");
    }
    if (is_element_of("clusters") || is_element_of("filter_chains")) && has("tls_context") {
        return say(
            "tls_context",
            "write transport_socket with a typed_config of UpstreamTlsContext or DownstreamTlsContext",
        );
    }
    if has("name") && fields.get("config").is_some_and(Value::is_object) && !has("@type") {
        let name = text("name").unwrap_or_default();
        let instead = format!(
            "{name} is configured without a type; write typed_config with its \"@type\"{}",
            new_name(name)
        );
        return Some(("config", instead));
    }
    if has("deprecated_v1") {
        return say("deprecated_v1", "write bind_to_port in the listener itself");
    }
    if has("verify_subject_alt_name") {
        return say(
            "verify_subject_alt_name",
            "write match_typed_subject_alt_names",
        );
    }
    if let Some(url) = text("@type").filter(|url| is_old_type(url)) {
        return Some((
            "@type",
            format!("{url} is a type of API v2; write that of v3"),
        ));
    }
    for version in ["transport_api_version", "resource_api_version"] {
        if let Some(written @ ("V2" | "AUTO")) = text(version) {
            let field = if version.starts_with('t') {
                "transport_api_version"
            } else {
                "resource_api_version"
            };
            return Some((field, format!("{written} is gone; write V3")));
        }
    }
    if matches!(
        text("api_type"),
        Some("UNSUPPORTED_REST_LEGACY" | "REST_LEGACY")
    ) {
        return say("api_type", "write GRPC or DELTA_GRPC");
    }
    if has("api_type") && !has("transport_api_version") {
        return say(
            "api_type",
            "without transport_api_version: V3 it asks for API v2",
        );
    }
    None
}

/// What a filter is called, if it has an old name.
fn new_name(old: &str) -> &'static str {
    match old {
        "envoy.http_connection_manager" => {
            ", and the name envoy.filters.network.http_connection_manager"
        }
        "envoy.tcp_proxy" => ", and the name envoy.filters.network.tcp_proxy",
        "envoy.router" => ", and the name envoy.filters.http.router",
        "envoy.file_access_log" => ", and the name envoy.access_loggers.file",
        _ => "",
    }
}

fn is_old_type(url: &str) -> bool {
    let name = url.rsplit('/').next().unwrap_or(url);
    name.starts_with("envoy.")
        && name
            .split('.')
            .any(|part| part == "v2" || part.starts_with("v2alpha"))
}

/// Types that an Envoy of one's own may know are left out of what is checked.
fn without_unknown_types(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let unknown = fields
                .get("@type")
                .and_then(Value::as_str)
                .is_some_and(|url| !json::knows(url));
            if unknown {
                return json!({ "@type": "type.googleapis.com/google.protobuf.Empty", "value": {} });
            }
            let known = fields
                .into_iter()
                .map(|(name, value)| (name, without_unknown_types(value)));
            Value::Object(known.collect())
        }
        Value::Array(values) => {
            Value::Array(values.into_iter().map(without_unknown_types).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_today_is_accepted() {
        for text in [
            "{}",
            "admin: { address: { socket_address: { address: 127.0.0.1, port_value: 15000 } } }",
            "static_resources: { clusters: [{ name: a, connect_timeout: 1s, load_assignment: { cluster_name: a } }] }",
            "static_resources: { listeners: [{ filter_chains: [{ filters: [{ name: own, typed_config: { \"@type\": type.googleapis.com/acme.Own, hosts: 3 } }] }] }] }",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
    }

    /// `text` is refused, and the error says all of `parts`.
    fn refused(text: &str, parts: &[&str]) {
        let error = checked(text).expect_err(text).to_string();
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_of_long_ago_is_named_with_its_place() {
        refused(
            r#"
admin: { access_log_path: /dev/null }
static_resources:
  clusters:
  - name: in.15010
    connect_timeout: 0.25s
    hosts: [{ socket_address: { address: 127.0.0.1, port_value: 15010 } }]
  listeners:
  - address: { socket_address: { address: 0.0.0.0, port_value: 15011 } }
    filter_chains:
    - tls_context: { common_tls_context: {} }
      filters:
      - name: envoy.http_connection_manager
        config: { stat_prefix: a }
"#,
            &[
                "API v2",
                "static_resources.clusters[0].hosts: write load_assignment",
                "static_resources.listeners[0].filter_chains[0].tls_context: write transport_socket",
                "filter_chains[0].filters[0].config: envoy.http_connection_manager is configured without a type",
                "envoy.filters.network.http_connection_manager",
            ],
        );
        for (text, part) in [
            ("listeners: []", "API v1"),
            (
                "dynamic_resources: { ads_config: { api_type: GRPC } }",
                "dynamic_resources.ads_config.api_type: without transport_api_version: V3",
            ),
            (
                "dynamic_resources: { ads_config: { api_type: GRPC, transport_api_version: V2 } }",
                "V2 is gone",
            ),
            (
                "static_resources: { listeners: [{ listener_filters: [{ name: a, typed_config: { \"@type\": type.googleapis.com/envoy.config.filter.http.router.v2.Router } }] }] }",
                "is a type of API v2",
            ),
        ] {
            refused(text, &["API v2", part]);
        }
    }

    #[test]
    fn what_does_not_exist_is_named() {
        refused("static_resource: {}", &["static_resource"]);
        refused("admin: { address: 3 }", &["admin.address"]);
        refused("a: [", &["no YAML", "line"]);
    }
}
