//! What namespaces see: one view that all share, and one for each namespace that sees anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, NamespaceName, Service};
use pilothouse_core::rules::HostKind;

use crate::view::{View, seen};

/// A mesh, and what namespaces see of it. Of a mesh that the views are behind of, only what they name is looked at.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) views: &'a Views,
}

/// The views of all namespaces that have a proxy. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Views {
    /// What every namespace sees.
    pub(super) common: View,
    namespaces: BTreeMap<NamespaceName, Arc<Own>>,
}

/// What one namespace sees.
struct Own {
    view: View,
    /// The hosts that mean another service here than in the common view, are seen only here, or of which rules say something
    /// else here.
    hosts: BTreeSet<Host>,
}

impl Views {
    pub(super) fn new(mesh: &Mesh) -> Self {
        Self {
            common: View::build(mesh, None),
            namespaces: BTreeMap::new(),
        }
    }

    /// Begins to keep a view for `namespace`.
    pub(super) fn watch(&mut self, mesh: &Mesh, namespace: &NamespaceName) {
        if self.contains(namespace) {
            return;
        }
        let hosts = mesh
            .hosts()
            .chain(mesh.hosts_of_rules(HostKind::Virtual))
            .filter(|host| self.differs(mesh, namespace, host))
            .cloned()
            .collect();
        self.namespaces.insert(
            namespace.clone(),
            Arc::new(self.own(mesh, namespace, hosts)),
        );
    }

    /// Drops the views of namespaces that are not `wanted`.
    pub(super) fn retain(&mut self, wanted: &BTreeSet<NamespaceName>) {
        self.namespaces
            .retain(|namespace, _| wanted.contains(namespace));
    }

    /// Follows a change of these hosts.
    pub(super) fn update(&mut self, mesh: &Mesh, hosts: &BTreeSet<Host>) {
        self.common.update(mesh, hosts);
        let names: Vec<_> = self.namespaces.keys().cloned().collect();
        for namespace in names {
            let Some(own) = self.namespaces.get(&namespace) else {
                continue;
            };
            let mut differing = own.hosts.clone();
            for host in hosts {
                if self.differs(mesh, &namespace, host) {
                    differing.insert(host.clone());
                } else {
                    differing.remove(host);
                }
            }
            let next = if differing.is_empty() {
                Own {
                    view: self.common.clone(),
                    hosts: differing,
                }
            } else if own.hosts.is_empty() {
                self.own(mesh, &namespace, differing)
            } else {
                let mut view = own.view.clone();
                view.update(mesh, hosts);
                Own {
                    view,
                    hosts: differing,
                }
            };
            self.namespaces.insert(namespace, Arc::new(next));
        }
    }

    /// What `namespace` sees.
    pub(super) fn of(&self, namespace: &NamespaceName) -> &View {
        self.namespaces
            .get(namespace)
            .map_or(&self.common, |own| &own.view)
    }

    /// The hosts of which `namespace` sees something of its own.
    pub(super) fn differing(&self, namespace: &NamespaceName) -> impl Iterator<Item = &Host> {
        self.namespaces
            .get(namespace)
            .into_iter()
            .flat_map(|own| own.hosts.iter())
    }

    /// The namespaces that have a view.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &NamespaceName> {
        self.namespaces.keys()
    }

    /// Whether a view is kept for `namespace`.
    pub(super) fn contains(&self, namespace: &NamespaceName) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// All hosts that some namespace sees.
    pub(super) fn hosts(&self) -> BTreeSet<Host> {
        let views =
            std::iter::once(&self.common).chain(self.namespaces.values().map(|own| &own.view));
        views
            .flat_map(|view| view.services())
            .map(|service| service.key.host.clone())
            .collect()
    }

    /// The services that this host means, in one view or another.
    pub(super) fn services<'a>(&'a self, host: &'a Host) -> impl Iterator<Item = &'a Arc<Service>> {
        let own = self
            .namespaces
            .values()
            .filter(|own| own.hosts.contains(host));
        std::iter::once(&self.common)
            .chain(own.map(|own| &own.view))
            .filter_map(|view| view.service(host))
    }

    fn own(&self, mesh: &Mesh, namespace: &NamespaceName, hosts: BTreeSet<Host>) -> Own {
        let view = if hosts.is_empty() {
            self.common.clone()
        } else {
            // Where nothing differs, it is the common view.
            let mut view = self.common.of_namespace(namespace);
            view.update(mesh, &hosts);
            view
        };
        Own { view, hosts }
    }

    fn differs(&self, mesh: &Mesh, namespace: &NamespaceName, host: &Host) -> bool {
        let same = |a: Option<&Arc<Service>>, b: Option<&Arc<Service>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        if !same(mesh.visible(namespace, host), self.common.service(host)) {
            return true;
        }
        mesh.host_rules_may_differ(namespace, host) && {
            let (_, rules) = seen(mesh, Some(namespace), host);
            rules.as_ref() != self.common.rules(host).map(|rules| &**rules)
        }
    }
}
