//! Inputs: everything that one resource is made from, as one value.
//!
//! This module is the only one that reads the mesh for translation. An [`Input`] is also the key under which its translation
//! is remembered: what is not in it cannot reach the resource. It shares large parts with the mesh by `Arc`, which makes
//! comparing cheap as long as nothing changed.

pub mod assignments;
pub mod clusters;
pub mod destination;
pub mod dynamic;
pub mod elsewhere;
pub mod grpc;
pub mod listeners;
pub mod names;
pub mod own;
pub mod reports;
pub mod router;
pub mod routes;
pub mod routing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Debug;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, Resolution, Service, ServiceKey, ServiceSource};

pub use assignments::Assignments;
pub use clusters::Clusters;
pub use elsewhere::Outbound;
pub use listeners::Listeners;
pub use names::Names;
pub use own::own;
pub use routes::Routes;

use crate::patch::Patches;
use crate::resource::{Name, ResourceType};
use crate::view::{Class, View, proxied_ports};

/// Everything that one resource is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// A cluster.
    Cluster(clusters::ClusterInput),
    /// A load assignment.
    Assignment(assignments::AssignmentInput),
    /// A listener.
    Listener(Box<listeners::ListenerInput>),
    /// A route configuration.
    Route(routes::RouteInput),
    /// The name table.
    Names(names::NamesInput),
    /// What routers listen on.
    Router(router::RouterInput),
    /// Anything that only gRPC clients get.
    Grpc(grpc::GrpcInput),
}

/// One kind of resource, as a function of what a namespace sees and of a projection of the proxy.
pub trait Generator {
    /// What it reads of a proxy.
    type Projection: Clone + Ord + std::hash::Hash + Debug;

    /// What it makes.
    const TYPE: ResourceType;

    /// All names.
    fn names(mesh: &Mesh, view: &View, projection: &Self::Projection) -> BTreeSet<Name>;

    /// The names in which a host's service has a part. May name too many, but none too few: what a service has a part in
    /// before or after its change is all that its change can reach.
    fn names_of_host(
        mesh: &Mesh,
        view: &View,
        projection: &Self::Projection,
        host: &Host,
    ) -> BTreeSet<Name>;

    /// Everything that the resource of this name is made from; `None` where there is to be none.
    fn input(mesh: &Mesh, view: &View, projection: &Self::Projection, name: &Name)
    -> Option<Input>;

    /// The patches that may change what it makes.
    fn patches(_: &Self::Projection) -> Option<&Patches> {
        None
    }

    /// The services that do not get what they claim of this name, because another goes first.
    fn lost(_: &Mesh, _: &View, _: &Self::Projection, _: &Name) -> Vec<Lost> {
        Vec::new()
    }
}

/// A service that does not get what it claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// The service.
    pub service: ServiceKey,
    /// The service that goes first.
    pub to: ServiceKey,
}

/// Whether a change of this service's endpoints reaches anything but its load assignments: clusters with endpoints in
/// them, listeners for single endpoints. (What is inbound depends on endpoints through the selection of proxies.)
pub fn endpoints_reach_configuration(service: &Service) -> bool {
    match service.resolution {
        Resolution::Dns | Resolution::DnsRoundRobin => true,
        Resolution::Passthrough => proxied_ports(service).any(|(_, class)| class != Class::Http),
        Resolution::ClientSide | Resolution::DynamicDns | Resolution::Alias(_) => false,
    }
}

/// The hosts of rules that refer to `host`, by its own name or another: what clients find of it is part of what is made for
/// those.
fn referring(mesh: &Mesh, view: &View, host: &Host) -> BTreeSet<Host> {
    let aliases = view.aliases(host).map(|alias| &alias.key.host);
    std::iter::once(host)
        .chain(aliases)
        .flat_map(|name| mesh.hosts_referring(name))
        .collect()
}

/// Whether clients dial the endpoints of this service one by one: it has no address of its own, and endpoints may come and go.
fn is_dialled_by_endpoint(mesh: &Mesh, service: &Service) -> bool {
    let has_endpoints = || {
        mesh.endpoints(&service.key)
            .is_some_and(|all| !all.is_empty())
    };
    service.is_headless()
        && (service.source == ServiceSource::Platform
            || service.workload_selector.is_some()
            || has_endpoints())
}
