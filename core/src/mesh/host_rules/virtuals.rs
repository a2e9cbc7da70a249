//! What `VirtualService`s are looked up by beside their hosts on sidecars: gateways, and the rules that they delegate to.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use rpds::RedBlackTreeMapSync as Map;

use super::{Names, delegates, sees, unique};
use crate::mesh::{Mesh, Rule};
use crate::model::NamespaceName;
use crate::registry::ObjectKey;
use crate::rules::Resolved;
use crate::rules::resolve::{GatewayRef, HttpAction, VirtualService};

const KIND: &str = "VirtualService";

/// A namespace and a name.
type Named = (NamespaceName, Arc<str>);
/// When a rule was made, its name and its namespace.
type Age = (Option<Timestamp>, Arc<str>, NamespaceName);

/// The `VirtualService`s in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Virtuals {
    /// By gateway and age.
    gateways: Map<(Named, Age), Arc<Rule>>,
    /// By the rules that they delegate to.
    delegating: Map<Named, Arc<BTreeSet<ObjectKey>>>,
    /// The hosts that they route on sidecars.
    pub(super) routed: Names,
}

impl Virtuals {
    pub(super) fn insert(&mut self, rule: &Arc<Rule>) {
        let Some(Resolved::Virtual(resolved)) = &rule.resolved else {
            return;
        };
        for host in unique(resolved.mesh_hosts()) {
            self.routed.insert(&host);
        }
        for gateway in gateways(resolved) {
            self.gateways.insert_mut((gateway, age(rule)), rule.clone());
        }
        for to in delegates_of(resolved) {
            let mut all = self.delegating(&to);
            all.insert(rule.meta.key.clone());
            self.delegating.insert_mut(to, Arc::new(all));
        }
    }

    pub(super) fn remove(&mut self, rule: &Rule) {
        let Some(Resolved::Virtual(resolved)) = &rule.resolved else {
            return;
        };
        let key = &rule.meta.key;
        for host in unique(resolved.mesh_hosts()) {
            self.routed.remove(&host);
        }
        for gateway in gateways(resolved) {
            self.gateways.remove_mut(&(gateway, age(rule)));
        }
        for to in delegates_of(resolved) {
            let mut all = self.delegating(&to);
            all.remove(key);
            if all.is_empty() {
                self.delegating.remove_mut(&to);
            } else {
                self.delegating.insert_mut(to, Arc::new(all));
            }
        }
    }

    fn delegating(&self, to: &Named) -> BTreeSet<ObjectKey> {
        let all = self.delegating.get(to);
        all.map(|all| BTreeSet::clone(all)).unwrap_or_default()
    }
}

impl Mesh {
    /// The `VirtualService`s that are in force on the `Gateway` of this name, the oldest first, then by name and namespace.
    /// Routes that other rules were delegated to say stand in the place of those that delegate. Who sees them is for
    /// [`sees_virtual_service`](Self::sees_virtual_service) to say.
    pub fn virtual_services_of_gateway(
        &self,
        namespace: &NamespaceName,
        name: &str,
    ) -> Vec<Arc<VirtualService>> {
        let at = (namespace.clone(), Arc::from(name));
        let first = (at.clone(), (None, "".into(), NamespaceName::default()));
        let rules = self.host_rules.virtuals.gateways.range(first..);
        rules
            .take_while(|((gateway, _), _)| *gateway == at)
            .filter_map(|(_, rule)| virtual_service(rule))
            .map(|rule| delegates::complete(self, rule))
            .collect()
    }

    /// Whether proxies in `namespace` see a `VirtualService`.
    pub fn sees_virtual_service(&self, namespace: &NamespaceName, rule: &VirtualService) -> bool {
        sees_as(self, Some(namespace), rule)
    }

    /// The `VirtualService`s that delegate to the object of this name, which perhaps does not exist.
    pub fn delegating_to(&self, delegate: &ObjectKey) -> impl Iterator<Item = &Arc<Rule>> {
        let is_one = delegate.kind.as_str() == KIND;
        let at = (delegate.namespace.clone(), delegate.name.clone());
        let keys = self.host_rules.virtuals.delegating.get(&at);
        let keys = keys.filter(|_| is_one).into_iter();
        keys.flat_map(|keys| keys.iter())
            .filter_map(|key| self.rule(key))
    }

    /// What is wrong with what a `VirtualService` delegates to.
    pub fn delegation_problems(&self, rule: &VirtualService) -> Vec<crate::registry::Problem> {
        delegates::routes(self, rule).1
    }
}

/// Whether clients in `namespace` see a rule; for `None`, whether all do.
pub(super) fn sees_as(
    mesh: &Mesh,
    namespace: Option<&NamespaceName>,
    rule: &VirtualService,
) -> bool {
    sees(
        namespace,
        &rule.key.namespace,
        rule.export_to.as_ref(),
        &mesh.config().default_virtual_service_export_to,
    )
}

pub(super) fn virtual_service(rule: &Arc<Rule>) -> Option<&Arc<VirtualService>> {
    match &rule.resolved {
        Some(Resolved::Virtual(rule)) => Some(rule),
        _ => None,
    }
}

fn age(rule: &Rule) -> Age {
    let key = &rule.meta.key;
    (rule.meta.created, key.name.clone(), key.namespace.clone())
}

fn gateways(rule: &VirtualService) -> BTreeSet<Named> {
    let named = rule.gateways.iter().filter_map(|gateway| match gateway {
        GatewayRef::Named { namespace, name } => Some((namespace.clone(), name.clone())),
        GatewayRef::Mesh => None,
    });
    // A rule without hosts is in force where others say.
    named.filter(|_| !rule.hosts.is_empty()).collect()
}

fn delegates_of(rule: &VirtualService) -> BTreeSet<Named> {
    let routes = rule.http.iter().filter_map(|route| match &route.action {
        HttpAction::Delegate(to) => Some((to.namespace.clone(), to.name.clone())),
        _ => None,
    });
    routes.collect()
}
