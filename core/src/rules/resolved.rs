//! What a rule means, made once when it comes into force.

use std::sync::Arc;

use super::RuleSpec;
use super::resolve::{
    self, DestinationRule, EnvoyFilter, Gateway, IngressClass, IngressRoutes, Sidecar, Telemetry,
    VirtualService,
};
use crate::model::{Host, Labels, NamespaceName, Visibility};
use crate::registry::Meta;

/// The kinds of rules that are looked up by host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostKind {
    /// What clients do once they have chosen a service.
    Destination,
    /// Which service they choose.
    Virtual,
}

/// A rule as it is looked up: with names completed, defaults filled in and durations read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// A `DestinationRule`.
    Destination(Arc<DestinationRule>),
    /// A `Gateway`.
    Gateway(Arc<Gateway>),
    /// An `EnvoyFilter`.
    EnvoyFilter(Arc<EnvoyFilter>),
    /// An `Ingress`, whoever serves it.
    Ingress(Arc<IngressRoutes>),
    /// An `IngressClass`.
    IngressClass(IngressClass),
    /// A `Sidecar`.
    Sidecar(Arc<Sidecar>),
    /// A `Telemetry`.
    Telemetry(Arc<Telemetry>),
    /// A `VirtualService`.
    Virtual(Arc<VirtualService>),
}

/// What of a client a rule may depend on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reads {
    /// Where it is.
    Locality,
    /// Which machine it runs on.
    Node,
    /// The value of one of its labels, for clusters.
    Label(Arc<str>),
    /// The value of one of its labels, for routes.
    SourceLabel(Arc<str>),
    /// Whether this is its namespace, for routes.
    SourceNamespace(NamespaceName),
}

impl Resolved {
    /// What a checked rule means; `None` for kinds that are made into services or workloads, and for those without effect.
    pub fn of(meta: &Meta, spec: &RuleSpec) -> Option<Self> {
        match spec {
            RuleSpec::DestinationRule(spec) => resolve::destination_rule(meta, spec)
                .map(Arc::new)
                .map(Self::Destination),
            RuleSpec::EnvoyFilter(spec) => Some(Self::EnvoyFilter(Arc::new(
                resolve::envoy_filter::envoy_filter(meta, spec),
            ))),
            RuleSpec::Sidecar(spec) => Some(Self::Sidecar(Arc::new(resolve::sidecar(meta, spec)))),
            RuleSpec::Gateway(spec) => Some(Self::Gateway(Arc::new(resolve::gateway(meta, spec)))),
            RuleSpec::Ingress(spec) => Some(Self::Ingress(Arc::new(resolve::ingress(meta, spec)))),
            RuleSpec::IngressClass(spec) => {
                Some(Self::IngressClass(resolve::ingress_class(meta, spec)))
            }
            RuleSpec::Telemetry(spec) => {
                Some(Self::Telemetry(Arc::new(resolve::telemetry(meta, spec))))
            }
            RuleSpec::VirtualService(spec) => Some(Self::Virtual(Arc::new(
                resolve::virtual_service(meta, spec),
            ))),
            RuleSpec::AuthorizationPolicy(_)
            | RuleSpec::PeerAuthentication(_)
            | RuleSpec::ProxyConfig(_)
            | RuleSpec::RequestAuthentication(_)
            | RuleSpec::ServiceEntry(_)
            | RuleSpec::TrafficExtension(_)
            | RuleSpec::WasmPlugin(_)
            | RuleSpec::WorkloadEntry(_)
            | RuleSpec::WorkloadGroup(_) => None,
        }
    }

    /// How it is looked up by host; `None` for a kind that is not.
    pub fn host_kind(&self) -> Option<HostKind> {
        match self {
            Self::Gateway(_) => None,
            Self::Destination(_) => Some(HostKind::Destination),
            Self::EnvoyFilter(_) => None,
            Self::Ingress(_) | Self::IngressClass(_) => None,
            Self::Sidecar(_) => None,
            Self::Telemetry(_) => None,
            Self::Virtual(_) => Some(HostKind::Virtual),
        }
    }

