//! Checks of rules: every problem of an object at once, one file per kind.
//!
//! They follow Istio's validation, so that what a mesh has accepted is accepted here, and refuse besides what Envoy would
//! refuse. A check looks at one object alone; what depends on others is found when rules are resolved.

mod access_log;
mod authorization_policy;
mod cel;
mod destination_rule;
mod envoy_filter;
mod export_to;
mod gateway;
mod ingress;
mod labels;
mod mesh_config;
mod name;
mod peer_authentication;
mod policy_target;
mod proxy_config;
mod request_authentication;
mod service_entry;
mod sidecar;
mod telemetry;
mod virtual_service;
mod workload_entry;
mod workload_group;

use super::RuleSpec;
use super::at::Report;
use crate::registry::{Meta, Problem};

pub(super) use gateway::CIPHERS;
pub(super) use mesh_config::check as mesh_config;

/// All that is wrong with a rule. One with an error among them must not be used.
pub fn check(meta: &Meta, spec: &RuleSpec) -> Vec<Problem> {
    let report = Report::default();
    let at = report.root("spec");
    match spec {
        RuleSpec::AuthorizationPolicy(rule) => authorization_policy::check(&at, meta, rule),
        RuleSpec::DestinationRule(rule) => destination_rule::check(&at, meta, rule),
        RuleSpec::EnvoyFilter(rule) => envoy_filter::check(&at, meta, rule),
        RuleSpec::Gateway(rule) => gateway::check(&at, meta, rule),
        RuleSpec::Ingress(rule) => ingress::check(&at, meta, rule),
        RuleSpec::IngressClass(rule) => ingress::check_class(&at, rule),
        RuleSpec::PeerAuthentication(rule) => peer_authentication::check(&at, meta, rule),
        RuleSpec::ProxyConfig(rule) => proxy_config::check(&at, meta, rule),
        RuleSpec::RequestAuthentication(rule) => request_authentication::check(&at, meta, rule),
        RuleSpec::ServiceEntry(entry) => service_entry::check(&at, meta, entry),
        RuleSpec::Sidecar(rule) => sidecar::check(&at, meta, rule),
        RuleSpec::Telemetry(rule) => telemetry::check(&at, meta, rule),
        RuleSpec::VirtualService(rule) => virtual_service::check(&at, meta, rule),
        // Nothing carries them out, so that nothing can be wrong with what they say.
        RuleSpec::TrafficExtension(_) | RuleSpec::WasmPlugin(_) => {}
        RuleSpec::WorkloadEntry(entry) => workload_entry::check(&at, entry),
        RuleSpec::WorkloadGroup(rule) => workload_group::check(&at, meta, rule),
    }
    report.finish()
}

/// For tests: all that is wrong with an object of this kind, read and checked, without the advice; `E` is an error and `W` a
/// warning.
#[cfg(test)]
fn problems(kind: &str, spec: &serde_json::Value) -> Vec<String> {
    use super::{RuleSpec, Unreadable};
    use crate::registry::Severity;

    let show = |problem: Problem| {
        let letter = if problem.severity == Severity::Error {
            'E'
        } else {
            'W'
        };
        format!("{letter} {}: {}", problem.path, problem.what)
    };
    let api_version = super::kinds::api_version(kind);
    let found = match RuleSpec::parse(&api_version, kind, spec) {
        Ok((rule, mut found)) => {
            found.extend(check(&Meta::new(kind, "shop", "it"), &rule));
            found
        }
        Err(Unreadable::Spec(found)) => found,
        Err(Unreadable::UnknownKind) => vec![Problem::error("kind", "is not known")],
    };
    found.into_iter().map(show).collect()
}
