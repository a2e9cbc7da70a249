//! Which `Sidecar` is in force for a proxy: of its namespace the oldest that selects it, then the oldest that is for all, then
//! the oldest of the root namespace that is for all.

use std::sync::Arc;

use super::{Mesh, Rule};
use crate::model::{Labels, NamespaceName};
use crate::rules::Resolved;
use crate::rules::resolve::Sidecar;

/// The name of the kind.
const KIND: &str = "Sidecar";

impl Mesh {
    /// The `Sidecar` in force for a proxy in `namespace` with these labels.
    pub fn sidecar_of(&self, namespace: &NamespaceName, labels: &Labels) -> Option<&Arc<Sidecar>> {
        let own = self.sidecars_in(namespace);
        let selecting = own.iter().find(|(_, sidecar)| {
            let selector = sidecar.selector.as_ref();
            selector.is_some_and(|selector| labels.selected_by(selector))
        });
        let general = |(_, sidecar): &&(_, &Arc<Sidecar>)| sidecar.selector.is_none();
        let found = selecting.or_else(|| own.iter().find(general));
        if let Some((_, sidecar)) = found {
            return Some(*sidecar);
        }
        let root = self.sidecars_in(&self.config().root_namespace);
        root.iter().find(general).map(|(_, sidecar)| *sidecar)
    }

    /// The `Sidecar`s of a namespace, the oldest first.
    pub fn sidecars_in(&self, namespace: &NamespaceName) -> Vec<(&Arc<Rule>, &Arc<Sidecar>)> {
        let rules = self.rules_in(KIND, namespace).into_iter();
        rules
            .filter_map(|rule| match &rule.resolved {
                Some(Resolved::Sidecar(sidecar)) => Some((rule, sidecar)),
                _ => None,
            })
            .collect()
    }
}
