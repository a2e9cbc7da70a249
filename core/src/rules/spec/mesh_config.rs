//! `MeshConfig`: settings for the whole mesh, as operators write them.

mod ingress;
mod providers;
mod selector;
mod topology;
mod tracing;

use std::time::Duration;

use serde_json::Value;

use super::{Decode, Fields, object, one_of};
use crate::model::Labels;
use crate::rules::at::At;

pub use ingress::IngressControllerMode;
pub use providers::{
    DefaultProviders, Empty, ExtensionProvider, FileAccessLog, GrpcAccessLog, GrpcService,
    HttpHeader, HttpService, LogFormat, OpenTelemetry, OtelAccessLog, ResourceDetectors, Struct,
    TraceContext, Zipkin,
};
pub use selector::{LabelRequirement, LabelSelector};
pub use topology::{ForwardClientCert, GatewayTopology};
pub use tracing::{CustomTag, Literal, Lookup, Tracing, ZipkinAddress};

/// Mesh-wide settings; what is not written is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeshConfig {
    /// The namespace whose rules hold for all.
    pub root_namespace: String,
    /// The trust domain of identities.
    pub trust_domain: String,
    /// Outbound traffic that no service claims.
    pub outbound_traffic_policy: OutboundTrafficPolicy,
    /// Inbound traffic that no service claims.
    pub inbound_traffic_policy: InboundTrafficPolicy,
    /// Who sees a service that does not say.
    pub default_service_export_to: Vec<String>,
    /// Who sees a `VirtualService` that does not say.
    pub default_virtual_service_export_to: Vec<String>,
    /// Who sees a `DestinationRule` that does not say.
    pub default_destination_rule_export_to: Vec<String>,
    /// The time-out of a TCP connection to an endpoint.
    pub connect_timeout: Option<Duration>,
    /// How often a DNS cluster resolves where records do not say.
    pub dns_refresh_rate: Option<Duration>,
    /// How long a proxy waits for the first bytes; zero waits for ever.
    pub protocol_detection_timeout: Option<Duration>,
    /// Where the access log goes; empty for nowhere.
    pub access_log_file: String,
    /// How its lines look.
    pub access_log_encoding: AccessLogEncoding,
    /// A format of the operator's own.
    pub access_log_format: String,
    /// The port of an HTTP proxy listener on every sidecar; 0 for none.
    pub proxy_http_port: u32,
    /// What bootstraps are made from.
    pub default_config: ProxyConfig,
    /// What proxies report to.
    pub extension_providers: Vec<ExtensionProvider>,
    /// The providers that count where no rule names any.
    pub default_providers: DefaultProviders,
    /// Whether requests are traced where no rule says so.
    pub enable_tracing: bool,
    /// Which `Ingress`es routers serve.
    pub ingress_controller_mode: IngressControllerMode,
    /// What the annotation of those is that name their class by one.
    pub ingress_class: String,
    /// The value of the label `istio` of the routers that serve.
    pub ingress_selector: String,
    /// The service before the routers that serve.
    pub ingress_service: String,
    /// Which namespaces are read: those that any of these selects; all, where there are none.
    pub discovery_selectors: Vec<LabelSelector>,
}

/// Outbound traffic that no service claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboundTrafficPolicy {
    /// What happens to it.
    pub mode: Option<OutboundTrafficMode>,
}

/// What happens to outbound traffic that no service claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutboundTrafficMode {
    /// It is blocked.
    RegistryOnly,
    /// It passes.
    #[default]
    AllowAny,
    /// It passes, to the name that the request asks for.
    AllowAnyDynamicDns,
}

/// Inbound traffic that no service claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboundTrafficPolicy {
    /// Where it goes.
    pub mode: InboundTrafficMode,
}

/// Where inbound traffic that no service claims goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InboundTrafficMode {
    /// To the address that was dialled.
    #[default]
    Passthrough,
    /// To the loopback address.
    Localhost,
}

/// How access log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLogEncoding {
    /// A line of text.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What a proxy's bootstrap is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyConfig {
    /// Where discovery is, `host:port`.
    pub discovery_address: String,
    /// Envoy's admin port.
    pub proxy_admin_port: Option<u32>,
    /// The agent's status port.
    pub status_port: Option<u32>,
    /// Envoy's worker threads; 0: as many as cores.
    pub concurrency: Option<u32>,
    /// How long Envoy drains a listener.
    pub drain_duration: Option<Duration>,
    /// How long the agent drains before it ends Envoy.
    pub termination_drain_duration: Option<Duration>,
    /// What agents find in their environment.
    pub proxy_metadata: Labels,
    /// What is said of spans.
    pub tracing: Option<Tracing>,
    /// Who stands before routers.
    pub gateway_topology: GatewayTopology,
}

