//! The extensions of Envoy that proxies are configured with: a closed list, and which of them a proxy lacks.
//!
//! Extensions that no Envoy is built without (clusters by assignment, plain sockets, the built-in load balancers) are not in it.
//! A proxy announces what it has in `node.extensions`, tens of kilobytes that are looked through once and not kept.

use std::collections::BTreeSet;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extension {
    /// Answers to preflight requests of browsers.
    Cors,
    /// Faults that rules inject.
    Fault,
    /// Statistics of gRPC.
    GrpcStats,
    /// Access logs in files.
    FileAccessLog,
    /// The operator of access logs that leaves out a query.
    RequestWithoutQuery,
    /// Access logs by Envoy's own protocol, of requests.
    HttpGrpcLog,
    /// Access logs by Envoy's own protocol, of connections.
    TcpGrpcLog,
    /// Access logs by OpenTelemetry's protocol.
    OtelLog,
    /// Access logs that are counted.
    StatsLog,
    /// Which requests are written down, in CEL.
    CelLogFilter,
    /// Spans by Zipkin's protocol.
    Zipkin,
    /// Spans by OpenTelemetry's protocol.
    OpenTelemetry,
    /// Retries that go elsewhere.
    PreviousHosts,
    /// Retries that go to other localities.
    PreviousPriorities,
    /// Clusters of names, described by an extension instead of the cluster's own fields.
    DnsCluster,
    /// A resolver of names with settings.
    CaresResolver,
    /// Clusters of whatever names are asked for.
    DynamicCluster,
    /// The hosts of requests are resolved by it.
    DynamicRequests,
    /// The server names of connections are resolved by it.
    DynamicConnections,
    /// Requests are routed by it.
    Router,
    /// Connections become requests by it.
    HttpConnectionManager,
    /// Connections are forwarded by it.
    TcpProxy,
    /// How HTTP is spoken to a cluster.
    HttpProtocolOptions,
    /// Where a captured connection was going.
    OriginalDestination,
    /// Whose a captured connection is.
    OriginalSource,
    /// TLS is found out by it.
    TlsInspector,
    /// HTTP is found out by it.
    HttpInspector,
}

/// The operator of access logs that [`Extension::RequestWithoutQuery`] is for.
pub(crate) const WITHOUT_QUERY: &str = "%REQ_WITHOUT_QUERY";

/// The oldest Envoy that all of this is tested with.
const OLDEST: (u32, u32, u32) = (1, 36, 0);
/// The oldest Envoy that is known to count what it logs.
const COUNTING: (u32, u32, u32) = (1, 40, 0);

