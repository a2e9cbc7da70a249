//! Inputs of outbound listeners: one for each address and port that any service claims, the one that captured connections
//! reach first, and that of the HTTP proxy.

mod chains;
mod claims;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Cidr, Host, Interception, Service, ServiceKey};
use pilothouse_core::registry::ObjectKey;

use super::dynamic::{self, NameCache};
pub use super::own::{InboundChain, InboundListener, VirtualInbound};
use super::reports::{Reports, reports};
use super::routing::Connections;
use super::{Generator, Input, Lost, Outbound, referring};
use crate::extensions::{Extension, Missing};
use crate::names;
use crate::patch::Patches;
use crate::resource::{Name, ResourceType};
use crate::selection::{Family, ForListeners};
use crate::view::{Class, View, proxied_ports};
use slot::Slot;

/// What a listener is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenerInput {
    /// [`names::VIRTUAL_OUTBOUND`].
    VirtualOutbound(VirtualOutbound),
    /// An address and port that services claim.
    Outbound(OutboundListener),
    /// The HTTP proxy.
    HttpProxy(HttpProxy),
    /// [`names::VIRTUAL_INBOUND`].
    VirtualInbound(VirtualInbound),
    /// A port of the workload that the proxy binds.
    Inbound(InboundListener),
}

/// The listener that captured connections reach first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VirtualOutbound {
    /// Where it listens.
    pub addresses: Vec<IpAddr>,
    /// Whether the address that was dialled is kept by the kernel (TPROXY).
    pub transparent: bool,
    /// What becomes of connections that no listener claims.
    pub outbound: Outbound,
    /// What is reported of its connections.
    pub reports: Arc<Reports>,
}

/// An address and port that services claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OutboundListener {
    /// Its name.
    pub name: Name,
    /// The addresses: one, or one of each version of IP.
    pub addresses: Vec<IpAddr>,
    /// The port.
    pub port: u16,
    /// Whether it is bound; otherwise connections are handed to it.
    pub bind: bool,
    /// The `Sidecar` that says what there is on this port alone.
    pub rule: Option<ObjectKey>,
    /// Where requests go.
    pub http: Option<HttpChain>,
    /// Where connections to certain addresses or server names go.
    pub tcp: Vec<TcpChain>,
    /// Where all other connections go.
    pub rest: Option<Rest>,
    /// How long to wait for the first bytes; zero waits for ever.
    pub detection_timeout: Duration,
    /// What is reported of its connections.
    pub reports: Arc<Reports>,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpChain {
    /// The route configuration.
    pub route: Name,
    /// Whether it takes only what is found to be HTTP without TLS; otherwise it takes everything.
    pub sniffed: bool,
    /// How the hosts of requests are resolved, where some are for a service of which each request says a name.
    pub names: Option<NameCache>,
    /// Some of the services that requests are for: whom to tell if the listener is refused. There may be thousands.
    pub services: Vec<ServiceKey>,
    /// What the proxy lacks of what listeners may have.
    pub without: Missing,
}

impl HttpChain {
    /// How many services are named at most.
    pub const NAMED: usize = 8;
}

/// Where certain connections go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TcpChain {
    /// The service.
    pub service: ServiceKey,
    /// To which addresses; none stands for all.
    pub cidrs: Vec<Cidr>,
    /// With which server names; none stands for all, and for no TLS.
    pub server_names: Vec<Host>,
    /// How the server names of connections are resolved, where that says where they go.
    pub names: Option<NameCache>,
    /// Where they go.
    pub to: Connections,
}

/// Where connections go that no chain takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rest {
    /// To a service.
    Service {
        /// The service.
        service: ServiceKey,
        /// Where they go.
        to: Connections,
    },
    /// Wherever outbound traffic goes that no service claims.
    Policy(Outbound),
}

/// The HTTP proxy listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpProxy {
    /// Its name.
    pub name: Name,
    /// Where it listens.
    pub addresses: Vec<IpAddr>,
    /// The port.
    pub port: u16,
    /// What is reported of its connections.
    pub reports: Arc<Reports>,
    /// How the hosts of requests are resolved, where some are for a service of which each request says a name.
    pub names: Option<NameCache>,
    /// What the proxy lacks of what listeners may have.
    pub without: Missing,
}

/// Outbound listeners.
#[derive(Debug)]
pub struct Listeners;

impl Generator for Listeners {
    type Projection = ForListeners;

    const TYPE: ResourceType = ResourceType::Listener;

    fn patches(projection: &ForListeners) -> Option<&Patches> {
        Some(&projection.patches)
    }