/// Fields of Istio's `MeshConfig` that nothing here reads.
const MESH_WITHOUT_EFFECT: &[&str] = &[
    "authPolicy",
    "ca",
    "caCertificates",
    "certificates",
    "configSources",
    "defaultHttpRetryPolicy",
    "disableEnvoyListenerLog",
    "disableMixerHttpReports",
    "disablePolicyChecks",
    "enableAutoMtls",
    "enableClientSidePolicyCheck",
    "enableEnvoyAccessLogService",
    "enablePrometheusMerge",
    "enableSdsTokenMount",
    "h2UpgradePolicy",
    "localityLbSetting",
    "meshMTLS",
    "mixerCheckServer",
    "mixerReportServer",
    "pathNormalization",
    "policyCheckFailOpen",
    "proxyInboundListenPort",
    "proxyListenPort",
    "rdsRefreshDelay",
    "sdsRefreshDelay",
    "sdsUdsPath",
    "serviceScopeConfigs",
    "serviceSettings",
    "tcpKeepalive",
    "thriftConfig",
    "tlsDefaults",
    "trustDomainAliases",
    "verifyCertificateAtClient",
];

/// Fields of Istio's `ProxyConfig` that nothing here reads.
const PROXY_WITHOUT_EFFECT: &[&str] = &[
    "availabilityZone",
    "binaryPath",
    "caCertificatesPem",
    "configPath",
    "connectTimeout",
    "controlPlaneAuthPolicy",
    "customConfigFile",
    "discoveryRefreshDelay",
    "envoyAccessLogService",
    "envoyMetricsService",
    "extraStatTags",
    "fileFlushInterval",
    "fileFlushMinSizeKb",
    "holdApplicationUntilProxyStarts",
    "image",
    "interceptionMode",
    "meshId",
    "parentShutdownDuration",
    "privateKeyProvider",
    "proxyBootstrapTemplatePath",
    "proxyHeaders",
    "proxyStatsMatcher",
    "readinessProbe",
    "runtimeValues",
    "sds",
    "serviceCluster",
    "statNameLength",
    "statsCompression",
    "statsdUdpAddress",
    "tracingServiceName",
    "zipkinAddress",
];

impl Decode for MeshConfig {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, MESH_WITHOUT_EFFECT, |f| Self {
            root_namespace: f.get("rootNamespace"),
            trust_domain: f.get("trustDomain"),
            outbound_traffic_policy: f.get("outboundTrafficPolicy"),
            inbound_traffic_policy: f.get("inboundTrafficPolicy"),
            default_service_export_to: f.get("defaultServiceExportTo"),
            default_virtual_service_export_to: f.get("defaultVirtualServiceExportTo"),
            default_destination_rule_export_to: f.get("defaultDestinationRuleExportTo"),
            connect_timeout: f.get("connectTimeout"),
            dns_refresh_rate: f.get("dnsRefreshRate"),
            protocol_detection_timeout: f.get("protocolDetectionTimeout"),
            access_log_file: f.get("accessLogFile"),
            access_log_encoding: f.get("accessLogEncoding"),
            access_log_format: f.get("accessLogFormat"),
            proxy_http_port: f.get("proxyHttpPort"),
            default_config: f.get("defaultConfig"),
            extension_providers: f.get("extensionProviders"),
            default_providers: f.get("defaultProviders"),
            enable_tracing: f.get("enableTracing"),
            ingress_controller_mode: f.get("ingressControllerMode"),
            ingress_class: f.get("ingressClass"),
            ingress_selector: f.get("ingressSelector"),
            ingress_service: f.get("ingressService"),
            discovery_selectors: f.get("discoverySelectors"),
        })
    }
}

impl Decode for ProxyConfig {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, PROXY_WITHOUT_EFFECT, |f| Self {
            discovery_address: f.get("discoveryAddress"),
            proxy_admin_port: f.get("proxyAdminPort"),
            status_port: f.get("statusPort"),
            concurrency: f.get("concurrency"),
            drain_duration: f.get("drainDuration"),
            termination_drain_duration: f.get("terminationDrainDuration"),
            proxy_metadata: f.get("proxyMetadata"),
            tracing: f.get("tracing"),
            gateway_topology: f.get("gatewayTopology"),
        })
    }
}

impl Decode for OutboundTrafficPolicy {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &["egressProxy"], |f| Self {
            mode: f.get("mode"),
        })
    }
}

impl Decode for InboundTrafficPolicy {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        known_by_istio(value, at, &[], |f| Self {
            mode: f.get("mode"),
        })
    }
}

impl Decode for OutboundTrafficMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(
            value,
            at,
            &[
                ("REGISTRY_ONLY", 0, Self::RegistryOnly),
                ("ALLOW_ANY", 1, Self::AllowAny),
                ("ALLOW_ANY_DYNAMIC_DNS", 2, Self::AllowAnyDynamicDns),
            ],
        )
    }
}

impl Decode for InboundTrafficMode {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(
            value,
            at,
            &[
                ("PASSTHROUGH", 0, Self::Passthrough),
                ("LOCALHOST", 1, Self::Localhost),
            ],
        )
    }
}

impl Decode for AccessLogEncoding {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        one_of(
            value,
            at,
            &[("TEXT", 0, Self::Text), ("JSON", 1, Self::Json)],
        )
    }
}

/// Operators bring their mesh config along: what has no effect here must not keep the rest from having its.
fn known_by_istio<T: Default>(
    value: &Value,
    at: &At<'_>,
    without_effect: &[&'static str],
    read: impl FnOnce(&mut Fields<'_>) -> T,
) -> T {
    object(value, at, |fields| {
        fields.lenient();
        let result = read(fields);
        fields.without_effect(without_effect);
        result
    })
}