impl Extension {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::Cors,
        Self::Fault,
        Self::GrpcStats,
        Self::FileAccessLog,
        Self::RequestWithoutQuery,
        Self::HttpGrpcLog,
        Self::TcpGrpcLog,
        Self::OtelLog,
        Self::StatsLog,
        Self::CelLogFilter,
        Self::Zipkin,
        Self::OpenTelemetry,
        Self::PreviousHosts,
        Self::PreviousPriorities,
        Self::DnsCluster,
        Self::CaresResolver,
        Self::DynamicCluster,
        Self::DynamicRequests,
        Self::DynamicConnections,
        Self::Router,
        Self::HttpConnectionManager,
        Self::TcpProxy,
        Self::HttpProtocolOptions,
        Self::OriginalDestination,
        Self::OriginalSource,
        Self::TlsInspector,
        Self::HttpInspector,
    ];

    /// Those that outbound clusters may have.
    pub(crate) const OF_CLUSTERS: &[Self] =
        &[Self::DnsCluster, Self::CaresResolver, Self::DynamicCluster];
    /// Those that listeners can be without.
    pub(crate) const OF_LISTENERS: &[Self] = &[
        Self::Cors,
        Self::Fault,
        Self::GrpcStats,
        Self::FileAccessLog,
        Self::RequestWithoutQuery,
        Self::CaresResolver,
        Self::DynamicRequests,
        Self::DynamicConnections,
    ];
    /// Those that what listeners report can be without.
    pub(crate) const OF_REPORTS: &[Self] = &[
        Self::HttpGrpcLog,
        Self::TcpGrpcLog,
        Self::OtelLog,
        Self::StatsLog,
        Self::CelLogFilter,
        Self::Zipkin,
        Self::OpenTelemetry,
    ];
    /// Those that route configurations can be without.
    pub(crate) const OF_ROUTES: &[Self] = &[
        Self::Cors,
        Self::Fault,
        Self::PreviousHosts,
        Self::PreviousPriorities,
    ];

    /// The name under which Envoy has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cors => "envoy.filters.http.cors",
            Self::Fault => "envoy.filters.http.fault",
            Self::GrpcStats => "envoy.filters.http.grpc_stats",
            Self::FileAccessLog => "envoy.access_loggers.file",
            Self::RequestWithoutQuery => "envoy.formatter.req_without_query",
            Self::HttpGrpcLog => "envoy.access_loggers.http_grpc",
            Self::TcpGrpcLog => "envoy.access_loggers.tcp_grpc",
            Self::OtelLog => "envoy.access_loggers.open_telemetry",
            Self::StatsLog => "envoy.access_loggers.stats",
            Self::CelLogFilter => "envoy.access_loggers.extension_filters.cel",
            Self::Zipkin => "envoy.tracers.zipkin",
            Self::OpenTelemetry => "envoy.tracers.opentelemetry",
            Self::PreviousHosts => "envoy.retry_host_predicates.previous_hosts",
            Self::PreviousPriorities => "envoy.retry_priorities.previous_priorities",
            Self::DnsCluster => "envoy.cluster.dns",
            Self::CaresResolver => "envoy.network.dns_resolver.cares",
            Self::DynamicCluster => "envoy.clusters.dynamic_forward_proxy",
            Self::DynamicRequests => "envoy.filters.http.dynamic_forward_proxy",
            Self::DynamicConnections => "envoy.filters.network.sni_dynamic_forward_proxy",
            Self::Router => "envoy.filters.http.router",
            Self::HttpConnectionManager => "envoy.filters.network.http_connection_manager",
            Self::TcpProxy => "envoy.filters.network.tcp_proxy",
            Self::HttpProtocolOptions => "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            Self::OriginalDestination => "envoy.filters.listener.original_dst",
            Self::OriginalSource => "envoy.filters.listener.original_src",
            Self::TlsInspector => "envoy.filters.listener.tls_inspector",
            Self::HttpInspector => "envoy.filters.listener.http_inspector",
        }
    }

    /// The message that configures it.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Cors => "envoy.extensions.filters.http.cors.v3.Cors",
            Self::Fault => "envoy.extensions.filters.http.fault.v3.HTTPFault",
            Self::GrpcStats => "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
            Self::FileAccessLog => "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            Self::RequestWithoutQuery => {
                "envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"
            }
            Self::HttpGrpcLog => "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
            Self::TcpGrpcLog => "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
            Self::OtelLog => {
                "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"
            }
            Self::StatsLog => "envoy.extensions.access_loggers.stats.v3.Config",
            Self::CelLogFilter => "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
            Self::Zipkin => "envoy.config.trace.v3.ZipkinConfig",
            Self::OpenTelemetry => "envoy.config.trace.v3.OpenTelemetryConfig",
            Self::PreviousHosts => {
                "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            }
            Self::PreviousPriorities => {
                "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
            }
            Self::DnsCluster => "envoy.extensions.clusters.dns.v3.DnsCluster",
            Self::CaresResolver => {
                "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
            }
            Self::DynamicCluster => {
                "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
            }
            Self::DynamicRequests => {
                "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"
            }
            Self::DynamicConnections => {
                "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig"
            }
            Self::Router => "envoy.extensions.filters.http.router.v3.Router",
            Self::HttpConnectionManager => {
                "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
            }
            Self::TcpProxy => "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            Self::HttpProtocolOptions => "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            Self::OriginalDestination => {
                "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
            }
            Self::OriginalSource => "envoy.extensions.filters.listener.original_src.v3.OriginalSrc",
            Self::TlsInspector => "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
            Self::HttpInspector => {
                "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
            }
        }
    }

    /// Whether configuration can do without it. What cannot is sent all the same: Envoy's refusal then says what is missing.
    pub fn is_optional(self) -> bool {
        [
            Self::OF_CLUSTERS,
            Self::OF_LISTENERS,
            Self::OF_REPORTS,
            Self::OF_ROUTES,
        ]
        .iter()
        .any(|of| of.contains(&self))
    }

    const fn bit(self) -> u64 {
        1 << self as u32
    }
}

/// Extensions that a proxy lacks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Missing(u64);

