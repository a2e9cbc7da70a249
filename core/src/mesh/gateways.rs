//! Which gateways are for a router.

use std::sync::Arc;

use super::{Mesh, Rule};
use crate::model::{Labels, NamespaceName};
use crate::registry::{Kind, ObjectKey};
use crate::rules::Resolved;
use crate::rules::resolve::{Gateway, IngressRoutes};

impl Mesh {
    /// The rules in force of this kind, by namespace and name.
    pub fn rules_of(&self, kind: &'static str) -> impl Iterator<Item = &Arc<Rule>> {
        let kind = Kind::new(kind);
        let first = ObjectKey::new(kind.clone(), NamespaceName::default(), "");
        let all = self.rules.range(first..);
        all.take_while(move |(key, _)| key.kind == kind)
            .map(|(_, rule)| rule)
    }

    /// The gateways that select a router with these labels, by namespace and name: wherever they are, or those of the router's
    /// own namespace where mesh config says so. Behind them come those of `Ingress`es; they count as the root namespace's.
    pub fn gateways_selecting<'a>(
        &'a self,
        namespace: &'a NamespaceName,
        labels: &'a Labels,
    ) -> impl Iterator<Item = &'a Arc<Gateway>> {
        let anywhere = !self.config().scope_gateways;
        let all = self.rules_of("Gateway").filter_map(|rule| rule.gateway());
        let selecting = all
            .filter(move |gateway| anywhere || gateway.key.namespace == *namespace)
            .filter(|gateway| labels.selected_by(&gateway.selector));
        let serves = (anywhere || self.config().root_namespace == *namespace)
            && labels.selected_by(&self.config().ingress.selector);
        let ingresses = serves.then(|| self.ingresses()).into_iter().flatten();
        let is_served = |ingress: &&Arc<IngressRoutes>| self.serves_ingress(ingress).is_ok();
        let ingresses = ingresses.filter(is_served);
        selecting.chain(ingresses.map(|ingress| &ingress.gateway))
    }
}

impl Rule {
    /// What is listened on if it is a `Gateway` or an `Ingress`.
    pub fn gateway(&self) -> Option<&Arc<Gateway>> {
        match &self.resolved {
            Some(Resolved::Gateway(gateway)) => Some(gateway),
            Some(Resolved::Ingress(ingress)) => Some(&ingress.gateway),
            _ => None,
        }
    }
}
