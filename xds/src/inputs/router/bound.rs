//! The gateways of a router, and the rules that are bound to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, NamespaceName};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{Gateway, GatewayRef, Server, VirtualService};

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The oldest first.
    pub(super) gateways: Vec<Arc<Gateway>>,
    bound: BTreeMap<ObjectKey, Vec<Arc<VirtualService>>>,
}

impl Rules {
    /// The gateways with these keys, and the rules that routers in `namespace` see.
    pub(super) fn of(mesh: &Mesh, namespace: &NamespaceName, keys: &[ObjectKey]) -> Self {
        let found = keys.iter().filter_map(|key| mesh.rule(key)?.gateway());
        let mut gateways: Vec<_> = found.cloned().collect();
        gateways.sort_by(|a, b| a.age().cmp(&b.age()));
        let bound = gateways.iter().map(|gateway| {
            let key = &gateway.key;
            let mut rules = match mesh.rule(key).and_then(|rule| rule.ingress()) {
                Some(ingress) => ingress.routes.clone(),
                None => mesh.virtual_services_of_gateway(&key.namespace, &key.name),
            };
            rules.retain(|rule| mesh.sees_virtual_service(namespace, rule));
            (key.clone(), rules)
        });
        Self {
            bound: bound.collect(),
            gateways,
        }
    }

    /// The rules that are bound to a gateway, the oldest first.
    pub(super) fn of_gateway(&self, gateway: &Gateway) -> &[Arc<VirtualService>] {
        self.bound.get(&gateway.key).map_or(&[], Vec::as_slice)
    }

    /// All rules; one that is bound to several gateways comes several times.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<VirtualService>> {
        self.bound.values().flatten()
    }
}

/// A gateway as rules refer to it.
pub(super) fn reference(gateway: &Gateway) -> GatewayRef {
    GatewayRef::Named {
        namespace: gateway.key.namespace.clone(),
        name: gateway.key.name.clone(),
    }
}

/// The hosts that a rule and a server have in common: of two that overlap the narrower one.
pub(super) fn common_hosts(server: &Server, rule: &VirtualService) -> Vec<Host> {
    let mut common: Vec<Host> = server
        .hosts_for(&rule.key.namespace)
        .flat_map(|of_server| {
            rule.hosts
                .iter()
                .filter_map(|host| narrower(of_server, host))
        })
        .cloned()
        .collect();
    common.sort();
    common.dedup();
    common
}

/// What two hosts have in common: one of them, if the other covers it.
pub(super) fn narrower<'a>(a: &'a Host, b: &'a Host) -> Option<&'a Host> {
    if a.covers(b) {
        Some(b)
    } else {
        b.covers(a).then_some(a)
    }
}
