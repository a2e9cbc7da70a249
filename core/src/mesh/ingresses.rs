//! Which `Ingress`es routers serve, and which routers do.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{Mesh, Rule};
use crate::model::Labels;
use crate::rules::Resolved;
use crate::rules::resolve::{IngressClass, IngressRoutes, NamedClass};

/// Which `Ingress`es routers serve, beside those whose `IngressClass` says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum IngressMode {
    /// None, whatever their class says.
    Off,
    /// Those that name no class.
    Default,
    /// No others.
    #[default]
    Strict,
}

/// Which `Ingress`es routers serve, and which routers do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct IngressController {
    /// Which ones, beside those whose class says so.
    pub mode: IngressMode,
    /// What the annotation of those is that name their class by one.
    pub class: Arc<str>,
    /// The routers that serve: those that have all of these labels.
    pub selector: Labels,
}

impl Default for IngressController {
    fn default() -> Self {
        Self {
            mode: IngressMode::default(),
            class: "istio".into(),
            selector: [("istio", "ingressgateway")].into_iter().collect(),
        }
    }
}

/// Why routers do not serve an `Ingress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unserved {
    /// Mesh config says that they serve none.
    Off,
    /// It is for somebody else.
    Foreign,
    /// It names a class that is not there.
    NoSuchClass,
    /// It names no class.
    NoClass,
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "routers serve no Ingress, as mesh config says",
            Self::Foreign => "it is of a class that routers of the mesh do not serve",
            Self::NoSuchClass => "routers do not serve it: there is no IngressClass of this name",
            Self::NoClass => "routers do not serve it: it names no class",
        })
    }
}

impl Mesh {
    /// Whether routers serve an `Ingress`.
    ///
    /// # Errors
    /// They do not: why.
    pub fn serves_ingress(&self, ingress: &IngressRoutes) -> Result<(), Unserved> {
        let IngressController { mode, class, .. } = &self.config().ingress;
        if *mode == IngressMode::Off {
            return Err(Unserved::Off);
        }
        let is_ours = match &ingress.class {
            NamedClass::Annotated(name) => name == class,
            NamedClass::Object(name) => {
                self.ingress_class(name)
                    .ok_or(Unserved::NoSuchClass)?
                    .is_ours
            }
            NamedClass::None => {
                let is_default = |class: IngressClass| class.is_ours && class.is_default;
                if *mode != IngressMode::Default
                    && !self.ingress_classes().any(|(_, class)| is_default(class))
                {
                    return Err(Unserved::NoClass);
                }
                true
            }
        };
        is_ours.then_some(()).ok_or(Unserved::Foreign)
    }

    /// All `Ingress`es, whoever serves them, by namespace and name.
    pub fn ingresses(&self) -> impl Iterator<Item = &Arc<IngressRoutes>> {
        self.rules_of("Ingress").filter_map(|rule| rule.ingress())
    }

    /// What the `IngressClass` of this name says; of several, the oldest.
    fn ingress_class(&self, name: &str) -> Option<IngressClass> {
        let all = self.ingress_classes();
        let named = all.filter(|(rule, _)| &*rule.meta.key.name == name);
        // They come by namespace, and the first of several that are equal is taken.
        let oldest = named.min_by_key(|(rule, _)| rule.meta.created);
        oldest.map(|(_, class)| class)
    }

    fn ingress_classes(&self) -> impl Iterator<Item = (&Arc<Rule>, IngressClass)> {
        let all = self.rules_of("IngressClass");
        all.filter_map(|rule| match &rule.resolved {
            Some(Resolved::IngressClass(class)) => Some((rule, *class)),
            _ => None,
        })
    }
}

impl Rule {
    /// What it means if it is an `Ingress`.
    pub fn ingress(&self) -> Option<&Arc<IngressRoutes>> {
        match &self.resolved {
            Some(Resolved::Ingress(ingress)) => Some(ingress),
            _ => None,
        }
    }

