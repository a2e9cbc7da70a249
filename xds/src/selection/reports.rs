//! What a proxy reports, and to whom: what rules and mesh config's providers come to for it.
//!
//! It is found when the proxy is sorted, so that proxies that report alike share what is made from it; where nobody says
//! anything there is none.

use std::sync::Arc;

use pilothouse_core::mesh::{Collector, Mesh, Provider, ProviderKind, TagValue};
use pilothouse_core::model::{NamespaceName, Proxy, ProxyKind};
use pilothouse_core::rules::resolve::{
    Effective, LogProvider, Spans, TelemetrySide, effective, effective_rules,
};

use crate::extensions::{Extension, Missing};
use crate::inputs::reports::{
    Log, LogTo, Metrics, Own, Reports, Tracer, Tracing, Upstream, file_log, log_of_mesh_config,
};
use crate::names;
use crate::view::proxied_port;

/// The oldest Envoy that knows the newer fields of OpenTelemetry's access log.
const NEWER_OTEL_LOG: (u32, u32, u32) = (1, 38, 0);
/// The oldest Envoy that is known to take formats as tags of spans.
const FORMATTED_TAGS: (u32, u32, u32) = (1, 40, 0);

/// What `proxy` reports of what its workload asks for, and of what it is asked for; `None`: what mesh config says of access logs.
pub(super) fn reports(mesh: &Mesh, proxy: &Proxy) -> [Option<Arc<Reports>>; 2] {
    let rules = effective_rules(mesh, &proxy.namespace, &proxy.labels);
    let of = |side| {
        let found = effective(mesh.config(), &rules, side)?;
        let seeker = Seeker {
            mesh,
            proxy,
            without: Missing::of(&proxy.missing),
        };
        Some(Arc::new(seeker.reports(found, side)))
    };
    [of(TelemetrySide::Client), of(TelemetrySide::Server)]
}

/// The cluster of a provider's service for proxies of this namespace; `None` where they have none.
fn upstream(mesh: &Mesh, namespace: &NamespaceName, to: &Collector) -> Option<Upstream> {
    let service = mesh.visible(namespace, &to.host)?;
    let is_meant = |wanted: &NamespaceName| service.key.namespace == *wanted;
    let is_right = to.namespace.as_ref().is_none_or(is_meant);
    let (port, _) = proxied_port(service, to.port).filter(|_| is_right)?;
    Some(Upstream {
        cluster: names::outbound_cluster(port.port, "", &to.host),
        host: to.host.clone(),
    })
}

struct Seeker<'a> {
    mesh: &'a Mesh,
    proxy: &'a Proxy,
    without: Missing,
}

