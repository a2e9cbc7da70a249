//! Inputs of route configurations: one for each port that any service speaks HTTP on, one for each port of a service whose
//! protocol the proxy finds out, and one for the HTTP proxy listener.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Host, Resolution, Service, ServicePort};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{GatewayRef, HashBy};

use super::destination::Governed;
use super::routing::{Client, Routed, http_routes};
use super::{Generator, Input, Outbound, is_dialled_by_endpoint, referring};
use crate::extensions::Missing;
use crate::names::{HTTP_PROXY_ROUTE, RouteName};
use crate::patch::Patches;
use crate::resource::{Name, ResourceType};
use crate::selection::ForRoutes;
use crate::view::{Class, View, is_virtual_ip, proxied_port, proxied_ports};

/// What a route configuration is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouteInput {
    /// Its name.
    pub name: RouteName,
    /// The services that it leads to, the one that goes first where two claim a name.
    pub members: Vec<Member>,
    /// The hosts that rules speak of and no service has.
    pub unserved: Vec<Unserved>,
    /// The DNS domain that short names are completed with.
    pub domain: Arc<str>,
    /// What becomes of requests that no service claims.
    pub outbound: Outbound,
    /// What the proxy lacks of what routes may have.
    pub without: Missing,
}

/// A port of a service that routes lead to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// The service.
    pub service: Arc<Service>,
    /// Which of its ports.
    pub port: ServicePort,
    /// The addresses that it is reached by.
    pub addresses: Vec<IpAddr>,
    /// Its other names.
    pub aliases: Vec<Host>,
    /// In what requests are alike that get to the same endpoint.
    pub hash_by: Option<HashBy>,
    /// The rules that say so.
    pub hash_rules: Vec<ObjectKey>,
    /// What rules say of requests; where they say nothing, all go to the service.
    pub routed: Vec<Routed>,
}

/// A host that rules speak of and no service has: they say where its requests go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unserved {
    /// The host.
    pub host: Host,
    /// What rules say of requests for it.
    pub routed: Vec<Routed>,
}

impl Unserved {
    /// The port that clients ask such hosts for.
    pub const PORT: u16 = 80;
}

/// Route configurations.
#[derive(Debug)]
pub struct Routes;

impl Generator for Routes {
    type Projection = ForRoutes;

    const TYPE: ResourceType = ResourceType::Route;

    fn patches(projection: &ForRoutes) -> Option<&Patches> {
        Some(&projection.patches)
    }

    fn names(mesh: &Mesh, view: &View, projection: &ForRoutes) -> BTreeSet<Name> {
        let hosts = view.services().map(|service| &service.key.host);
        let unserved = view.unserved().map(|(host, _)| host);
        hosts
            .chain(unserved)
            .flat_map(|host| names_of(mesh, view, projection, host))
            .collect()
    }

    fn names_of_host(
        mesh: &Mesh,
        view: &View,
        projection: &ForRoutes,
        host: &Host,
    ) -> BTreeSet<Name> {
        let mut names = names_of(mesh, view, projection, host);
        for host in referring(mesh, view, host) {
            names.append(&mut names_of(mesh, view, projection, &host));
        }
        names
    }

    fn input(mesh: &Mesh, view: &View, projection: &ForRoutes, name: &Name) -> Option<Input> {
        let name = RouteName::parse(name.as_str())?;
        let member =
            |service: &Arc<Service>, port: &ServicePort| member(view, projection, service, port);
        let shows_unserved = match &name {
            RouteName::Port(number) => *number == Unserved::PORT,
            RouteName::HttpProxy => has_http_proxy(mesh, projection),
            RouteName::Sniffed(..) => false,
        };
        let mut members: Vec<Member> = match &name {
            RouteName::Port(number) => {
                let all = [Class::Http, Class::Auto]
                    .into_iter()
                    .flat_map(|class| view.on_port(*number, class));
                all.filter_map(|service| Some(member(service, service.port(*number)?)))
                    .collect()
            }
            RouteName::Sniffed(host, number) => {
                let service = view.service(host)?;
                let (port, class) = proxied_port(service, *number)?;
                let is_own = class == Class::Auto && has_own_address(mesh, projection, service);
                if !is_own || !view.is_reached(service, *number) {
                    return None;
                }
                vec![member(service, port)]
            }
            RouteName::HttpProxy if !has_http_proxy(mesh, projection) => return None,
            RouteName::HttpProxy => {
                let all = view.services().flat_map(|service| {
                    routed_ports(service)
                        .filter(|(port, _)| view.is_reached(service, port.port))
                        .map(move |(port, _)| (service, port))
                });
                all.map(|(service, port)| member(service, port)).collect()
            }
        };
        let unserved = match shows_unserved {
            true => unserved(view, projection, &members),
            false => Vec::new(),
        };
        if members.is_empty() && unserved.is_empty() {
            return None;
        }
        members.sort_by(|a, b| {
            let of = |m: &Member| m.port.port;
            (a.service.age(), &a.service.key, of(a)).cmp(&(b.service.age(), &b.service.key, of(b)))
        });
        let input = RouteInput {
            name,
            members,
            unserved,
            domain: projection.domain.clone(),
            outbound: Outbound::of(mesh, view),
            without: projection.without,
        };
        Some(Input::Route(input))
    }
}

