//! What templates may ask for: the names of Istio 1.0, and what a configuration of today's API needs beside them.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{absolute, xds_socket};
use crate::config::{Config, Source};
use crate::relay::Address;

/// The values of a template's fields, by name.
pub(super) fn data(config: &Config) -> Map<String, Value> {
    let identity = &config.identity;
    let text = |key: &str| {
        identity
            .metadata
            .get(key)
            .cloned()
            .unwrap_or_else(|| json!(""))
    };
    let without_telemetry = matches!(
        &config.envoy.source,
        Source::Template {
            without_telemetry: true,
            ..
        }
    );
    let discovery = config.discovery.first();
    let host = discovery.map(|Address { host, .. }| host);
    let port = discovery.map(|Address { port, .. }| port);
    let path = |path| json!(absolute(path).display().to_string());
    let fields = [
        // Of 1.0.
        ("PodName", text("NAME")),
        ("PodNamespace", json!(identity.namespace)),
        ("PodIP", json!(encoded(identity.node.ip))),
        ("ControlPlaneAuth", flag(config.control_plane_tls, "enable")),
        ("DisableReportCalls", flag(without_telemetry, "true")),
        // Who the proxy is.
        ("NodeId", json!(identity.node.to_string())),
        ("NodeIP", json!(identity.node.ip.to_string())),
        ("Domain", json!(&*identity.node.domain)),
        ("ServiceCluster", json!(identity.cluster)),
        ("Region", json!(&*identity.locality.region)),
        ("Zone", json!(&*identity.locality.zone)),
        ("SubZone", json!(&*identity.locality.sub_zone)),
        (
            "Labels",
            identity
                .metadata
                .get("LABELS")
                .cloned()
                .unwrap_or_else(|| json!({})),
        ),
        ("Metadata", Value::Object(identity.metadata.clone())),
        (
            "HostIP",
            json!(config.host_ip.as_deref().unwrap_or_default()),
        ),
        // Where things are.
        ("AdminPort", json!(config.ports.admin.port())),
        ("StatusPort", json!(config.ports.status.unwrap_or_default())),
        ("ReadinessPort", json!(config.ports.readiness)),
        ("PrometheusPort", json!(config.ports.prometheus)),
        ("DiscoveryHost", json!(host)),
        ("DiscoveryPort", json!(port)),
        ("XdsSocket", path(&xds_socket(config))),
        ("SdsSocket", path(&config.certificates.socket)),
        ("CertDir", path(&config.certificates.dir)),
        ("ConfigPath", path(&config.config_path)),
    ];
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Templates ask whether a text is empty.
fn flag(on: bool, text: &str) -> Value {
    json!(if on { text } else { "" })
}

/// As 1.0 has it: all addresses have sixteen bytes.
fn encoded(ip: IpAddr) -> String {
    let ip = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    STANDARD.encode(ip.octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded_as_in_1_0() {
        assert_eq!(
            encoded("10.0.0.1".parse().unwrap()),
            "AAAAAAAAAAAAAP//CgAAAQ=="
        );
        assert_eq!(
            encoded("fd00::1".parse().unwrap()),
            "/QAAAAAAAAAAAAAAAAAAAQ=="
        );
    }
}
