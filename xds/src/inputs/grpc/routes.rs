//! Inputs of route configurations for gRPC clients: one for each port of each service, named as its cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, Service, ServiceKey};
use pilothouse_core::rules::resolve::{GatewayRef, HashBy};

use super::{GrpcInput, served_port, served_ports, spellings, target};
use crate::inputs::destination::Governed;
use crate::inputs::routing::{Client, Routed, http_routes};
use crate::inputs::{Generator, Input, referring};
use crate::names;
use crate::resource::{Name, ResourceType};
use crate::selection::ForGrpc;
use crate::view::View;

/// What a route configuration for gRPC clients is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GrpcRoute {
    /// The service.
    pub service: ServiceKey,
    /// The number of its port.
    pub port: u16,
    /// What clients call the service.
    pub spellings: Vec<String>,
    /// The header of a call by which [`LoadBalancing::RingHash`](super::LoadBalancing::RingHash) chooses; calls without it
    /// go anywhere.
    pub hash_header: Option<Arc<str>>,
    /// What rules say of calls; where they say nothing, all go to the service.
    pub routed: Vec<Routed>,
}

/// Route configurations for gRPC clients.
#[derive(Debug)]
pub struct GrpcRoutes;

impl Generator for GrpcRoutes {
    type Projection = ForGrpc;

    const TYPE: ResourceType = ResourceType::Route;

    fn names(_: &Mesh, view: &View, _: &ForGrpc) -> BTreeSet<Name> {
        view.services()
            .flat_map(|service| names_of(service))
            .collect()
    }

    fn names_of_host(mesh: &Mesh, view: &View, _: &ForGrpc, host: &Host) -> BTreeSet<Name> {
        let mut hosts = referring(mesh, view, host);
        hosts.insert(host.clone());
        let services = hosts.iter().filter_map(|host| target(view, host));
        services.flat_map(|service| names_of(service)).collect()
    }

    fn input(_: &Mesh, view: &View, projection: &ForGrpc, name: &Name) -> Option<Input> {
        let (port, subset, host) = names::parse_outbound_cluster(name.as_str())?;
        let service = view.service(&host).filter(|_| subset.is_empty())?;
        let port = served_port(service, port)?;
        Some(Input::Grpc(GrpcInput::Route(GrpcRoute {
            service: service.key.clone(),
            port: port.port,
            spellings: spellings(view, service, &projection.domain).collect(),
            hash_header: hash_header(view, &host, port.port),
            routed: routed(view, projection, &host, port.port),
        })))
    }
}

fn routed(view: &View, projection: &ForGrpc, host: &Host, port: u16) -> Vec<Routed> {
    let client = Client {
        view,
        selected: &[],
        at: &GatewayRef::Mesh,
        port,
        labels: &projection.labels,
    };
    let routing = view.rules(host).and_then(|rules| rules.routing.as_ref());
    routing.map_or_else(Vec::new, |routing| http_routes(&client, &routing.http))
}

fn hash_header(view: &View, host: &Host, port: u16) -> Option<Arc<str>> {
    match Governed::of(view, &[], host, "", port)?.hash_by() {
        Some(HashBy::Header(name)) => Some(name),
        _ => None,
    }
}

/// The route configurations of a service, named as its clusters are.
fn names_of(service: &Service) -> impl Iterator<Item = Name> {
    served_ports(service).map(|port| names::outbound_cluster(port.port, "", &service.key.host))
}
