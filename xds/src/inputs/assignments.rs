//! Inputs of load assignments: the endpoints of each service that the control plane knows the addresses of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::{Endpoints, Mesh};
use pilothouse_core::model::{
    Address, DataPlane, Endpoint, Host, Labels, Locality, Resolution, Service, ServiceKey,
    ServicePort,
};

use super::destination::{Governed, Spread};
use super::{Generator, Input, clusters, grpc};
use crate::resource::{Name, ResourceType};
use crate::selection::ForAssignments;
use crate::view::View;

/// What a load assignment is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AssignmentInput {
    /// The cluster that it is for.
    pub name: Name,
    /// Whose endpoints these are.
    pub service: ServiceKey,
    /// At which port.
    pub port: ServicePort,
    /// Whether endpoints that are not healthy are there, too.
    pub publish_not_ready: bool,
    /// The endpoints.
    pub endpoints: Option<Arc<Endpoints>>,
    /// How they have to be put for gRPC clients, where that is another way than Envoy's.
    pub for_grpc: Option<ForGrpc>,
    /// The labels of those that are there; all where there are none.
    pub labels: Labels,
    /// How they are spread over localities.
    pub spread: Option<Spread>,
}

/// How endpoints are put for gRPC clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ForGrpc {
    /// Whether endpoints of one locality stand apart if they differ in weight: of weights, only those of localities count.
    pub apart_by_weight: bool,
}

impl ForGrpc {
    /// What has to be done otherwise for a service with these endpoints: they are of one weight almost always, and at IP
    /// addresses.
    fn needed(governed: &Governed, endpoints: &[Endpoint]) -> Option<Self> {
        let mut weights: BTreeMap<&Locality, u32> = BTreeMap::new();
        let uneven = endpoints.iter().any(|endpoint| {
            let weight = endpoint.weight.max(1);
            *weights.entry(&endpoint.locality).or_insert(weight) != weight
        });
        let apart_by_weight = uneven && !grpc::load_balancing(governed).weighs_endpoints();
        let is_pipe = |address: &Address| matches!(address, Address::Unix(_));
        let pipes = endpoints.iter().any(|e| e.addresses.iter().any(is_pipe));
        (apart_by_weight || pipes).then_some(Self { apart_by_weight })
    }
}

/// Load assignments.
#[derive(Debug)]
pub struct Assignments;

impl Generator for Assignments {
    type Projection = ForAssignments;

    const TYPE: ResourceType = ResourceType::Endpoint;

    fn names(_: &Mesh, view: &View, projection: &ForAssignments) -> BTreeSet<Name> {
        view.services()
            .filter(|service| has_assignments(service, projection))
            .flat_map(|service| clusters::names_for(view, service, projection.router))
            .collect()
    }

    fn names_of_host(
        _: &Mesh,
        view: &View,
        projection: &ForAssignments,
        host: &Host,
    ) -> BTreeSet<Name> {
        let service = view
            .service(host)
            .filter(|service| has_assignments(service, projection));
        service
            .into_iter()
            .flat_map(|service| clusters::names_for(view, service, projection.router))
            .collect()
    }

    fn input(mesh: &Mesh, view: &View, projection: &ForAssignments, name: &Name) -> Option<Input> {
        let (service, port, governed) = clusters::governed(view, &projection.selected, name)?;
        // There is nowhere that a client without a proxy dialled, nor one of a router.
        let is_dialled = governed.is_passthrough()
            && projection.data_plane == DataPlane::Envoy
            && projection.router.is_none();
        if !has_assignments(&service, projection) || is_dialled {
            return None;
        }
        let endpoints = mesh.endpoints(&service.key).cloned();
        let for_grpc = match projection.data_plane {
            DataPlane::Envoy => None,
            DataPlane::Grpc => endpoints
                .as_ref()
                .and_then(|endpoints| ForGrpc::needed(&governed, endpoints)),
        };
        Some(Input::Assignment(AssignmentInput {
            name: name.clone(),
            service: service.key.clone(),
            port,
            publish_not_ready: service.publish_not_ready,
            endpoints,
            for_grpc,
            spread: governed.spread(&service, projection.whereabouts.as_ref()),
            labels: governed
                .subset
                .map_or_else(Labels::default, |subset| subset.labels.clone()),
        }))
    }
}

fn has_assignments(service: &Service, projection: &ForAssignments) -> bool {
    match service.resolution {
        Resolution::ClientSide => true,
        // Only clients of sidecars dial endpoints.
        Resolution::Passthrough => projection.router.is_some(),
        _ => false,
    }
}
