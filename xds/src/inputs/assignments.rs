//! Inputs of load assignments: the endpoints of each service that the control plane knows the addresses of.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::mesh::{Endpoints, Mesh};
use pilothouse_core::model::{Host, Resolution, Service, ServiceKey, ServicePort};

use super::{Generator, Input, clusters};
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
}

/// Load assignments.
#[derive(Debug)]
pub struct Assignments;

impl Generator for Assignments {
    type Projection = ForAssignments;

    const TYPE: ResourceType = ResourceType::Endpoint;

    fn names(_: &Mesh, view: &View, _: &ForAssignments) -> BTreeSet<Name> {
        view.services()
            .filter(|service| has_assignments(service))
            .flat_map(|service| clusters::names_of(service))
            .collect()
    }

    fn names_of_host(_: &Mesh, view: &View, _: &ForAssignments, host: &Host) -> BTreeSet<Name> {
        let service = view
            .service(host)
            .filter(|service| has_assignments(service));
        service
            .into_iter()
            .flat_map(|service| clusters::names_of(service))
            .collect()
    }

    fn input(mesh: &Mesh, view: &View, _: &ForAssignments, name: &Name) -> Option<Input> {
        let (service, port) = clusters::service_port(view, name)?;
        has_assignments(&service).then(|| {
            Input::Assignment(AssignmentInput {
                name: name.clone(),
                service: service.key.clone(),
                port,
                publish_not_ready: service.publish_not_ready,
                endpoints: mesh.endpoints(&service.key).cloned(),
            })
        })
    }
}

fn has_assignments(service: &Service) -> bool {
    service.resolution == Resolution::ClientSide
}