    fn names(mesh: &Mesh, view: &View, projection: &ForListeners) -> BTreeSet<Name> {
        let services = view.services();
        let mut all: BTreeSet<Name> = services
            .flat_map(|service| names_of(mesh, view, projection, service))
            .collect();
        if projection.interception != Interception::None {
            all.insert(names::VIRTUAL_OUTBOUND.into());
        }
        if let Some(port) = http_proxy_port(mesh, projection) {
            all.insert(Slot::Loopback.name(port, projection.family));
        }
        all
    }

    fn names_of_host(
        mesh: &Mesh,
        view: &View,
        projection: &ForListeners,
        host: &Host,
    ) -> BTreeSet<Name> {
        let mut hosts = referring(mesh, view, host);
        hosts.insert(host.clone());
        let services = hosts.iter().filter_map(|host| view.service(host));
        services
            .flat_map(|service| names_of(mesh, view, projection, service))
            .collect()
    }

    fn input(mesh: &Mesh, view: &View, projection: &ForListeners, name: &Name) -> Option<Input> {
        let config = mesh.config();
        let family = projection.family;
        let reports = reports(mesh, projection.reports.as_ref(), projection.without);
        if name.as_str() == names::VIRTUAL_OUTBOUND {
            return (projection.interception != Interception::None).then(|| {
                Input::Listener(Box::new(ListenerInput::VirtualOutbound(VirtualOutbound {
                    addresses: Slot::Wildcard.addresses(family),
                    transparent: projection.interception == Interception::Tproxy,
                    outbound: Outbound::of(mesh, view),
                    reports,
                })))
            });
        }
        let proxy = http_proxy_port(mesh, projection);
        if let Some(port) = proxy.filter(|port| Slot::Loopback.name(*port, family) == *name) {
            let addresses = Slot::Loopback.addresses(family);
            return Some(Input::Listener(Box::new(ListenerInput::HttpProxy(
                HttpProxy {
                    name: name.clone(),
                    addresses,
                    port,
                    reports,
                    names: dynamic::has_any(view)
                        .then(|| names_of_requests(projection))
                        .flatten(),
                    without: projection.without,
                },
            ))));
        }
        let (slot, port) = Slot::parse(name, view, projection)?;
        let chains = chains::divide(mesh, view, projection, slot, port)?;
        Some(Input::Listener(Box::new(ListenerInput::Outbound(
            OutboundListener {
                name: name.clone(),
                addresses: slot.addresses(family),
                port,
                bind: slot.is_bound(),
                rule: view
                    .listener(port)
                    .and(view.egress())
                    .map(|egress| egress.rule.clone()),
                http: chains.http,
                tcp: chains.tcp,
                rest: chains.rest,
                detection_timeout: config.protocol_detection_timeout,
                reports,
            },
        ))))
    }

    fn lost(mesh: &Mesh, view: &View, projection: &ForListeners, name: &Name) -> Vec<Lost> {
        Slot::parse(name, view, projection)
            .and_then(|(slot, port)| chains::divide(mesh, view, projection, slot, port))
            .map_or_else(Vec::new, |chains| chains.lost.into_iter().collect())
    }
}

fn names_of(
    mesh: &Mesh,
    view: &View,
    projection: &ForListeners,
    service: &Service,
) -> BTreeSet<Name> {
    let mut all = BTreeSet::new();
    for (port, _) in proxied_ports(service) {
        let Some(class) = Class::of(view.protocol(port)) else {
            continue;
        };
        let slots = claims::slots(mesh, view, projection, service, port.port, class);
        all.extend(
            slots
                .into_iter()
                .map(|slot| slot.name(port.port, projection.family)),
        );
    }
    // The HTTP proxy resolves the names of such a service, too.
    if dynamic::is_dynamic(service)
        && let Some(port) = http_proxy_port(mesh, projection)
    {
        all.insert(Slot::Loopback.name(port, projection.family));
    }
    all
}

/// How hosts of requests are resolved, if the proxy can.
fn names_of_requests(projection: &ForListeners) -> Option<NameCache> {
    let without = projection.without;
    (!without.has(Extension::DynamicRequests)).then(|| NameCache::of(projection.family, without))
}

/// How server names of connections are resolved, if the proxy can.
fn names_of_connections(projection: &ForListeners) -> Option<NameCache> {
    let without = projection.without;
    (!without.has(Extension::DynamicConnections)).then(|| NameCache::of(projection.family, without))
}

/// The addresses that stand for all of the versions of IP in use.
pub(super) fn wildcards(family: Family) -> Vec<IpAddr> {
    Slot::Wildcard.addresses(family)
}

fn http_proxy_port(mesh: &Mesh, projection: &ForListeners) -> Option<u16> {
    projection.http_proxy.or(mesh.config().proxy_http_port)
}
