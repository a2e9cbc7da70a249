//! Routes that look at what a token claims.

use super::scene::Scene;
use super::{Code, Finding};
use crate::rules::resolve::{CLAIMS, GatewayRef};
use crate::rules::{Resolved, RuleSpec};

/// Nothing says which tokens may be believed where such a route is.
pub(super) fn claims(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in scene.mesh.rules() {
        let (RuleSpec::VirtualService(spec), Some(Resolved::Virtual(resolved))) =
            (&rule.spec, &rule.resolved)
        else {
            continue;
        };
        let root = &scene.mesh.config().root_namespace;
        let mut namespaces = vec![&rule.meta.key.namespace, root];
        namespaces.extend(resolved.gateways.iter().filter_map(|one| match one {
            GatewayRef::Named { namespace, .. } => Some(namespace),
            GatewayRef::Mesh => None,
        }));
        let checks = |namespace: &&_| {
            let rules = scene.mesh.rules_in("RequestAuthentication", namespace);
            !rules.is_empty()
        };
        if namespaces.iter().any(checks) {
            continue;
        }
        for (nth, route) in spec.http.iter().enumerate() {
            let reads = route.matches.iter().position(|one| {
                let names = one.headers.iter().chain(one.without_headers.iter());
                names.into_iter().any(|(name, _)| name.starts_with(CLAIMS))
            });
            if let Some(index) = reads {
                let path = format!("spec.http[{nth}].match[{index}].headers");
                let what = "looks at a token's claims, and no RequestAuthentication says which tokens are believed";
                let code = Code::JwtClaimBasedRoutingWithoutRequestAuthN;
                findings.push(Finding::new(code, &rule.meta.key, path, what));
            }
        }
    }
    findings
}
