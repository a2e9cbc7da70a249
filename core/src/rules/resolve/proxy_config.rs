//! `ProxyConfig` → how the proxies of a workload are started.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::mesh::{Mesh, MeshConfig, Rule};
use crate::model::{Labels, NamespaceName};
use crate::registry::ObjectKey;
use crate::rules::RuleSpec;

/// How the proxies of a workload are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyStart {
    /// Envoy's worker threads; `None`: as many as cores.
    pub concurrency: Option<u32>,
    /// What the agent finds in its environment.
    pub environment: BTreeMap<Arc<str>, Arc<str>>,
    /// The rules that say it, from the widest to the narrowest.
    pub rules: Vec<ObjectKey>,
}

/// How proxies of a workload of this namespace with these labels are started: as mesh config says, then the root namespace's
/// rule, its own namespace's, and the one that selects it. Of several in one place the oldest counts. Variables of all of them
/// are put together.
pub fn proxy_start(mesh: &Mesh, namespace: &NamespaceName, labels: &Labels) -> ProxyStart {
    let config: &MeshConfig = mesh.config();
    let mut start = ProxyStart {
        concurrency: config.default_config.concurrency,
        environment: config.default_config.environment.clone(),
        rules: Vec::new(),
    };
    let root = &config.root_namespace;
    let own = mesh.rules_in("ProxyConfig", namespace);
    let selector = |rule: &Rule| match &rule.spec {
        RuleSpec::ProxyConfig(spec) => {
            let of = spec.selector.as_ref().map(|of| of.match_labels.clone());
            of.filter(|labels| !labels.is_empty())
        }
        _ => None,
    };
    let wide = |all: &[&Arc<Rule>]| {
        let found = all.iter().find(|rule| selector(rule).is_none());
        found.map(|rule| Arc::clone(rule))
    };
    let selects = |rule: &&&Arc<Rule>| selector(rule).is_some_and(|of| labels.selected_by(&of));
    let narrow = own.iter().find(selects).map(|rule| Arc::clone(rule));
    let of_root = (root != namespace).then(|| wide(&mesh.rules_in("ProxyConfig", root)));
    let all = [of_root.flatten(), wide(&own), narrow];
    for rule in all.into_iter().flatten() {
        let RuleSpec::ProxyConfig(spec) = &rule.spec else {
            continue;
        };
        if let Some(threads) = spec.concurrency {
            start.concurrency = (threads > 0).then_some(threads);
        }
        let variables = spec.environment_variables.iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        start.environment.extend(variables);
        start.rules.push(rule.meta.key.clone());
    }
    start
}
