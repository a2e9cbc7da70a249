//! `Telemetry`: providers that are there, and rules among each other.

use super::scene::Scene;
use super::{Code, Finding};
use crate::rules::resolve::Telemetry;

/// Providers that mesh config lacks, and access logs and spans that go nowhere because none is named.
pub(super) fn providers(scene: &Scene<'_>) -> Vec<Finding> {
    let config = scene.mesh.config();
    let code = Code::InvalidTelemetryProvider;
    let mut findings = Vec::new();
    for rule in &scene.telemetries {
        for name in rule.providers() {
            if !config.providers.contains_key(name) {
                let what = format!("mesh config has no provider {:?}", &**name);
                let finding = Finding::new(code, &rule.key, "spec", what);
                findings.push(finding.hint("declare it in extensionProviders"));
            }
        }
        let defaults = &config.default_providers;
        let silent = rule
            .logs
            .iter()
            .position(|logs| logs.providers.is_empty() && !logs.disabled)
            .filter(|_| defaults.access_logging.is_empty() && config.access_log.is_none());
        if let Some(index) = silent {
            let path = format!("spec.accessLogging[{index}].providers");
            let what = "is empty, and mesh config has no default provider of access logs";
            findings.push(Finding::new(code, &rule.key, path, what));
        }
        let silent = rule
            .tracing
            .iter()
            .position(|one| one.provider.is_none() && one.disabled != Some(true))
            .filter(|_| {
                defaults.tracing.is_empty() && config.default_config.tracing.zipkin.is_none()
            });
        if let Some(index) = silent {
            let path = format!("spec.tracing[{index}].providers");
            let what = "is empty, and mesh config has no default provider of spans";
            findings.push(Finding::new(code, &rule.key, path, what));
        }
    }
    findings
}

/// Several that select one workload: the oldest counts.
pub(super) fn same_workload(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (younger, older) in pairs(scene) {
        let (Some(own), Some(others)) = (&younger.selector, &older.selector) else {
            continue;
        };
        let mut both = scene
            .selected(&younger.key.namespace, own, false)
            .filter(|workload| workload.labels.selected_by(others));
        if let Some(workload) = both.next() {
            let what = format!(
                "{}, which is older, selects {}, too, and counts there",
                older.key, workload.key.name
            );
            let code = Code::ConflictingTelemetryWorkloadSelectors;
            findings.push(Finding::new(code, &younger.key, "spec.selector", what));
        }
    }
    findings
}

/// Several that are for all of a namespace: the oldest counts.
pub(super) fn several_defaults(scene: &Scene<'_>) -> Vec<Finding> {
    let is_default = |one: &Telemetry| one.selector.is_none() && !one.is_attached;
    pairs(scene)
        .into_iter()
        .filter(|(younger, older)| is_default(younger) && is_default(older))
        .map(|(younger, older)| {
            let what = format!(
                "{}, which is older, is for the whole namespace, too",
                older.key
            );
            let code = Code::MultipleTelemetriesWithoutWorkloadSelectors;
            Finding::new(code, &younger.key, "spec.selector", what)
                .hint("give it a selector, or say it in one of them")
        })
        .collect()
}

/// All pairs within a namespace, the younger one first.
fn pairs<'a>(scene: &Scene<'a>) -> Vec<(&'a Telemetry, &'a Telemetry)> {
    let mut all: Vec<&'a Telemetry> = scene.telemetries.iter().map(|one| &***one).collect();
    all.sort_by(|a, b| a.age().cmp(&b.age()));
    let younger = |(nth, younger): (usize, &&'a Telemetry)| {
        let older = all.iter().take(nth);
        let same = older.filter(|older| older.key.namespace == younger.key.namespace);
        same.map(|older| (*younger, *older)).collect::<Vec<_>>()
    };
    all.iter().enumerate().flat_map(younger).collect()
}
