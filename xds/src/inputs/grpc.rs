//! Inputs of what gRPC clients get: libraries that take configuration themselves, without a proxy.
//!
//! A client asks for a listener by the name in its target, `xds:///HOST:PORT`, and for what follows from that: a route
//! configuration, a cluster, a load assignment. There is one of each for each port of each service, and a listener for every
//! name that the client's resolver would complete to the host. Load assignments are those of Envoys (`assignments`).
//!
//! Nothing here is captured: a service whose endpoints are wherever the client dialled cannot be had by such a client, and a
//! wildcard is no name to dial.

mod clusters;
mod listeners;
mod routes;

pub use clusters::{GrpcCluster, GrpcClusters, GrpcDiscovery, LoadBalancing};
pub use listeners::{GrpcListener, GrpcListeners};
pub use routes::{GrpcRoute, GrpcRoutes};

pub(super) use clusters::load_balancing;

use std::sync::Arc;

use pilothouse_core::model::{Host, Resolution, Service, ServicePort};

use crate::names::{completions, short_forms};
use crate::view::{View, proxied_port, proxied_ports};

/// What a resource for gRPC clients is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GrpcInput {
    /// A cluster.
    Cluster(GrpcCluster),
    /// A listener.
    Listener(GrpcListener),
    /// A route configuration.
    Route(GrpcRoute),
}

/// Whether gRPC clients can have this service.
fn is_served(service: &Service) -> bool {
    let can_be_found = match service.resolution {
        Resolution::ClientSide | Resolution::Dns | Resolution::DnsRoundRobin => true,
        Resolution::Passthrough | Resolution::DynamicDns | Resolution::Alias(_) => false,
    };
    can_be_found && !service.key.host.is_wildcard()
}

/// The ports by which gRPC clients can have this service.
fn served_ports(service: &Service) -> impl Iterator<Item = &ServicePort> {
    proxied_ports(service)
        .filter(|_| is_served(service))
        .map(|(port, _)| port)
}

/// The port of this number, if gRPC clients can have it.
fn served_port(service: &Service, number: u16) -> Option<&ServicePort> {
    let (port, _) = proxied_port(service, number)?;
    is_served(service).then_some(port)
}

/// The service that `host` means, by its own name or another.
fn target<'a>(view: &'a View, host: &Host) -> Option<&'a Arc<Service>> {
    let service = view.service(host)?;
    match &service.resolution {
        Resolution::Alias(target) => view.service(target),
        _ => Some(service),
    }
}

/// What clients in `domain` may call a service: its own name and its other names, each as it is and in short.
fn spellings<'a>(
    view: &'a View,
    service: &'a Service,
    domain: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let host = &service.key.host;
    let aliases = view.aliases(host).map(|alias| &alias.key.host);
    std::iter::once(host)
        .chain(aliases)
        .filter(|host| !host.is_wildcard())
        .flat_map(move |host| {
            let completes = |short: &String| completions(short, domain).any(|full| full == *host);
            let short = short_forms(host.as_str(), domain);
            std::iter::once(host.to_string()).chain(short.into_iter().filter(completes))
        })
}