fn member(
    view: &View,
    projection: &ForRoutes,
    service: &Arc<Service>,
    port: &ServicePort,
) -> Member {
    let addresses = projection.addresses.addresses_of(service);
    let addresses = addresses.filter(is_virtual_ip);
    let governed = Governed::of(view, &projection.selected, &service.key.host, "", port.port);
    let hash_by = governed.as_ref().and_then(Governed::hash_by);
    let rules = view.rules(&service.key.host);
    let routing = rules.and_then(|rules| rules.routing.as_ref());
    Member {
        routed: routing.map_or_else(Vec::new, |routing| {
            http_routes(&client(view, projection, port.port), &routing.http)
        }),
        // Other rules have no part in it.
        hash_rules: governed
            .filter(|_| hash_by.is_some())
            .map_or_else(Vec::new, |governed| governed.rules),
        hash_by,
        addresses: addresses.map(|address| address.ip()).collect(),
        aliases: view
            .aliases(&service.key.host)
            .map(|alias| alias.key.host.clone())
            .collect(),
        service: service.clone(),
        port: port.clone(),
    }
}

/// The names of what the service that a host means has a part in, or the host itself if there is none.
fn names_of(mesh: &Mesh, view: &View, projection: &ForRoutes, host: &Host) -> BTreeSet<Name> {
    let service = view.service(host).map(|service| match &service.resolution {
        Resolution::Alias(target) => view.service(target),
        _ => Some(service),
    });
    let mut names = BTreeSet::new();
    let Some(service) = service else {
        let rules = view.rules(host).filter(|rules| rules.routing.is_some());
        if rules.is_some() {
            names.insert(RouteName::Port(Unserved::PORT).name());
            names.extend(has_http_proxy(mesh, projection).then(|| HTTP_PROXY_ROUTE.into()));
        }
        return names;
    };
    let Some(service) = service else {
        return names;
    };
    for (port, _) in proxied_ports(service) {
        let Some(class @ (Class::Http | Class::Auto)) = Class::of(view.protocol(port)) else {
            continue;
        };
        names.insert(RouteName::Port(port.port).name());
        if has_http_proxy(mesh, projection) {
            names.insert(HTTP_PROXY_ROUTE.into());
        }
        if class == Class::Auto && has_own_address(mesh, projection, service) {
            names.insert(RouteName::Sniffed(service.key.host.clone(), port.port).name());
        }
    }
    names
}

/// The hosts that rules speak of and no service has. A wildcard that some service's requests are routed by is none of them:
/// requests that no service claims go by policy there.
fn unserved(view: &View, projection: &ForRoutes, members: &[Member]) -> Vec<Unserved> {
    let client = client(view, projection, Unserved::PORT);
    let is_served = |host: &Host| {
        let mut hosts = members.iter().map(|member| &member.service.key.host);
        host.is_wildcard() && hosts.any(|served| host.covers(served))
    };
    view.unserved()
        .filter(|(host, _)| !is_served(host))
        .map(|(host, routing)| Unserved {
            host: host.clone(),
            routed: http_routes(&client, &routing.http),
        })
        .filter(|unserved| !unserved.routed.is_empty())
        .collect()
}

fn client<'a>(view: &'a View, projection: &'a ForRoutes, port: u16) -> Client<'a> {
    Client {
        view,
        selected: &projection.selected,
        at: &GatewayRef::Mesh,
        port,
        labels: &projection.labels,
    }
}

fn has_http_proxy(mesh: &Mesh, projection: &ForRoutes) -> bool {
    projection.http_proxy || mesh.config().proxy_http_port.is_some()
}

/// Whether there are listeners that no other service shares.
fn has_own_address(mesh: &Mesh, projection: &ForRoutes, service: &Service) -> bool {
    let mut addresses = projection.addresses.addresses_of(service);
    addresses.any(|address| is_virtual_ip(&address)) || is_dialled_by_endpoint(mesh, service)
}

/// The ports of a service that requests may be routed to.
fn routed_ports(service: &Service) -> impl Iterator<Item = (&ServicePort, Class)> {
    proxied_ports(service).filter(|(_, class)| *class != Class::Tcp)
}
