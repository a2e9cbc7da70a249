//! Checks of mesh config.

pub(super) mod providers;
mod selectors;
pub(super) mod tracing;

use std::time::Duration;

use super::access_log::access_log;
use super::export_to::export_to;
use super::labels::label_value;
use super::name::{is_fqdn, is_label, port_number};
use crate::rules::at::At;
use crate::rules::spec::{MeshConfig, OutboundTrafficMode, ProxyConfig, excerpt};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// All that is wrong with it.
pub(in crate::rules) fn check(at: &At<'_>, config: &MeshConfig) {
    if !config.root_namespace.is_empty() && !is_label(&config.root_namespace) {
        at.field("rootNamespace").error(format!(
            "{:?} is not a namespace",
            excerpt(&config.root_namespace)
        ));
    }
    if !config.trust_domain.is_empty() && !is_trust_domain(&config.trust_domain) {
        at.field("trustDomain").error_hint(
            format!("{:?} is not a trust domain", excerpt(&config.trust_domain)),
            "letters, digits, '-', '_' and '.', such as cluster.local",
        );
    }
    if config.outbound_traffic_policy.mode == Some(OutboundTrafficMode::AllowAnyDynamicDns) {
        at.field("outboundTrafficPolicy").field("mode").error_hint(
            "ALLOW_ANY_DYNAMIC_DNS is not supported by this version",
            "use ALLOW_ANY, which forwards to the address that the client resolved, or REGISTRY_ONLY",
        );
    }
    for (name, defaults) in [
        ("defaultServiceExportTo", &config.default_service_export_to),
        (
            "defaultVirtualServiceExportTo",
            &config.default_virtual_service_export_to,
        ),
        (
            "defaultDestinationRuleExportTo",
            &config.default_destination_rule_export_to,
        ),
    ] {
        export_to(&at.field(name), "", defaults);
    }
    duration(
        &at.field("connectTimeout"),
        config.connect_timeout,
        MILLISECOND,
    );
    duration(
        &at.field("dnsRefreshRate"),
        config.dns_refresh_rate,
        MILLISECOND,
    );
    let detection = config
        .protocol_detection_timeout
        .filter(|timeout| !timeout.is_zero());
    duration(
        &at.field("protocolDetectionTimeout"),
        detection,
        MILLISECOND,
    );
    if config.proxy_http_port != 0 {
        port_number(&at.field("proxyHttpPort"), config.proxy_http_port);
    }
    for (name, text) in [
        ("ingressSelector", &config.ingress_selector),
        ("ingressService", &config.ingress_service),
    ] {
        label_value(&at.field(name), text);
    }
    access_log(at, config);
    providers::providers(at, config);
    selectors::selectors(&at.field("discoverySelectors"), &config.discovery_selectors);
    proxy_config(&at.field("defaultConfig"), &config.default_config);
}

fn proxy_config(at: &At<'_>, config: &ProxyConfig) {
    if let Some(spans) = &config.tracing {
        tracing::tracing(&at.field("tracing"), spans);
    }
    let address = config.discovery_address.as_str();
    if !address.is_empty() && !is_host_and_port(address) {
        at.field("discoveryAddress").error_hint(
            format!("{:?} is not an address with a port", excerpt(address)),
            "such as istiod.istio-system.svc:15012",
        );
    }
    for (name, port) in [
        ("proxyAdminPort", config.proxy_admin_port),
        ("statusPort", config.status_port),
    ] {
        if let Some(port) = port {
            port_number(&at.field(name), port);
        }
    }
    duration(&at.field("drainDuration"), config.drain_duration, SECOND);
    duration(
        &at.field("terminationDrainDuration"),
        config.termination_drain_duration,
        SECOND,
    );
}

/// A duration of at least one `step`, in whole steps.
fn duration(at: &At<'_>, duration: Option<Duration>, step: Duration) {
    const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
    let Some(duration) = duration else { return };
    if duration < step {
        at.error(format!("{duration:?} is shorter than {step:?}"));
    } else if duration.as_nanos() % step.as_nanos() != 0 {
        at.error(format!("{duration:?} is finer than {step:?}"));
    } else if duration > LONGEST {
        at.error(format!("{duration:?} is longer than a year"));
    }
}

fn is_trust_domain(text: &str) -> bool {
    text.len() <= 255
        && text.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host = host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .map_or_else(
            || is_fqdn(host) || host.parse::<std::net::Ipv4Addr>().is_ok(),
            |inner| inner.parse::<std::net::Ipv6Addr>().is_ok(),
        );
    host && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests;
