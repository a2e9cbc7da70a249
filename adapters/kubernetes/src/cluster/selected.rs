//! Which namespaces are read, by their labels and the mesh's `discoverySelectors`.

use std::collections::{BTreeMap, BTreeSet};

use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::{Labels, NamespaceName};

/// The namespaces of which objects are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selected {
    /// All of them.
    All,
    /// These.
    Some(BTreeSet<NamespaceName>),
}

impl Selected {
    /// Those that `mesh` selects of the namespaces that there are. The root namespace is among them even before it is there.
    pub(super) fn by(mesh: &MeshConfig, there: &BTreeMap<NamespaceName, Labels>) -> Self {
        if mesh.discovery_selectors.is_empty() {
            return Self::All;
        }
        let selected = there
            .iter()
            .filter(|(name, labels)| mesh.discovers(name, labels));
        let names = selected.map(|(name, _)| name.clone());
        Self::Some(names.chain([mesh.root_namespace.clone()]).collect())
    }

    /// Whether objects of this namespace are read.
    pub(super) fn contains(&self, namespace: &NamespaceName) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(namespace),
        }
    }

    /// Whether `other` reads other objects, of the namespaces that there are. What is said of one that is gone makes no
    /// difference: its objects went before it.
    pub(super) fn differs(&self, other: &Self, there: &BTreeMap<NamespaceName, Labels>) -> bool {
        match (self, other) {
            (Self::All, Self::All) => false,
            (Self::Some(_), Self::Some(_)) => there
                .keys()
                .any(|name| self.contains(name) != other.contains(name)),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use pilothouse_core::mesh::{LabelRequirement, LabelSelector};

    use super::*;

    fn there(namespaces: &[(&str, bool)]) -> BTreeMap<NamespaceName, Labels> {
        let labels = |on: bool| Labels::from_iter(on.then_some(("mesh", "on")));
        let all = namespaces.iter();
        all.map(|(name, on)| ((*name).into(), labels(*on)))
            .collect()
    }

    fn selecting() -> MeshConfig {
        let requirement = LabelRequirement::Exists { key: "mesh".into() };
        MeshConfig {
            root_namespace: "root".into(),
            discovery_selectors: vec![LabelSelector(vec![requirement])],
            ..MeshConfig::default()
        }
    }

    #[test]
    fn selectors_select_and_the_root_is_always_read() {
        let all = there(&[("a", true), ("b", false)]);
        assert_eq!(Selected::by(&MeshConfig::default(), &all), Selected::All);
        let names = ["a".into(), "root".into()];
        assert_eq!(
            Selected::by(&selecting(), &all),
            Selected::Some(names.into())
        );
    }

    #[test]
    fn only_what_is_there_makes_a_difference() {
        let before = there(&[("a", true), ("b", false)]);
        let selected = Selected::by(&selecting(), &before);
        let check = |after: &[(&str, bool)], differs: bool| {
            let after = there(after);
            let next = Selected::by(&selecting(), &after);
            assert_eq!(selected.differs(&next, &after), differs, "{after:?}");
        };
        check(&[("a", true), ("b", false)], false);
        check(&[("a", true), ("b", true)], true);
        check(&[("a", false), ("b", false)], true);
        check(&[("a", true), ("b", false), ("c", false)], false);
        check(&[("a", true), ("b", false), ("c", true)], true);
        // Gone, and later there again without the label.
        check(&[("b", false)], false);
        check(&[("a", false)], true);
        check(&[("root", false)], false);
        assert!(selected.differs(&Selected::All, &before));
    }
}
