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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mesh::Source;
    use crate::registry::{Meta, RegistryId};
    use crate::rules::RuleSpec;

    fn put(mesh: &mut Mesh, namespace: &str, name: &str, second: i64, selector: &[&str]) {
        let meta = Meta {
            created: Some(jiff::Timestamp::from_second(second).unwrap()),
            ..Meta::new(KIND, namespace, name)
        };
        let mut spec = json!({"egress": [{"hosts": ["./*"]}]});
        for app in selector {
            spec["workloadSelector"] = json!({"labels": {"app": app}});
        }
        let (spec, _) = RuleSpec::parse("networking.istio.io/v1", KIND, &spec).unwrap();
        let rule = Rule {
            source: Source {
                registry: RegistryId::new("Static", "test"),
                object: meta.key.clone(),
            },
            resolved: Resolved::of(&meta, &spec),
            meta: meta.clone(),
            spec,
        };
        mesh.set_rule(&meta.key, Some(Arc::new(rule)));
    }

    #[test]
    fn the_most_specific_one_counts_and_of_several_the_oldest() {
        let mut mesh = Mesh::default();
        let check = |mesh: &Mesh, namespace: &str, app: &str, expected: Option<&str>| {
            let labels = [("app", app)].into_iter().collect();
            let found = mesh.sidecar_of(&namespace.into(), &labels);
            let found = found.map(|sidecar| &*sidecar.key.name);
            assert_eq!(found, expected, "{namespace} {app}");
        };
        check(&mesh, "shop", "web", None);
        put(&mut mesh, "istio-system", "root", 2, &[]);
        put(&mut mesh, "istio-system", "root-young", 3, &[]);
        put(&mut mesh, "istio-system", "root-some", 1, &["web"]);
        check(&mesh, "shop", "web", Some("root"));
        check(&mesh, "istio-system", "web", Some("root-some"));
        put(&mut mesh, "shop", "all-young", 5, &[]);
        put(&mut mesh, "shop", "all-old", 4, &[]);
        check(&mesh, "shop", "web", Some("all-old"));
        put(&mut mesh, "shop", "web-young", 7, &["web"]);
        put(&mut mesh, "shop", "web-old", 6, &["web"]);
        check(&mesh, "shop", "web", Some("web-old"));
        check(&mesh, "shop", "db", Some("all-old"));
        check(&mesh, "bank", "web", Some("root"));
    }
}
