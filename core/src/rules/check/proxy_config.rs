//! Checks of a `ProxyConfig`.

use super::name::plain_text;
use super::policy_target::selector;
use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::{ProxyConfigRule, excerpt};

/// More threads than any machine has cores.
const MOST_THREADS: u32 = 4096;

/// All that is wrong with it.
pub(super) fn check(at: &At<'_>, _: &Meta, rule: &ProxyConfigRule) {
    at.warning_hint(
        "takes effect when a proxy is started from files that are written from it: proxies do not ask discovery for it",
        "pilotctl workload configure writes them",
    );
    if let Some(of) = &rule.selector {
        selector(&at.field("selector"), of);
    }
    if rule
        .concurrency
        .is_some_and(|threads| threads > MOST_THREADS)
    {
        at.field("concurrency")
            .error(format!("is more than {MOST_THREADS}"));
    }
    let variables = at.field("environmentVariables");
    for (name, value) in rule.environment_variables.iter() {
        let here = variables.key(name);
        if !is_variable(name) {
            here.error_hint(
                format!("{:?} is not the name of a variable", excerpt(name)),
                "letters, digits and '_', beginning with no digit",
            );
        }
        plain_text(&here, value);
    }
    if rule.image.is_some() {
        at.field("image").warning(
            "is known to Istio and has no effect here: whoever starts a workload chooses what it is started from",
        );
    }
}

fn is_variable(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty()
        && name.bytes().all(is_letter)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::problems;

    #[test]
    fn every_problem_at_once() {
        let effect = "W spec: takes effect when a proxy is started from files that are written from it: proxies do not ask discovery \
            for it";
        assert_eq!(
            problems(
                "ProxyConfig",
                &json!({"concurrency": 0, "environmentVariables": {"ISTIO_META_X": "y"}, "selector": {"matchLabels": {"app": "web"}}})
            ),
            [effect]
        );
        assert_eq!(
            problems(
                "ProxyConfig",
                &json!({
                    "concurrency": 5000, "environmentVariables": {"A=B": "x", "C": "a\nb"}, "image": {"imageType": "debug"},
                    "selector": {"matchLabels": {"app": "*"}},
                })
            ),
            [
                effect,
                "E spec.selector.matchLabels.app: selectors have no wildcards",
                "E spec.concurrency: is more than 4096",
                "E spec.environmentVariables[\"A=B\"]: \"A=B\" is not the name of a variable",
                "E spec.environmentVariables.C: has control characters in it",
                "W spec.image: is known to Istio and has no effect here: whoever starts a workload chooses what it is started from",
            ]
        );
    }
}
