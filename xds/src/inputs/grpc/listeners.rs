//! Inputs of listeners for gRPC clients: one for each name of each port.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, Service, ServiceKey, ServicePort};

use super::{GrpcInput, served_port, served_ports, spellings, target};
use crate::inputs::{Generator, Input};
use crate::names::{self, completions};
use crate::resource::{Name, ResourceType};
use crate::selection::ForGrpc;
use crate::view::View;

/// What a listener for gRPC clients is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GrpcListener {
    /// Its name, `HOST:PORT` as the client has it in its target.
    pub name: Name,
    /// The service that is meant.
    pub service: ServiceKey,
    /// Its route configuration.
    pub route: Name,
}

/// Listeners for gRPC clients.
#[derive(Debug)]
pub struct GrpcListeners;

impl Generator for GrpcListeners {
    type Projection = ForGrpc;

    const TYPE: ResourceType = ResourceType::Listener;

    fn names(_: &Mesh, view: &View, projection: &ForGrpc) -> BTreeSet<Name> {
        view.services()
            .flat_map(|service| names_of(view, service, projection))
            .collect()
    }

    fn names_of_host(_: &Mesh, view: &View, projection: &ForGrpc, host: &Host) -> BTreeSet<Name> {
        target(view, host)
            .into_iter()
            .flat_map(|service| names_of(view, service, projection))
            .collect()
    }

    fn input(_: &Mesh, view: &View, projection: &ForGrpc, name: &Name) -> Option<Input> {
        let (spelling, port) = names::parse_api_listener(name.as_str())?;
        let (service, port) = meant(view, spelling, port, &projection.domain)?;
        Some(Input::Grpc(GrpcInput::Listener(GrpcListener {
            name: name.clone(),
            service: service.key.clone(),
            route: names::outbound_cluster(port.port, "", &service.key.host),
        })))
    }
}

fn names_of<'a>(
    view: &'a View,
    service: &'a Service,
    projection: &'a ForGrpc,
) -> impl Iterator<Item = Name> + 'a {
    served_ports(service).flat_map(move |port| {
        spellings(view, service, &projection.domain)
            .map(|spelling| names::api_listener(spelling, port.port))
    })
}

/// The service that `spelling` means for clients in `domain`: that of this very name, otherwise the nearest of those that it
/// is a short name of.
fn meant<'a>(
    view: &'a View,
    spelling: &str,
    port: u16,
    domain: &str,
) -> Option<(&'a Arc<Service>, &'a ServicePort)> {
    let exact = Host::new(spelling).ok();
    let mut hosts = exact.into_iter().chain(completions(spelling, domain));
    hosts.find_map(|host| {
        let service = target(view, &host).filter(|_| !host.is_wildcard())?;
        Some((service, served_port(service, port)?))
    })
}
