//! Mesh config: settings that hold for the whole mesh, checked, with Istio's defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::ingresses::IngressController;
use super::providers::{
    DefaultProviders, FileLog, LogFormat, Provider, ProviderKind, TracingDefaults,
};
use super::selector::LabelSelector;
use crate::model::{Host, Labels, NamespaceName, ServiceKey};

/// What happens to outbound traffic that no service claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundPolicy {
    /// It passes.
    #[default]
    AllowAny,
    /// It is blocked.
    RegistryOnly,
}

/// Where inbound traffic on ports that no service claims goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InboundPolicy {
    /// To the address that was dialled.
    #[default]
    Passthrough,
    /// To the loopback address.
    Localhost,
}

/// The mesh's default for `exportTo`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub enum ExportTo {
    /// `*`.
    #[default]
    All,
    /// Namespaces by name, and `.` for the object's own.
    Some {
        /// Whether the object's own namespace is among them.
        own: bool,
        /// Namespaces by name.
        namespaces: BTreeSet<NamespaceName>,
    },
}

impl ExportTo {
    /// Whether `namespace` sees what belongs to `owner`.
    pub fn includes(&self, namespace: &NamespaceName, owner: &NamespaceName) -> bool {
        match self {
            Self::All => true,
            Self::Some { own, namespaces } => {
                (*own && namespace == owner) || namespaces.contains(namespace)
            }
        }
    }
}

/// Which `VirtualService`s for one host merge on sidecars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VirtualServiceMerge {
    /// None: the oldest counts.
    #[default]
    Off,
    /// Those of one namespace; of several namespaces, that of the oldest counts.
    Namespace,
}

impl VirtualServiceMerge {
    /// What they are called.
    pub const NAMES: [&'static str; 2] = ["off", "namespace"];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "namespace" => Some(Self::Namespace),
            _ => None,
        }
    }
}

/// How access log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccessLogEncoding {
    /// A line of text.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// The access log of every proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AccessLog {
    /// The file, such as `/dev/stdout`.
    pub file: Arc<str>,
    /// How lines look.
    pub encoding: AccessLogEncoding,
    /// A format of the operator's own; `None` is Istio's default for the encoding.
    pub format: Option<Arc<str>>,
}

/// Who stands before routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
pub struct GatewayTopology {
    /// How many proxies that stand before a router tell the truth about clients.
    pub trusted_proxies: u32,
    /// What routers tell services of clients' certificates.
    pub client_certificates: ClientCertificates,
}

/// What routers tell services of clients' certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClientCertificates {
    /// The truth.
    #[default]
    SanitizeSet,
    /// Nothing.
    Sanitize,
    /// What clients say, where they have a certificate.
    ForwardOnly,
    /// What clients say, and the truth besides.
    AppendForward,
    /// What clients say.
    AlwaysForwardOnly,
}

/// What a proxy's bootstrap is made from unless it says otherwise (`defaultConfig`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ProxyDefaults {
    /// Where discovery is, `host:port`.
    pub discovery_address: Arc<str>,
    /// Envoy's admin port.
    pub proxy_admin_port: u16,
    /// The agent's status port.
    pub status_port: u16,
    /// Envoy's worker threads; `None`: as many as cores.
    pub concurrency: Option<u32>,
    /// How long Envoy drains a listener.
    pub drain_duration: Duration,
    /// How long the agent drains before it ends Envoy.
    pub termination_drain_duration: Duration,
    /// What agents find in their environment, by name.
    pub environment: BTreeMap<Arc<str>, Arc<str>>,
    /// What is said of spans.
    pub tracing: TracingDefaults,
    /// Who stands before routers.
    pub gateway_topology: GatewayTopology,
}

impl Default for ProxyDefaults {
    fn default() -> Self {
        Self {
            discovery_address: "istiod.istio-system.svc:15012".into(),
            proxy_admin_port: 15000,
            status_port: 15020,
            concurrency: None,
            drain_duration: Duration::from_secs(45),
            termination_drain_duration: Duration::from_secs(5),
            environment: BTreeMap::new(),
            tracing: TracingDefaults::default(),
            gateway_topology: GatewayTopology::default(),
        }
    }
}

