//! `Sidecar`s of a namespace among each other.

use super::scene::Scene;
use super::{Code, Finding};
use crate::rules::resolve::Sidecar;

/// Several that select one workload: the oldest counts.
pub(super) fn same_workload(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let labels = |one: &Sidecar| one.selector.clone().filter(|labels| !labels.is_empty());
    for (younger, older) in pairs(scene) {
        let (Some(own), Some(others)) = (labels(younger), labels(older)) else {
            continue;
        };
        let mut both = scene
            .selected(&younger.key.namespace, &own, false)
            .filter(|workload| workload.labels.selected_by(&others));
        if let Some(workload) = both.next() {
            let what = format!(
                "{}, which is older, selects {}, too, and counts there",
                older.key, workload.key.name
            );
            let code = Code::ConflictingSidecarWorkloadSelectors;
            let path = "spec.workloadSelector";
            findings.push(Finding::new(code, &younger.key, path, what));
        }
    }
    findings
}

/// Several that are for all of a namespace: the oldest counts.
pub(super) fn several_defaults(scene: &Scene<'_>) -> Vec<Finding> {
    let is_default = |one: &Sidecar| one.selector.as_ref().is_none_or(|labels| labels.is_empty());
    pairs(scene)
        .into_iter()
        .filter(|(younger, older)| is_default(younger) && is_default(older))
        .map(|(younger, older)| {
            let what = format!(
                "{}, which is older, is for the whole namespace, too",
                older.key
            );
            let code = Code::MultipleSidecarsWithoutWorkloadSelectors;
            Finding::new(code, &younger.key, "spec.workloadSelector", what)
                .hint("give it a workloadSelector, or say it in one of them")
        })
        .collect()
}

/// All pairs within a namespace, the younger one first.
fn pairs<'a>(scene: &Scene<'a>) -> Vec<(&'a Sidecar, &'a Sidecar)> {
    let mut all: Vec<&'a Sidecar> = scene.sidecars.iter().map(|one| &***one).collect();
    all.sort_by(|a, b| (a.created, &a.key).cmp(&(b.created, &b.key)));
    let younger = |(nth, younger): (usize, &&'a Sidecar)| {
        let older = all.iter().take(nth);
        let same = older.filter(|older| older.key.namespace == younger.key.namespace);
        same.map(|older| (*younger, *older)).collect::<Vec<_>>()
    };
    all.iter().enumerate().flat_map(younger).collect()
}
