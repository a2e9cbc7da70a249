//! What `DestinationRule`s are for: hosts and subsets that are there.

use super::scene::{Scene, shown};
use super::{Code, Finding};

/// A host that no client in the rule's namespace could mean.
pub(super) fn hosts(scene: &Scene<'_>) -> Vec<Finding> {
    let is_unknown = |namespace, host: &crate::model::Host| {
        let named = scene.service(namespace, host).is_some()
            || scene.mesh.services_of_host(host).next().is_some();
        let covered = || host.is_wildcard() && scene.mesh.hosts().any(|one| host.covers(one));
        !named && !covered()
    };
    let rules = scene.destination_rules.iter();
    rules
        .filter(|rule| is_unknown(&rule.key.namespace, &rule.host))
        .map(|rule| {
            let what = format!("no service has the host {}", rule.host);
            Finding::new(
                Code::UnknownDestinationRuleHost,
                &rule.key,
                "spec.host",
                what,
            )
            .hint("the rule has no effect until there is one")
        })
        .collect()
}

/// A subset that none of its service's endpoints belongs to.
pub(super) fn subsets(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &scene.destination_rules {
        let Some(service) = scene.service(&rule.key.namespace, &rule.host) else {
            continue;
        };
        let endpoints = scene.mesh.endpoints(&service.key);
        let Some(endpoints) = endpoints.filter(|all| !all.is_empty()) else {
            continue;
        };
        for (index, subset) in rule.subsets.iter().enumerate() {
            let labels = &subset.labels;
            if !endpoints.iter().any(|one| one.labels.selected_by(labels)) {
                let path = format!("spec.subsets[{index}].labels");
                let what = format!(
                    "no endpoint of {} has {}: what is routed to the subset {:?} fails",
                    rule.host,
                    shown(labels),
                    &*subset.name
                );
                let code = Code::DestinationRuleSubsetNotSelectPods;
                findings.push(Finding::new(code, &rule.key, path, what));
            }
        }
    }
    findings
}
