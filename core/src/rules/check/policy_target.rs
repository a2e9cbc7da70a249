//! What a security policy is for: workloads by their labels, or objects that it is attached to.

use crate::registry::Meta;
use crate::rules::at::At;
use crate::rules::spec::destination_rule::MatchLabels;
use crate::rules::spec::{TargetRef, excerpt};

/// Workloads by their labels, as security policies select them.
pub(super) fn selector(at: &At<'_>, selector: &MatchLabels) {
    let pairs = at.field("matchLabels");
    for (key, value) in selector.match_labels.iter() {
        let here = pairs.key(key);
        if key.is_empty() {
            here.error("has no key");
        } else if key.contains('*') || value.contains('*') {
            here.error("selectors have no wildcards");
        }
    }
}

/// What a policy is for, in one of three ways.
pub(super) fn target(
    at: &At<'_>,
    meta: &Meta,
    selected: Option<&MatchLabels>,
    older: Option<&TargetRef>,
    refs: &[TargetRef],
) {
    let ways = [
        ("selector", selected.is_some()),
        ("targetRef", older.is_some()),
        ("targetRefs", !refs.is_empty()),
    ];
    let given: Vec<_> = ways.iter().filter(|(_, given)| *given).collect();
    if let [(first, _), (second, _), ..] = given.as_slice() {
        at.field(second)
            .error_hint(format!("is given beside {first}"), "use one of them");
    }
    if let Some(labels) = selected {
        selector(&at.field("selector"), labels);
    }
    if let Some(older) = older {
        target_ref(&at.field("targetRef"), meta, older);
    }
    let list = at.field("targetRefs");
    for (index, reference) in refs.iter().enumerate() {
        target_ref(&list.index(index), meta, reference);
    }
}

/// The kinds that a policy can be attached to.
const TARGETS: [(&str, &str); 4] = [
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
    ("", "Service"),
    ("networking.istio.io", "ServiceEntry"),
];

fn target_ref(at: &At<'_>, meta: &Meta, reference: &TargetRef) {
    for (name, text) in [("kind", &reference.kind), ("name", &reference.name)] {
        if text.is_empty() {
            at.field(name).error("is missing");
        }
    }
    let group = match reference.group.as_str() {
        "core" => "",
        other => other,
    };
    let kind = reference.kind.as_str();
    if !kind.is_empty() && !TARGETS.contains(&(group, kind)) {
        at.field("kind").error_hint(
            format!(
                "a policy cannot be attached to a {} of group {:?}",
                excerpt(kind),
                excerpt(group)
            ),
            "a Gateway or GatewayClass of gateway.networking.k8s.io, a Service, or a ServiceEntry of networking.istio.io",
        );
    }
    let own = meta.key.namespace.as_str();
    if !reference.namespace.is_empty() && reference.namespace != own {
        at.field("namespace").error_hint(
            "is another namespace than the policy's own",
            "put the policy beside what it is attached to",
        );
    }
}