/// Mesh-wide settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct MeshConfig {
    /// The namespace whose rules hold for all.
    pub root_namespace: NamespaceName,
    /// The trust domain of identities.
    pub trust_domain: Arc<str>,
    /// Outbound traffic that no service claims.
    pub outbound: OutboundPolicy,
    /// Inbound traffic that no service claims.
    pub inbound: InboundPolicy,
    /// Who sees a service that does not say.
    pub default_service_export_to: ExportTo,
    /// Who sees a `VirtualService` that does not say.
    pub default_virtual_service_export_to: ExportTo,
    /// Who sees a `DestinationRule` that does not say.
    pub default_destination_rule_export_to: ExportTo,
    /// The time-out of a TCP connection to an endpoint.
    pub connect_timeout: Duration,
    /// How often a DNS cluster resolves where records do not say.
    pub dns_refresh_rate: Duration,
    /// How long a proxy waits for the first bytes when it has to find out the protocol; zero waits for ever.
    pub protocol_detection_timeout: Duration,
    /// The access log; `None` writes none.
    pub access_log: Option<AccessLog>,
    /// The port of an HTTP proxy listener on every sidecar, if there is to be one.
    pub proxy_http_port: Option<u16>,
    /// Hosts of services whose clients and endpoints stay within one cluster, beside those that always do.
    pub cluster_local: BTreeSet<Host>,
    /// Which `VirtualService`s for one host merge on sidecars.
    pub virtual_service_merge: VirtualServiceMerge,
    /// Whether gateways select routers of their own namespace only.
    pub scope_gateways: bool,
    /// What bootstraps are made from.
    pub default_config: ProxyDefaults,
    /// What proxies report to, by name.
    pub providers: BTreeMap<Arc<str>, Arc<Provider>>,
    /// The providers that count where no rule names any.
    pub default_providers: DefaultProviders,
    /// Whether requests are traced where no rule says so.
    pub enable_tracing: bool,
    /// Which `Ingress`es routers serve, and which routers do.
    pub ingress: IngressController,
    /// Which namespaces are read of platforms that have namespaces with labels: those that any of these selects; all, where there
    /// are none.
    pub discovery_selectors: Vec<LabelSelector>,
}

impl MeshConfig {
    /// Whether a service is another one in each cluster, whatever has its name elsewhere: what belongs to a cluster's own
    /// operation, and what the operator says.
    pub fn is_cluster_local(&self, service: &ServiceKey) -> bool {
        let ServiceKey { namespace, host } = service;
        namespace.as_str() == "kube-system"
            || (namespace.as_str() == "default" && host.as_str().starts_with("kubernetes.default."))
            || self.cluster_local.iter().any(|local| local.covers(host))
    }

    /// Whether what is in a namespace of these labels is read. The root namespace always is: its rules hold for all.
    pub fn discovers(&self, namespace: &NamespaceName, labels: &Labels) -> bool {
        let selectors = &self.discovery_selectors;
        selectors.is_empty()
            || *namespace == self.root_namespace
            || selectors.iter().any(|selector| selector.selects(labels))
    }

    /// Whether a service of this host takes what proxies report.
    pub fn takes_reports(&self, host: &Host) -> bool {
        self.report_ports(host).next().is_some()
    }

    /// The ports of this host's service that take what proxies report.
    pub fn report_ports<'a>(&'a self, host: &'a Host) -> impl Iterator<Item = u16> + 'a {
        let kinds = self.providers.values().map(|provider| &provider.kind);
        let collectors = kinds.filter_map(ProviderKind::collector);
        let unnamed = self.default_config.tracing.zipkin.iter();
        let all = collectors.chain(unnamed.map(|zipkin| &zipkin.to));
        all.filter(move |to| to.host == *host).map(|to| to.port)
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            root_namespace: "istio-system".into(),
            trust_domain: "cluster.local".into(),
            outbound: OutboundPolicy::default(),
            inbound: InboundPolicy::default(),
            default_service_export_to: ExportTo::default(),
            default_virtual_service_export_to: ExportTo::default(),
            default_destination_rule_export_to: ExportTo::default(),
            connect_timeout: Duration::from_secs(10),
            dns_refresh_rate: Duration::from_secs(60),
            protocol_detection_timeout: Duration::ZERO,
            access_log: None,
            proxy_http_port: None,
            cluster_local: BTreeSet::new(),
            virtual_service_merge: VirtualServiceMerge::default(),
            scope_gateways: false,
            default_config: ProxyDefaults::default(),
            providers: built_in_providers(),
            default_providers: DefaultProviders::default(),
            enable_tracing: false,
            ingress: IngressController::default(),
            discovery_selectors: Vec::new(),
        }
    }
}

/// The providers that are there without being written, as in Istio.
fn built_in_providers() -> BTreeMap<Arc<str>, Arc<Provider>> {
    let envoy = ProviderKind::FileLog(FileLog {
        path: "/dev/stdout".into(),
        format: LogFormat::Default(AccessLogEncoding::Text),
        omit_empty: false,
    });
    let all = [
        ("envoy", envoy),
        ("prometheus", ProviderKind::Prometheus),
        ("stackdriver", ProviderKind::Inert("stackdriver")),
    ];
    let all = all.into_iter().map(|(name, kind)| {
        let name = Arc::from(name);
        (Arc::clone(&name), Arc::new(Provider { name, kind }))
    });
    all.collect()
}
