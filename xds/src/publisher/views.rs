//! What clients see: one view that all share, one for each namespace that sees anything else, and one for each namespace and
//! `Sidecar` that limits what is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, Service};
use pilothouse_core::rules::HostKind;

use crate::view::{View, ViewKey, seen};

/// A mesh, and what namespaces see of it. Of a mesh that the views are behind of, only what they name is looked at.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) views: &'a Views,
}

/// The views that some proxy has. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Views {
    /// What every namespace sees.
    pub(super) common: View,
    own: BTreeMap<ViewKey, Arc<Own>>,
}

/// What is seen with one key.
struct Own {
    view: View,
    /// The hosts that mean another service here than in the common view, are seen only here, or of which rules say something
    /// else here. None where the view is limited: it has nothing to do with the common one.
    hosts: BTreeSet<Host>,
}

impl Views {
    pub(super) fn new(mesh: &Mesh) -> Self {
        Self {
            common: View::build(mesh, None),
            own: BTreeMap::new(),
        }
    }

    /// Begins to keep a view.
    pub(super) fn watch(&mut self, mesh: &Mesh, key: &ViewKey) {
        if self.contains(key) {
            return;
        }
        let own = if key.egress.is_some() {
            Own {
                view: View::build(mesh, Some(key)),
                hosts: BTreeSet::new(),
            }
        } else {
            let hosts = mesh
                .hosts()
                .chain(mesh.hosts_of_rules(HostKind::Virtual))
                .filter(|host| self.differs(mesh, key, host))
                .cloned()
                .collect();
            self.own(mesh, key, hosts)
        };
        self.own.insert(key.clone(), Arc::new(own));
    }

    /// Drops the views that are not `wanted`.
    pub(super) fn retain(&mut self, wanted: &BTreeSet<ViewKey>) {
        self.own.retain(|key, _| wanted.contains(key));
    }

    /// Follows a change of these hosts. Returns the further hosts that are seen otherwise somewhere on that account.
    pub(super) fn update(&mut self, mesh: &Mesh, hosts: &BTreeSet<Host>) -> BTreeSet<Host> {
        let mut further = BTreeSet::new();
        self.common.update(mesh, hosts);
        let keys: Vec<_> = self.own.keys().cloned().collect();
        for key in keys {
            let Some(own) = self.own.get(&key) else {
                continue;
            };
            let mut differing = own.hosts.clone();
            let unlimited = key.egress.is_none();
            for host in hosts.iter().filter(|_| unlimited) {
                if self.differs(mesh, &key, host) {
                    differing.insert(host.clone());
                } else {
                    differing.remove(host);
                }
            }
            let next = if unlimited && differing.is_empty() {
                Own {
                    view: self.common.clone(),
                    hosts: differing,
                }
            } else if unlimited && own.hosts.is_empty() {
                self.own(mesh, &key, differing)
            } else {
                let mut view = own.view.clone();
                further.append(&mut view.update(mesh, hosts));
                Own {
                    view,
                    hosts: differing,
                }
            };
            self.own.insert(key, Arc::new(next));
        }
        further
    }

    /// What is seen with `key`.
    pub(super) fn of(&self, key: &ViewKey) -> &View {
        self.own.get(key).map_or(&self.common, |own| &own.view)
    }

    /// The hosts of which something else is seen with `key` than in the common view.
    pub(super) fn differing(&self, key: &ViewKey) -> impl Iterator<Item = &Host> {
        self.own
            .get(key)
            .into_iter()
            .flat_map(|own| own.hosts.iter())
    }

    /// The keys that have a view.
    pub(super) fn keys(&self) -> impl Iterator<Item = &ViewKey> {
        self.own.keys()
    }

    /// Whether a view is kept for `key`.
    pub(super) fn contains(&self, key: &ViewKey) -> bool {
        self.own.contains_key(key)
    }

    /// All hosts that somebody sees.
    pub(super) fn hosts(&self) -> BTreeSet<Host> {
        let views = std::iter::once(&self.common).chain(self.own.values().map(|own| &own.view));
        views
            .flat_map(|view| view.services())
            .map(|service| service.key.host.clone())
            .collect()
    }

    /// The services that this host means, in one view or another.
    pub(super) fn services<'a>(&'a self, host: &'a Host) -> impl Iterator<Item = &'a Arc<Service>> {
        let own = self.own.iter();
        let own = own.filter(|(key, own)| key.egress.is_some() || own.hosts.contains(host));
        std::iter::once(&self.common)
            .chain(own.map(|(_, own)| &own.view))
            .filter_map(|view| view.published(host))
    }

    fn own(&self, mesh: &Mesh, key: &ViewKey, hosts: BTreeSet<Host>) -> Own {
        let view = if hosts.is_empty() {
            self.common.clone()
        } else {
            // Where nothing differs, it is the common view.
            let mut view = self.common.of_key(key);
            view.update(mesh, &hosts);
            view
        };
        Own { view, hosts }
    }

    fn differs(&self, mesh: &Mesh, key: &ViewKey, host: &Host) -> bool {
        let namespace = &key.namespace;
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
            let routing = rules.as_ref().and_then(|rules| rules.routing.as_ref());
            // The common view is nobody's: what it has of such a rule is not for this namespace.
            routing.is_some_and(|routing| routing.is_for(namespace))
                || rules.as_ref() != self.common.rules(host).map(|rules| &**rules)
        }
    }
}