impl Seeker<'_> {
    fn reports(&self, found: Effective, side: TelemetrySide) -> Reports {
        let Effective {
            logs,
            spans,
            metrics,
            rules,
        } = found;
        let logs = logs.into_iter().filter_map(|(to, filter)| {
            // What cannot be left out must not be written in full.
            let cannot = filter.is_some() && self.without.has(Extension::CelLogFilter);
            let log = match to {
                LogProvider::MeshConfig => log_of_mesh_config(self.mesh, self.without)?.to,
                LogProvider::Named(provider) => self.log_to(&provider)?,
            };
            (!cannot).then_some(Log { to: log, filter })
        });
        Reports {
            logs: logs.collect(),
            tracing: spans.and_then(|spans| self.tracing(spans)),
            metrics: metrics
                .filter(|_| !self.without.has(Extension::StatsLog))
                .map(|counted| Metrics {
                    by_destination: side == TelemetrySide::Server,
                    counted,
                    own: self.own(),
                }),
            rules,
        }
    }

    fn log_to(&self, provider: &Provider) -> Option<LogTo> {
        let has = |extension| !self.without.has(extension);
        match &provider.kind {
            ProviderKind::FileLog(log) => file_log(log.clone(), self.without),
            ProviderKind::GrpcLog(log) => {
                let extension = match log.connections {
                    true => Extension::TcpGrpcLog,
                    false => Extension::HttpGrpcLog,
                };
                let to = self.upstream(&log.to).filter(|_| has(extension))?;
                Some(LogTo::Grpc(log.clone(), to))
            }
            ProviderKind::OtelLog(log) => Some(LogTo::Otel {
                log: log.clone(),
                to: self.upstream(&log.to).filter(|_| has(Extension::OtelLog))?,
                older: self.proxy.envoy.is_none_or(|envoy| envoy < NEWER_OTEL_LOG),
            }),
            ProviderKind::Zipkin(_)
            | ProviderKind::OpenTelemetry(_)
            | ProviderKind::Prometheus
            | ProviderKind::Inert(_) => None,
        }
    }

    fn tracing(&self, spans: Spans) -> Option<Tracing> {
        let has = |extension| !self.without.has(extension);
        let (tracer, length) = match &spans.provider.kind {
            ProviderKind::Zipkin(zipkin) if has(Extension::Zipkin) => {
                let to = self.upstream(&zipkin.to)?;
                (
                    Tracer::Zipkin(zipkin.clone(), to),
                    zipkin.max_path_tag_length,
                )
            }
            ProviderKind::OpenTelemetry(otel) if has(Extension::OpenTelemetry) => {
                let tracer = Tracer::OpenTelemetry {
                    otel: otel.clone(),
                    to: self.upstream(&otel.to)?,
                    service_name: self.service_name(),
                };
                (tracer, otel.max_path_tag_length)
            }
            _ => return None,
        };
        let mut tags = spans.tags;
        if self.proxy.envoy.is_none_or(|envoy| envoy < FORMATTED_TAGS) {
            tags.retain(|(_, value)| !matches!(value, TagValue::Formatter(_)));
        }
        if spans.istio_tags {
            let missing =
                |(name, _): &(Arc<str>, TagValue)| !tags.iter().any(|(tag, _)| tag == name);
            let own: Vec<_> = self.istio_tags().into_iter().filter(missing).collect();
            tags.extend(own);
            tags.sort();
        }
        Some(Tracing {
            tracer,
            sampling: spans.sampling,
            max_path_tag_length: length.or(spans.max_path_tag_length),
            tags,
            spawn_upstream_span: self.proxy.id.kind == ProxyKind::Router,
            by_request_id: spans.by_request_id,
        })
    }

    fn upstream(&self, to: &Collector) -> Option<Upstream> {
        upstream(self.mesh, &self.proxy.namespace, to)
    }

    /// What a workload's proxy is called: after its application and namespace.
    fn service_name(&self) -> Arc<str> {
        let app = self.label(&["app"]).unwrap_or("istio-proxy");
        format!("{app}.{}", self.proxy.namespace).into()
    }

    fn istio_tags(&self) -> Vec<(Arc<str>, TagValue)> {
        let own = self.own();
        let mesh: Arc<str> = self.mesh.config().trust_domain.clone();
        let all = [
            ("istio.canonical_revision", own.canonical_revision),
            ("istio.canonical_service", own.canonical_service),
            ("istio.cluster_id", own.cluster),
            ("istio.mesh_id", mesh),
            ("istio.namespace", own.namespace),
        ];
        all.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.into(), TagValue::Literal(value)))
            .collect()
    }

    fn own(&self) -> Own {
        let workload = self.mesh.workload_of(self.proxy);
        let name: Arc<str> = workload.map_or_else(
            || {
                self.proxy
                    .id
                    .name
                    .split('.')
                    .next()
                    .unwrap_or_default()
                    .into()
            },
            |workload| workload.key.name.clone(),
        );
        let text =
            |keys: &[&str], otherwise: &str| Arc::from(self.label(keys).unwrap_or(otherwise));
        const SERVICE: [&str; 3] = [
            "service.istio.io/canonical-name",
            "app.kubernetes.io/name",
            "app",
        ];
        const REVISION: [&str; 3] = [
            "service.istio.io/canonical-revision",
            "app.kubernetes.io/version",
            "version",
        ];
        Own {
            namespace: self.proxy.namespace.as_str().into(),
            principal: workload
                .and_then(|workload| self.mesh.identity_of(workload))
                .map_or_else(|| "unknown".into(), |identity| identity.to_string().into()),
            app: text(&["app"], "unknown"),
            version: text(&["version"], "unknown"),
            canonical_service: text(&SERVICE, &name),
            canonical_revision: text(&REVISION, "latest"),
            cluster: self.proxy.cluster.as_str().into(),
            workload: name,
        }
    }

    fn label(&self, keys: &[&str]) -> Option<&str> {
        let mut values = keys.iter().filter_map(|key| self.proxy.labels.get(key));
        values.find(|value| !value.is_empty())
    }
}