    /// The hosts that it is for, wildcards among them; none for a kind that is not looked up by host.
    pub fn hosts(&self) -> Vec<Host> {
        match self {
            Self::Gateway(_) => Vec::new(),
            Self::Destination(rule) => vec![rule.host.clone()],
            Self::EnvoyFilter(_) => Vec::new(),
            Self::Ingress(_) | Self::IngressClass(_) => Vec::new(),
            Self::Sidecar(_) => Vec::new(),
            Self::Telemetry(_) => Vec::new(),
            Self::Virtual(rule) => rule.mesh_hosts(),
        }
    }

    /// The hosts on which it depends without being for them: what is made for its own hosts is made from these, too.
    pub fn refers_to(&self) -> Vec<Host> {
        match self {
            Self::Gateway(_) => Vec::new(),
            Self::Destination(_) => Vec::new(),
            Self::EnvoyFilter(_) => Vec::new(),
            Self::Ingress(_) | Self::IngressClass(_) => Vec::new(),
            Self::Sidecar(_) => Vec::new(),
            Self::Telemetry(_) => Vec::new(),
            Self::Virtual(rule) => rule.destinations(),
        }
    }

    /// Who sees it; `None`: what mesh config says.
    pub fn export_to(&self) -> Option<&Visibility> {
        match self {
            Self::Gateway(_) => None,
            Self::Destination(rule) => rule.export_to.as_ref(),
            Self::EnvoyFilter(_) => None,
            Self::Ingress(_) | Self::IngressClass(_) => None,
            Self::Sidecar(_) => None,
            Self::Telemetry(_) => None,
            Self::Virtual(rule) => rule.export_to.as_ref(),
        }
    }

    /// The clients that it is for, within its own namespace; `None`: all.
    pub fn selector(&self) -> Option<&Labels> {
        match self {
            // Routers are elsewhere than the rules that are for them.
            Self::Gateway(_) => None,
            Self::Destination(rule) => rule.selector.as_ref(),
            Self::EnvoyFilter(_) => None,
            Self::Ingress(_) | Self::IngressClass(_) => None,
            Self::Sidecar(_) => None,
            Self::Telemetry(_) => None,
            Self::Virtual(_) => None,
        }
    }

    /// Whether it has a part in what clients of its namespace (of all namespaces, if its own is the root) are sorted by, so
    /// that they are looked at again when it changes.
    pub fn selects_clients(&self) -> bool {
        match self {
            Self::Gateway(_) => false,
            Self::Destination(rule) => rule.selector.is_some(),
            Self::EnvoyFilter(_) => true,
            Self::Ingress(_) | Self::IngressClass(_) => false,
            Self::Sidecar(_) => true,
            Self::Telemetry(_) => true,
            Self::Virtual(_) => false,
        }
    }

    /// What of a client it depends on.
    pub fn reads(&self) -> Vec<Reads> {
        match self {
            Self::Gateway(_) => Vec::new(),
            Self::Destination(rule) => {
                let locality = rule.reads_locality().then_some(Reads::Locality);
                let labels = rule.reads_labels().cloned().map(Reads::Label);
                locality.into_iter().chain(labels).collect()
            }
            Self::EnvoyFilter(_) => Vec::new(),
            Self::Ingress(_) | Self::IngressClass(_) => Vec::new(),
            Self::Sidecar(_) => Vec::new(),
            Self::Telemetry(_) => Vec::new(),
            Self::Virtual(rule) => {
                let labels = rule.source_labels();
                let labels = labels.map(|key| Reads::SourceLabel(key.into()));
                let namespaces = rule.source_namespaces().cloned();
                labels
                    .chain(namespaces.map(Reads::SourceNamespace))
                    .collect()
            }
        }
    }
}
