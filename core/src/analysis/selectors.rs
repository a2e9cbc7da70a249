//! Selectors of rules, where it is known which workloads there are.

use super::scene::{Scene, shown};
use super::{Code, Finding};
use crate::mesh::Rule;
use crate::model::Labels;
use crate::rules::RuleSpec;

/// The label of what a Kubernetes Gateway runs.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// A selector that selects nothing.
pub(super) fn workloads(scene: &Scene<'_>) -> Vec<Finding> {
    if !scene.knows_workloads() {
        return Vec::new();
    }
    let selecting = scene
        .mesh
        .rules()
        .filter_map(|rule| Some((rule, selector(rule)?)));
    selecting
        .filter(|(rule, (_, labels))| {
            let namespace = &rule.meta.key.namespace;
            scene.selected(namespace, labels, false).next().is_none()
        })
        .map(|(rule, (path, labels))| {
            let what = format!("no workload that it could be for has {}", shown(labels));
            let code = Code::NoMatchingWorkloadsFound;
            Finding::new(code, &rule.meta.key, path, what)
        })
        .collect()
}

/// Policies that select what a Kubernetes Gateway runs, to which they have to be attached.
pub(super) fn gateway_classes(scene: &Scene<'_>) -> Vec<Finding> {
    let is_attachable = |rule: &Rule| {
        matches!(
            rule.spec,
            RuleSpec::AuthorizationPolicy(_)
                | RuleSpec::RequestAuthentication(_)
                | RuleSpec::Telemetry(_)
        )
    };
    let mut findings = Vec::new();
    for rule in scene.mesh.rules().filter(|rule| is_attachable(rule)) {
        let Some((path, labels)) = selector(rule) else {
            continue;
        };
        let mut selected = scene.selected(&rule.meta.key.namespace, labels, false);
        let name = selected.find_map(|workload| workload.labels.get(GATEWAY_NAME));
        if let Some(name) = name {
            let what = format!("selects what the Kubernetes Gateway {name} runs");
            findings.push(
                Finding::new(Code::IneffectiveSelector, &rule.meta.key, path, what)
                    .hint("name the Gateway in targetRefs"),
            );
        }
    }
    findings
}

/// The selector of a rule, and where it stands.
fn selector(rule: &Rule) -> Option<(&'static str, &Labels)> {
    let (path, labels) = match &rule.spec {
        RuleSpec::AuthorizationPolicy(spec) => (
            "spec.selector",
            spec.selector.as_ref().map(|one| &one.match_labels),
        ),
        RuleSpec::PeerAuthentication(spec) => (
            "spec.selector",
            spec.selector.as_ref().map(|one| &one.match_labels),
        ),
        RuleSpec::RequestAuthentication(spec) => (
            "spec.selector",
            spec.selector.as_ref().map(|one| &one.match_labels),
        ),
        RuleSpec::Telemetry(spec) => (
            "spec.selector",
            spec.selector.as_ref().map(|one| &one.match_labels),
        ),
        RuleSpec::DestinationRule(spec) => {
            let selector = spec.workload_selector.as_ref();
            (
                "spec.workloadSelector",
                selector.map(|one| &one.match_labels),
            )
        }
        RuleSpec::EnvoyFilter(spec) => {
            let selector = spec.workload_selector.as_ref();
            ("spec.workloadSelector", selector.map(|one| &one.labels))
        }
        RuleSpec::ServiceEntry(spec) => {
            let selector = spec.workload_selector.as_ref();
            ("spec.workloadSelector", selector.map(|one| &one.labels))
        }
        RuleSpec::Sidecar(spec) => {
            let selector = spec.workload_selector.as_ref();
            ("spec.workloadSelector", selector.map(|one| &one.labels))
        }
        _ => return None,
    };
    let labels = labels.filter(|labels| !labels.is_empty())?;
    Some((path, labels))
}
