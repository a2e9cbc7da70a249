//! Rules: as written ([`spec`]), checked ([`mod@check`]), resolved into what the mesh is made of ([`resolve`]).
//!
//! An adapter calls [`RuleSpec::parse`] and hands the result to the store. The store calls [`check()`]; an object without
//! an error goes through [`resolve`]. A further kind is a file in `spec`, one in `check`, one in `resolve` where it becomes
//! something else than itself, a variant of [`RuleSpec`] and a line in the table behind [`kinds()`].

mod at;
pub mod check;
mod kinds;
mod once;
pub mod resolve;
mod resolved;
pub mod schema;
pub mod spec;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::registry::{Meta, Problem, is_fatal};
use at::Report;
pub use check::check;
pub(crate) use kinds::kind_of;
pub use kinds::{RuleKind, kind, kinds};
pub use resolved::{HostKind, Reads, Resolved};

/// A rule as its author wrote it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RuleSpec {
    /// Who may ask for what.
    AuthorizationPolicy(Arc<spec::AuthorizationPolicy>),
    /// What clients do once they have chosen a service.
    DestinationRule(Arc<spec::DestinationRule>),
    /// A change of what Envoy gets, in Envoy's own words.
    EnvoyFilter(Arc<spec::EnvoyFilter>),
    /// What a router listens on, and for whom.
    Gateway(Arc<spec::Gateway>),
    /// Kubernetes' routes for routers.
    Ingress(Arc<spec::Ingress>),
    /// Who serves Kubernetes' routes.
    IngressClass(Arc<spec::IngressClass>),
    /// What workloads demand of their clients' connections.
    PeerAuthentication(Arc<spec::PeerAuthentication>),
    /// How proxies are started.
    ProxyConfig(Arc<spec::ProxyConfigRule>),
    /// Which tokens requests may bear.
    RequestAuthentication(Arc<spec::RequestAuthentication>),
    /// A service that no platform declares.
    ServiceEntry(Arc<spec::ServiceEntry>),
    /// What a sidecar's clients reach, and how it is reached itself.
    Sidecar(Arc<spec::Sidecar>),
    /// What proxies report.
    Telemetry(Arc<spec::Telemetry>),
    /// What runs inside a proxy: code of any kind.
    TrafficExtension(Arc<spec::ProxyExtension>),
    /// Which service clients choose.
    VirtualService(Arc<spec::VirtualService>),
    /// What runs inside a proxy: a Wasm module.
    WasmPlugin(Arc<spec::ProxyExtension>),
    /// A workload that no platform declares.
    WorkloadEntry(Arc<spec::WorkloadEntry>),
    /// What workloads of a kind have in common.
    WorkloadGroup(Arc<spec::WorkloadGroup>),
}

/// A check by somebody who knows what core does not, such as a data plane: all that is wrong with a rule in that respect.
pub type RuleCheck = fn(&Meta, &RuleSpec) -> Vec<Problem>;

/// Why an object is not read as a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no rule, or a rule of a kind that is not known here.
    UnknownKind,
    /// It is a rule and its text is wrong: all that is wrong with it, warnings included.
    Spec(Vec<Problem>),
}

impl RuleSpec {
    /// Reads an object's `spec` (`null` where it has none). All problems are found in one go; those beside the rule are
    /// warnings. Whether what it says makes sense is for [`check()`] to say.
    ///
    /// # Errors
    /// The kind is unknown, or the text is wrong.
    pub fn parse(
        api_version: &str,
        kind: &str,
        spec: &Value,
    ) -> Result<(Self, Vec<Problem>), Unreadable> {
        let known = kinds::kind(api_version, kind).ok_or(Unreadable::UnknownKind)?;
        let report = Report::default();
        let version = api_version.rsplit('/').next().unwrap_or_default();
        if !known.versions.contains(&version) {
            report.root("apiVersion").error_hint(
                format!(
                    "{} has no version {:?}",
                    known.group,
                    spec::excerpt(version)
                ),
                format!("one of {}", known.versions.join(", ")),
            );
        }
        let rule = (known.read)(spec, &report.root("spec"));
        let problems = report.finish();
        if is_fatal(&problems) {
            Err(Unreadable::Spec(problems))
        } else {
            Ok((rule, problems))
        }
    }

    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AuthorizationPolicy(_) => "AuthorizationPolicy",
            Self::DestinationRule(_) => "DestinationRule",
            Self::EnvoyFilter(_) => "EnvoyFilter",
            Self::Gateway(_) => "Gateway",
            Self::Ingress(_) => "Ingress",
            Self::IngressClass(_) => "IngressClass",
            Self::PeerAuthentication(_) => "PeerAuthentication",
            Self::ProxyConfig(_) => "ProxyConfig",
            Self::RequestAuthentication(_) => "RequestAuthentication",
            Self::ServiceEntry(_) => "ServiceEntry",
            Self::Sidecar(_) => "Sidecar",
            Self::Telemetry(_) => "Telemetry",
            Self::TrafficExtension(_) => "TrafficExtension",
            Self::VirtualService(_) => "VirtualService",
            Self::WasmPlugin(_) => "WasmPlugin",
            Self::WorkloadEntry(_) => "WorkloadEntry",
            Self::WorkloadGroup(_) => "WorkloadGroup",
        }
    }
}

#[cfg(test)]
mod tests;
