//! `EnvoyFilter`s whose effect depends on others.

use super::scene::Scene;
use super::{Code, Finding};
use crate::rules::RuleSpec;
use crate::rules::spec::envoy_filter::{ConfigPatch, Operation};

/// A patch that is put beside something that another patch may move, without a word on which of them goes first.
pub(super) fn operations(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in scene.mesh.rules() {
        let RuleSpec::EnvoyFilter(filter) = &rule.spec else {
            continue;
        };
        if filter.priority.0 != 0 {
            continue;
        }
        for (index, patch) in filter.config_patches.iter().enumerate() {
            let Some(operation) = relative(patch) else {
                continue;
            };
            let code = match names_version(patch) {
                true => Code::EnvoyFilterUsesRelativeOperationWithProxyVersion,
                false => Code::EnvoyFilterUsesRelativeOperation,
            };
            let what = format!(
                "{} depends on what other patches put there, and nothing says which goes first",
                operation.name()
            );
            let path = format!("spec.configPatches[{index}].patch.operation");
            findings.push(
                Finding::new(code, &rule.meta.key, path, what)
                    .hint("set a priority, or use INSERT_FIRST"),
            );
        }
    }
    findings
}

fn relative(patch: &ConfigPatch) -> Option<Operation> {
    let operation = patch.patch.as_ref()?.operation;
    let is_one = matches!(operation, Operation::InsertBefore | Operation::InsertAfter);
    is_one.then_some(operation)
}

fn names_version(patch: &ConfigPatch) -> bool {
    let proxy = patch.matching.as_ref().and_then(|one| one.proxy.as_ref());
    proxy.is_some_and(|proxy| !proxy.proxy_version.is_empty())
}
