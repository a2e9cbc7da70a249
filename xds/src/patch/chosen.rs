//! Which patches are for a proxy, sorted by what they may change.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Proxy, ProxyKind};
use pilothouse_core::rules::resolve::envoy_filter::{
    ApplyTo, Context, ObjectMatch, Operation, Patch, patches_for,
};

use crate::names::parse_outbound_cluster;
use crate::resource::{Name, ResourceType};

/// Patches in the order in which they are made, and what the things are for that they change. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Patches(Option<Arc<List>>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct List {
    context: Context,
    all: Vec<Arc<Patch>>,
}

/// All patches that are for a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chosen {
    /// For outbound clusters, or a router's.
    pub clusters: Patches,
    /// For outbound listeners, or a router's.
    pub listeners: Patches,
    /// For outbound route configurations, or a router's.
    pub routes: Patches,
    /// For all that is inbound.
    pub own: Patches,
    /// Those that add clusters and listeners.
    pub added: Patches,
}

impl Chosen {
    /// Those for `proxy`.
    pub fn of(mesh: &Mesh, proxy: &Proxy) -> Self {
        let all = patches_for(mesh, proxy);
        if all.is_empty() {
            return Self::default();
        }
        let outbound = match proxy.id.kind {
            ProxyKind::Sidecar => Context::SidecarOutbound,
            ProxyKind::Router => Context::Gateway,
        };
        let of = |context, kinds: &[Kind]| {
            let those = all.iter().filter(|patch| {
                kinds.contains(&Kind::of(patch))
                    && (patch.context == Context::Any || patch.context == context)
            });
            Patches::new(context, those.cloned().collect())
        };
        let own = match proxy.id.kind {
            ProxyKind::Sidecar => of(
                Context::SidecarInbound,
                &[Kind::Cluster, Kind::Listener, Kind::Routes],
            ),
            ProxyKind::Router => Patches::default(),
        };
        let adds = all.iter().filter(|patch| Kind::of(patch) == Kind::Added);
        Self {
            clusters: of(outbound, &[Kind::Cluster]),
            listeners: of(outbound, &[Kind::Listener]),
            routes: of(outbound, &[Kind::Routes]),
            own,
            added: Patches::new(Context::Any, adds.cloned().collect()),
        }
    }
}

/// What a patch may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Clusters that are there.
    Cluster,
    /// Listeners that are there.
    Listener,
    /// Route configurations.
    Routes,
    /// Nothing that is there.
    Added,
    /// Nothing at all.
    None,
}

impl Kind {
    fn of(patch: &Patch) -> Self {
        let adds = patch.operation == Operation::Add;
        match patch.apply_to {
            ApplyTo::Cluster | ApplyTo::Listener if adds => Self::Added,
            ApplyTo::Cluster => Self::Cluster,
            ApplyTo::Listener
            | ApplyTo::FilterChain
            | ApplyTo::ListenerFilter
            | ApplyTo::NetworkFilter
            | ApplyTo::HttpFilter
            | ApplyTo::ExtensionConfig => Self::Listener,
            ApplyTo::RouteConfiguration | ApplyTo::VirtualHost | ApplyTo::HttpRoute => Self::Routes,
            ApplyTo::Bootstrap | ApplyTo::Invalid => Self::None,
        }
    }
}

impl Patches {
    fn new(context: Context, all: Vec<Arc<Patch>>) -> Self {
        Self((!all.is_empty()).then(|| Arc::new(List { context, all })))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What the things are for that they change.
    pub fn context(&self) -> Context {
        self.0.as_ref().map(|list| list.context).unwrap_or_default()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Patch>> {
        self.0.iter().flat_map(|list| &list.all)
    }

    /// Those that may change the resource of this type and name; the others are left out of what it depends on.
    #[must_use]
    pub(crate) fn concerning(&self, resource_type: ResourceType, name: &Name) -> Self {
        let (Some(list), ResourceType::Cluster) = (&self.0, resource_type) else {
            return self.clone();
        };
        let name = name.as_str();
        let concerns = |patch: &&Arc<Patch>| match &patch.object {
            ObjectMatch::Cluster(of) if !of.name.is_empty() => of.name == name,
            ObjectMatch::Cluster(of) if !of.service.is_empty() => {
                parse_outbound_cluster(name).is_some_and(|(.., host)| host.as_str() == of.service)
            }
            _ => true,
        };
        let those: Vec<_> = list.all.iter().filter(concerns).cloned().collect();
        if those.len() == list.all.len() {
            return self.clone();
        }
        Self::new(list.context, those)
    }
}

impl PartialEq for Patches {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Patches {}

impl PartialOrd for Patches {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Patches {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (a, b) => a.cmp(b),
        }
    }
}

impl Hash for Patches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // What patches say is long, and which they are nearly always tells them apart.
        for patch in self.iter() {
            patch.rule.hash(state);
            patch.index.hash(state);
        }
    }
}