impl Missing {
    /// Those of these names; names of other extensions do not count.
    pub fn of(names: &BTreeSet<&'static str>) -> Self {
        let all = Extension::ALL.into_iter();
        all.filter(|extension| names.contains(extension.name()))
            .collect()
    }

    /// Whether this one is missing.
    pub fn has(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }

    /// Those among `some`.
    pub fn among(self, some: &[Extension]) -> Self {
        some.iter()
            .copied()
            .filter(|extension| self.has(*extension))
            .collect()
    }

    /// All that are missing.
    pub fn iter(self) -> impl Iterator<Item = Extension> {
        Extension::ALL
            .into_iter()
            .filter(move |extension| self.has(*extension))
    }
}

impl FromIterator<Extension> for Missing {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        let bits = extensions.into_iter().map(Extension::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl std::fmt::Debug for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a proxy announces, gathered while its node is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Announced {
    any: bool,
    has: u64,
}

impl Announced {
    /// It has an extension of this name or, for Envoys that tell, one that this type of message configures.
    pub(crate) fn add(&mut self, name_or_message: &str) {
        self.any = true;
        let found = Extension::ALL
            .into_iter()
            .find(|extension| [extension.name(), extension.message()].contains(&name_or_message));
        self.has |= found.map_or(0, Extension::bit);
    }

    /// The names of those that a proxy of this version of Envoy lacks. One that announces nothing is taken for stock Envoy;
    /// below the versions that are tested, that is one that may know the older fields only.
    pub(crate) fn missing(self, envoy: Option<(u32, u32, u32)>) -> BTreeSet<&'static str> {
        let lacks = |extension: &Extension| {
            if self.any {
                self.has & extension.bit() == 0
            } else {
                let is_before = |version| envoy.is_some_and(|envoy| envoy < version);
                *extension == Extension::DnsCluster && is_before(OLDEST)
                    || *extension == Extension::StatsLog && is_before(COUNTING)
            }
        };
        let all = Extension::ALL.into_iter().filter(lacks);
        all.map(Extension::name).collect()
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_core::mesh::Mesh;
    use pilothouse_core::model::{Interception, Protocol, Proxy, Resolution};
    use pilothouse_core::rules::resolve::mesh_config;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::json::any_to_json;
    use crate::sample::{
        With, auto, endpoint, http, mesh_with, port, resources, service, sidecar, tcp, with_rule,
    };

    #[test]
    fn what_is_not_announced_is_missing() {
        let check = |announced: &[&str], envoy, expected: &[Extension]| {
            let mut all = Announced::default();
            announced.iter().for_each(|name| all.add(name));
            let names = expected.iter().map(|extension| extension.name()).collect();
            assert_eq!(all.missing(envoy), names, "{announced:?} {envoy:?}");
            assert!(Missing::of(&names).iter().eq(expected.iter().copied()));
        };
        check(&[], Some((1, 40, 0)), &[]);
        check(&[], None, &[]);
        let older = [Extension::StatsLog, Extension::DnsCluster];
        check(&[], Some((1, 30, 2)), &older);
        check(&[], Some((1, 36, 4)), &[Extension::StatsLog]);
        let names = Extension::ALL.map(Extension::name);
        check(&names, Some((1, 30, 2)), &[]);
        let messages = Extension::ALL.map(Extension::message);
        check(&messages[1..], Some((1, 40, 0)), &[Extension::Cors]);
        check(&["envoy.filters.http.wasm"], None, &Extension::ALL);
    }

    /// A mesh of which everything that there is is made.
    fn everything() -> (Mesh, Proxy) {
        let to = json!({"service": "a.com", "port": 80});
        let config = json!({
            "proxyHttpPort": 15007,
            "extensionProviders": [
                {"name": "file", "envoyFileAccessLog": {"logFormat": {"text": "%REQ_WITHOUT_QUERY(:PATH)%"}}},
                {"name": "http", "envoyHttpAls": to}, {"name": "tcp", "envoyTcpAls": to}, {"name": "logs", "envoyOtelAls": to},
                {"name": "zipkin", "zipkin": to}, {"name": "otel", "opentelemetry": to},
            ],
            "defaultProviders": {"metrics": ["prometheus"], "tracing": ["zipkin"]},
        });
        let (config, _) = mesh_config(&config).unwrap();
        let telemetry = json!({
            "tracing": [{"match": {"mode": "SERVER"}, "providers": [{"name": "otel"}]}],
            "accessLogging": [{
                "providers": [{"name": "file"}, {"name": "http"}, {"name": "tcp"}, {"name": "logs"}],
                "filter": {"expression": "response.code >= 500"},
            }],
        });
        let mesh = mesh_with(
            config,
            [
                (
                    service("a.com", [http(80), tcp(90), auto(100)]).at(&["10.1.0.1"]),
                    vec![endpoint("10.0.0.1")],
                ),
                (
                    service("b.com", [http(80)]).resolved(Resolution::Dns),
                    vec![endpoint("b.example")],
                ),
                (
                    service("*.c.com", [http(80), port(443, Protocol::Tls)])
                        .resolved(Resolution::DynamicDns),
                    vec![],
                ),
            ],
        );
        let proxy = Proxy {
            interception: Interception::Tproxy,
            ..sidecar()
        };
        let mesh = with_rule(mesh, "Telemetry", ("shop", "it"), &telemetry);
        let routing = json!({"hosts": ["a.com"], "http": [{
            "retries": {"attempts": 1, "retryRemoteLocalities": true},
            "route": [{"destination": {"host": "a.com"}}],
        }]});
        let mesh = with_rule(mesh, "VirtualService", ("shop", "it"), &routing);
        (mesh, proxy)
    }

    /// The messages of all extensions that `proxy` is configured with.
    fn used(mesh: &Mesh, proxy: &Proxy) -> BTreeSet<String> {
        fn gather(json: &Json, within: bool, all: &mut BTreeSet<String>) {
            match json {
                Json::Array(items) => items.iter().for_each(|item| gather(item, within, all)),
                Json::Object(fields) => {
                    let url = fields
                        .get("@type")
                        .and_then(Json::as_str)
                        .filter(|_| within);
                    all.extend(url.and_then(|url| url.split('/').nth(1)).map(str::to_owned));
                    fields.values().for_each(|field| gather(field, true, all));
                }
                _ => {}
            }
        }
        let mut all = BTreeSet::new();
        for resource in resources(mesh, proxy) {
            gather(&any_to_json(&resource.body).unwrap(), false, &mut all);
        }
        all
    }

    fn without(missing: impl IntoIterator<Item = Extension>) -> Proxy {
        Proxy {
            missing: missing.into_iter().map(Extension::name).collect(),
            ..everything().1
        }
    }

    #[test]
    fn the_list_is_complete_and_says_nothing_else() {
        let (mesh, proxy) = everything();
        let all: BTreeSet<_> = Extension::ALL.map(|e| e.message().to_owned()).into();
        assert_eq!(used(&mesh, &proxy), all);
    }

    #[test]
    fn what_a_proxy_can_do_without_it_does_without() {
        let (mesh, _) = everything();
        for extension in Extension::ALL {
            let used = used(&mesh, &without([extension]));
            let is_used = used.contains(extension.message());
            assert_eq!(is_used, !extension.is_optional(), "{extension:?}");
        }
    }

    #[test]
    fn names_are_resolved_the_old_way_where_there_is_no_other() {
        use crate::resource::ResourceType::Cluster;
        use crate::sample::one;
        let (mesh, _) = everything();
        let name = "outbound|80||b.com";
        let cluster = one(&mesh, &without([Extension::DnsCluster]), Cluster, name);
        assert_eq!(cluster["type"], "STRICT_DNS");
        assert_eq!(cluster["dns_lookup_family"], "V4_ONLY");
        assert_eq!(cluster["dns_refresh_rate"], "60s");
        assert_eq!(cluster["respect_dns_ttl"], true);
        let resolver = &cluster["typed_dns_resolver_config"]["name"];
        assert_eq!(resolver, Extension::CaresResolver.name());
        let cluster = one(&mesh, &without(Extension::ALL), Cluster, name);
        assert_eq!(cluster["typed_dns_resolver_config"], Json::Null);
    }

    #[test]
    fn proxies_share_what_does_not_depend_on_it() {
        use crate::selection::Selection;
        let (mesh, proxy) = everything();
        let of = |proxy: &Proxy| Selection::of(&mesh, proxy).envoy().unwrap().clone();
        let other = of(&without([Extension::GrpcStats, Extension::Router]));
        let stock = of(&proxy);
        assert_eq!(
            (&other.clusters, &other.routes),
            (&stock.clusters, &stock.routes)
        );
        assert_ne!(other.listeners, stock.listeners);
        assert_eq!(of(&without([Extension::Router])), stock);
    }
}
