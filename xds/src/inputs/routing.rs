//! What `VirtualService`s say of requests and connections, as it is for one kind of client: which routes are in force there, and
//! which cluster each of their targets means.
//!
//! Sidecars, routers and gRPC clients share this. Whoever makes a route configuration calls [`http_routes`] with the routes in
//! the order in which they count, keeps the result in its input, and has `translate::route::rules` make Envoy's routes of it.
//! Which rule holds for a host is none of this module's business: `mesh::Routing` says it for sidecars, the `Gateway`s do for
//! routers.

mod http;
mod l4;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use pilothouse_core::model::{Host, Labels, NamespaceName, Resolution, Service};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{GatewayRef, HashBy, Target};

use super::destination::Governed;
use crate::names;
use crate::resource::Name;
use crate::selection::SourceLabels;
use crate::view::View;

pub use http::{Routed, http_routes};
pub use l4::{Connections, Kind, Way, ways};

/// Who asks, and where.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// What its namespace sees.
    pub view: &'a View,
    /// The rules for some clients only that are for it, sorted.
    pub selected: &'a [ObjectKey],
    /// Whether it is a sidecar, or which `Gateway` the routes are for.
    pub at: &'a GatewayRef,
    /// The port that clients ask for.
    pub port: u16,
    /// Its labels that rules read.
    pub labels: &'a SourceLabels,
}

impl Client<'_> {
    /// Whether what is said of `gateways`, clients and ports fits; empty and `None` stand for all.
    fn fits(
        &self,
        gateways: &[GatewayRef],
        labels: &Labels,
        namespace: Option<&NamespaceName>,
        port: Option<u16>,
    ) -> bool {
        let has = |(key, value): (&str, &str)| {
            let mut own = self.labels.iter();
            own.any(|(known, of)| (&**known, &**of) == (key, value))
        };
        (gateways.is_empty() || gateways.contains(self.at))
            && labels.iter().all(has)
            && namespace.is_none_or(|one| self.view.namespace() == Some(one))
            && port.is_none_or(|port| port == self.port)
    }

    /// What a target means to it.
    fn reach(&self, target: &Target) -> Reached {
        let service = concrete(self.view, &target.host);
        let host = service.map_or(&target.host, |service| &service.key.host);
        let port = port(service, target, self.port);
        let governed = Governed::of(self.view, self.selected, host, &target.subset, port);
        let hash_by = governed.as_ref().and_then(Governed::hash_by);
        Reached {
            cluster: names::outbound_cluster(port, &target.subset, host),
            // Other rules have no part in it.
            rules: governed
                .filter(|_| hash_by.is_some())
                .map_or_else(Vec::new, |governed| governed.rules),
            hash_by,
        }
    }
}

/// What a target of a route means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reached {
    /// The cluster: it may be nowhere, and requests are answered with 503 then.
    pub cluster: Name,
    /// In what requests are alike that get to the same endpoint.
    pub hash_by: Option<HashBy>,
    /// The rules that say so.
    pub rules: Vec<ObjectKey>,
}

/// The service that `host` means, by its own name or another.
fn concrete<'a>(view: &'a View, host: &Host) -> Option<&'a Arc<Service>> {
    let service = view.service(host)?;
    match &service.resolution {
        Resolution::Alias(target) => view.service(target),
        _ => Some(service),
    }
}

/// What no service has as a port: what is sent there goes nowhere.
const NOWHERE: u16 = 0;

/// The port of a target: what is said, else the service's only one, else the one that the client asked for.
fn port(service: Option<&Arc<Service>>, target: &Target, asked: u16) -> u16 {
    if let Some(name) = &target.port_name {
        let mut ports = service.into_iter().flat_map(|service| &service.ports);
        let named = ports.find(|port| port.name == *name);
        return named.map_or(NOWHERE, |port| port.port);
    }
    let only = service.and_then(|service| match &service.ports[..] {
        [only] => Some(only.port),
        _ => None,
    });
    target.port.or(only).unwrap_or(asked)
}