    /// Whether it has a part in which gateways are for a router.
    pub fn selects_routers(&self) -> bool {
        self.gateway().is_some() || matches!(self.resolved, Some(Resolved::IngressClass(_)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::mesh::{MeshConfig, Source};
    use crate::registry::{Meta, RegistryId};
    use crate::rules::RuleSpec;

    fn put(mesh: &mut Mesh, meta: Meta, spec: &Value) {
        let kind = meta.key.kind.as_str();
        let (spec, _) = RuleSpec::parse("networking.k8s.io/v1", kind, spec).unwrap();
        let rule = Rule {
            source: Source {
                registry: RegistryId::new("Test", "c"),
                object: meta.key.clone(),
            },
            resolved: Resolved::of(&meta, &spec),
            spec,
            meta: meta.clone(),
        };
        mesh.set_rule(&meta.key, Some(Arc::new(rule)));
    }

    fn annotated(kind: &str, name: &str, annotation: Option<(&str, &str)>) -> Meta {
        Meta {
            annotations: annotation.into_iter().collect(),
            ..Meta::new(kind, "shop", name)
        }
    }

    /// Of `Ingress`es that name their class in every way: those that are served, and why the others are not.
    fn served(mode: IngressMode, classes: &[(&str, &str, bool)]) -> Vec<String> {
        let mut mesh = Mesh::default();
        let ingress = IngressController {
            mode,
            ..IngressController::default()
        };
        mesh.set_config(Arc::new(MeshConfig {
            ingress,
            ..MeshConfig::default()
        }));
        for (name, controller, is_default) in classes {
            let default = ("ingressclass.kubernetes.io/is-default-class", "true");
            let meta = annotated("IngressClass", name, is_default.then_some(default));
            put(&mut mesh, meta, &json!({"controller": controller}));
        }
        let class = |name| Some(("kubernetes.io/ingress.class", name));
        for (name, annotation, class) in [
            ("annotated", class("istio"), None),
            ("by-nginx", class("nginx"), None),
            ("by-object", None, Some("mesh")),
            ("by-other", None, Some("nginx")),
            ("nobody", None, None),
            ("typo", None, Some("mseh")),
        ] {
            let meta = annotated("Ingress", name, annotation);
            put(&mut mesh, meta, &json!({"ingressClassName": class}));
        }
        let all = mesh.ingresses().map(|one| {
            let why = mesh.serves_ingress(one);
            let why = why.map_or_else(|why| format!(": {why:?}"), |()| String::new());
            format!("{}{why}", one.key().name)
        });
        all.collect()
    }

    #[test]
    fn mesh_config_and_classes_say_which_are_served() {
        const OURS: &str = "istio.io/ingress-controller";
        let classes = [("mesh", OURS, false), ("nginx", "k8s.io/nginx", true)];
        let others = ["typo: NoSuchClass"];
        let check = |mode, classes: &[_], expected: [&str; 5]| {
            let expected: Vec<_> = expected.iter().chain(&others).collect();
            assert_eq!(served(mode, classes).iter().collect::<Vec<_>>(), expected);
        };
        check(
            IngressMode::Strict,
            &classes,
            [
                "annotated",
                "by-nginx: Foreign",
                "by-object",
                "by-other: Foreign",
                "nobody: NoClass",
            ],
        );
        check(
            IngressMode::Default,
            &classes,
            [
                "annotated",
                "by-nginx: Foreign",
                "by-object",
                "by-other: Foreign",
                "nobody",
            ],
        );
        check(
            IngressMode::Strict,
            &[("mesh", OURS, true)],
            [
                "annotated",
                "by-nginx: Foreign",
                "by-object",
                "by-other: NoSuchClass",
                "nobody",
            ],
        );
        let off = served(IngressMode::Off, &classes);
        assert!(off.iter().all(|one| one.ends_with(": Off")), "{off:?}");
    }
}
