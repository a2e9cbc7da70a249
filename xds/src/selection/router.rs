//! What applies to a router: the gateways that select it, and the ports of its own services.

use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::Security;

use super::{
    Family, ForClusters, SourceLabels, Whereabouts, reports, selected, source_labels, targets,
};
use crate::extensions::{Extension, Missing};
use crate::inputs::reports::Reports;
use crate::patch::{Chosen, Patches};

/// What applies to a router alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForRouter {
    /// For clusters.
    pub clusters: ForClusters,
    /// For listeners and routes.
    pub gateways: ForGateways,
    /// The patches that add clusters and listeners.
    pub added: Patches,
}

/// What clusters and load assignments of routers are like, besides those of sidecars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouterClusters {
    /// For services.
    Services,
    /// For services, and for those that connections let through by server name lead to.
    ServerNames,
}

/// What listeners and routes read of a router.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForGateways {
    /// Which addresses wildcards stand for.
    pub family: Family,
    /// The gateways that select it, sorted.
    pub gateways: Arc<[ObjectKey]>,
    /// The ports that the services before it translate: as clients see them, and as it listens on them. Sorted.
    pub ports: Arc<[(u16, u16)]>,
    /// The rules for some clients only that are for it, sorted.
    pub selected: Arc<[ObjectKey]>,
    /// Its labels that rules read.
    pub labels: SourceLabels,
    /// What it lacks of what listeners may have.
    pub without: Missing,
    /// What it lacks of what routes may have.
    pub without_routes: Missing,
    /// What it reports; `None`: what mesh config says of access logs.
    pub reports: Option<Arc<Reports>>,
    /// The patches that may change its listeners.
    pub listener_patches: Patches,
    /// The patches that may change its routes.
    pub route_patches: Patches,
}

impl ForRouter {
    pub(super) fn of(mesh: &Mesh, proxy: &Proxy) -> Self {
        let missing = Missing::of(&proxy.missing);
        let family = Family::of(&proxy.addresses);
        let selected = selected(mesh, proxy);
        let [reports, _] = reports::reports(mesh, proxy);
        let patches = Chosen::of(mesh, proxy);
        Self {
            clusters: ForClusters {
                family,
                without: missing.among(Extension::OF_CLUSTERS),
                selected: selected.clone(),
                whereabouts: Whereabouts::of(mesh, proxy),
                router: router_clusters(mesh, proxy),
                patches: patches.clusters,
            },
            gateways: ForGateways {
                family,
                gateways: gateways(mesh, proxy),
                ports: ports(mesh, proxy),
                selected,
                labels: source_labels(mesh, proxy),
                without: missing.among(Extension::OF_LISTENERS),
                without_routes: missing.among(Extension::OF_ROUTES),
                reports,
                listener_patches: patches.listeners,
                route_patches: patches.routes,
            },
            added: patches.added,
        }
    }

    /// All patches that are for it.
    pub fn patches(&self) -> [&Patches; 4] {
        [
            &self.clusters.patches,
            &self.gateways.listener_patches,
            &self.gateways.route_patches,
            &self.added,
        ]
    }
}

impl ForGateways {
    /// The port that is listened on where clients see `port`: what the service before the router says, if there is one.
    pub fn target_port(&self, port: u16) -> u16 {
        let mut ports = self.ports.iter();
        ports
            .find(|(seen, _)| *seen == port)
            .map_or(port, |(_, target)| *target)
    }
}

/// What clusters of a router are like; `None` for a proxy that is none.
pub(super) fn router_clusters(mesh: &Mesh, proxy: &Proxy) -> Option<RouterClusters> {
    if !proxy.is_router() {
        return None;
    }
    let mut all = mesh.gateways_selecting(&proxy.namespace, &proxy.labels);
    let by_server_name = all.any(|gateway| {
        let mut servers = gateway.servers.iter();
        servers.any(|server| server.security == Security::AutoPassthrough)
    });
    Some(match by_server_name {
        true => RouterClusters::ServerNames,
        false => RouterClusters::Services,
    })
}

fn gateways(mesh: &Mesh, proxy: &Proxy) -> Arc<[ObjectKey]> {
    let all = mesh.gateways_selecting(&proxy.namespace, &proxy.labels);
    all.map(|gateway| gateway.key.clone()).collect()
}

/// Of several services that translate a port, the first by age does.
fn ports(mesh: &Mesh, proxy: &Proxy) -> Arc<[(u16, u16)]> {
    let mut ports: Vec<(u16, u16)> = targets(mesh, proxy)
        .iter()
        .map(|target| (target.port.port, target.target_port))
        .collect();
    // It keeps the order of those that are alike.
    ports.sort_by_key(|(seen, _)| *seen);
    ports.dedup_by_key(|(seen, _)| *seen);
    ports.into()
}
