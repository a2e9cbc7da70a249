//! Mesh config as written → as it holds.

pub(super) mod providers;
mod selectors;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::mesh::{
    AccessLog, AccessLogEncoding, ClientCertificates, ExportTo, GatewayTopology, InboundPolicy,
    IngressController, IngressMode, MeshConfig, OutboundPolicy, ProxyDefaults,
};
use crate::registry::{Problem, is_fatal};
use crate::rules::at::Report;
use crate::rules::check;
use crate::rules::spec::mesh_config::{
    ForwardClientCert, GatewayTopology as GatewayTopologySpec, IngressControllerMode,
};
use crate::rules::spec::{self, Decode};

/// Reads, checks and completes mesh config (`null` where there is none). What is not written is Istio's default. Beside the
/// result come the warnings.
///
/// # Errors
/// All that is wrong with it, if any of it is an error.
pub fn mesh_config(written: &Value) -> Result<(MeshConfig, Vec<Problem>), Vec<Problem>> {
    let report = Report::default();
    let root = report.root("");
    let config = spec::MeshConfig::decode(written, &root);
    check::mesh_config(&root, &config);
    let problems = report.finish();
    if is_fatal(&problems) {
        Err(problems)
    } else {
        Ok((complete(&config), problems))
    }
}

fn complete(written: &spec::MeshConfig) -> MeshConfig {
    let default = MeshConfig::default();
    MeshConfig {
        cluster_local: default.cluster_local,
        scope_gateways: default.scope_gateways,
        virtual_service_merge: default.virtual_service_merge,
        root_namespace: named(
            &written.root_namespace,
            |text| text.into(),
            default.root_namespace,
        ),
        trust_domain: named(
            &written.trust_domain,
            |text| text.into(),
            default.trust_domain,
        ),
        outbound: match written.outbound_traffic_policy.mode {
            Some(spec::OutboundTrafficMode::RegistryOnly) => OutboundPolicy::RegistryOnly,
            Some(
                spec::OutboundTrafficMode::AllowAny | spec::OutboundTrafficMode::AllowAnyDynamicDns,
            ) => OutboundPolicy::AllowAny,
            None => default.outbound,
        },
        inbound: match written.inbound_traffic_policy.mode {
            spec::InboundTrafficMode::Passthrough => InboundPolicy::Passthrough,
            spec::InboundTrafficMode::Localhost => InboundPolicy::Localhost,
        },
        default_service_export_to: export_to(&written.default_service_export_to),
        default_virtual_service_export_to: export_to(&written.default_virtual_service_export_to),
        default_destination_rule_export_to: export_to(&written.default_destination_rule_export_to),
        connect_timeout: written.connect_timeout.unwrap_or(default.connect_timeout),
        dns_refresh_rate: written.dns_refresh_rate.unwrap_or(default.dns_refresh_rate),
        protocol_detection_timeout: written
            .protocol_detection_timeout
            .unwrap_or(default.protocol_detection_timeout),
        access_log: (!written.access_log_file.is_empty()).then(|| access_log(written)),
        proxy_http_port: port(written.proxy_http_port),
        default_config: proxy_defaults(&written.default_config, default.default_config),
        providers: providers::providers(&written.extension_providers, default.providers),
        default_providers: providers::defaults(&written.default_providers),
        enable_tracing: written.enable_tracing,
        ingress: ingress(written, default.ingress),
        discovery_selectors: written
            .discovery_selectors
            .iter()
            .map(selectors::selector)
            .collect(),
    }
}

/// Routers are called like the service before them, unless that is called as in Istio's own installation.
fn ingress(written: &spec::MeshConfig, default: IngressController) -> IngressController {
    let routers = match written.ingress_selector.as_str() {
        "" => match written.ingress_service.as_str() {
            "" | "istio-ingressgateway" => None,
            service => Some(service),
        },
        routers => Some(routers),
    };
    IngressController {
        mode: match written.ingress_controller_mode {
            IngressControllerMode::Off => IngressMode::Off,
            IngressControllerMode::Default => IngressMode::Default,
            IngressControllerMode::Strict => IngressMode::Strict,
            IngressControllerMode::Unspecified => default.mode,
        },
        class: named(&written.ingress_class, |text| text.into(), default.class),
        selector: routers.map_or(default.selector, |routers| {
            [("istio", routers)].into_iter().collect()
        }),
    }
}

fn access_log(written: &spec::MeshConfig) -> AccessLog {
    AccessLog {
        file: written.access_log_file.as_str().into(),
        encoding: match written.access_log_encoding {
            spec::AccessLogEncoding::Text => AccessLogEncoding::Text,
            spec::AccessLogEncoding::Json => AccessLogEncoding::Json,
        },
        format: named(&written.access_log_format, |text| Some(text.into()), None),
    }
}

fn proxy_defaults(written: &spec::ProxyConfig, default: ProxyDefaults) -> ProxyDefaults {
    ProxyDefaults {
        discovery_address: named(
            &written.discovery_address,
            |text| text.into(),
            default.discovery_address,
        ),
        proxy_admin_port: written
            .proxy_admin_port
            .and_then(port)
            .unwrap_or(default.proxy_admin_port),
        status_port: written
            .status_port
            .and_then(port)
            .unwrap_or(default.status_port),
        concurrency: written.concurrency.filter(|threads| *threads > 0),
        drain_duration: written.drain_duration.unwrap_or(default.drain_duration),
        termination_drain_duration: written
            .termination_drain_duration
            .unwrap_or(default.termination_drain_duration),
        environment: written
            .proxy_metadata
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        tracing: written
            .tracing
            .as_ref()
            .map(providers::tracing)
            .unwrap_or_default(),
        gateway_topology: topology(written.gateway_topology),
    }
}

fn topology(written: GatewayTopologySpec) -> GatewayTopology {
    GatewayTopology {
        trusted_proxies: written.num_trusted_proxies,
        client_certificates: match written.forward_client_cert_details {
            ForwardClientCert::Undefined | ForwardClientCert::SanitizeSet => {
                ClientCertificates::SanitizeSet
            }
            ForwardClientCert::Sanitize => ClientCertificates::Sanitize,
            ForwardClientCert::ForwardOnly => ClientCertificates::ForwardOnly,
            ForwardClientCert::AppendForward => ClientCertificates::AppendForward,
            ForwardClientCert::AlwaysForwardOnly => ClientCertificates::AlwaysForwardOnly,
        },
    }
}

fn export_to(written: &[String]) -> ExportTo {
    if written.is_empty() || written.iter().any(|text| text == "*") {
        return ExportTo::All;
    }
    let named = |text: &&String| !matches!(text.as_str(), "." | "~");
    ExportTo::Some {
        own: written.iter().any(|text| text == "."),
        namespaces: written
            .iter()
            .filter(named)
            .map(|text| text.as_str().into())
            .collect::<BTreeSet<_>>(),
    }
}

fn named<T>(text: &str, read: impl FnOnce(&str) -> T, default: T) -> T {
    if text.is_empty() { default } else { read(text) }
}

fn port(number: u32) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number != 0)
}
