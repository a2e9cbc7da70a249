//! Inputs of route configurations: one for each port that any service speaks HTTP on, one for each port of a service whose
//! protocol the proxy finds out, and one for the HTTP proxy listener.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::mesh::{Mesh, OutboundPolicy};
use pilothouse_core::model::{Host, Resolution, Service, ServicePort};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::HashBy;

use super::destination::Governed;
use super::{Generator, Input, is_dialled_by_endpoint};
use crate::extensions::Missing;
use crate::names::{HTTP_PROXY_ROUTE, RouteName};
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
    /// The DNS domain that short names are completed with.
    pub domain: Arc<str>,
    /// What becomes of requests that no service claims.
    pub outbound: OutboundPolicy,
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
}

/// Route configurations.
#[derive(Debug)]
pub struct Routes;

impl Generator for Routes {
    type Projection = ForRoutes;

    const TYPE: ResourceType = ResourceType::Route;

    fn names(mesh: &Mesh, view: &View, projection: &ForRoutes) -> BTreeSet<Name> {
        let hosts = view.services().map(|service| &service.key.host);
        hosts
            .flat_map(|host| Self::names_of_host(mesh, view, projection, host))
            .collect()
    }

    fn names_of_host(
        mesh: &Mesh,
        view: &View,
        projection: &ForRoutes,
        host: &Host,
    ) -> BTreeSet<Name> {
        let service = view.service(host).map(|service| match &service.resolution {
            Resolution::Alias(target) => view.service(target),
            _ => Some(service),
        });
        let mut names = BTreeSet::new();
        let Some(service) = service.flatten() else {
            return names;
        };
        for (port, class) in routed_ports(service) {
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

    fn input(mesh: &Mesh, view: &View, projection: &ForRoutes, name: &Name) -> Option<Input> {
        let name = RouteName::parse(name.as_str())?;
        let member =
            |service: &Arc<Service>, port: &ServicePort| member(view, projection, service, port);
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
                if class != Class::Auto || !has_own_address(mesh, projection, service) {
                    return None;
                }
                vec![member(service, port)]
            }
            RouteName::HttpProxy if !has_http_proxy(mesh, projection) => return None,
            RouteName::HttpProxy => {
                let all = view.services().flat_map(|service| {
                    routed_ports(service).map(move |(port, _)| (service, port))
                });
                all.map(|(service, port)| member(service, port)).collect()
            }
        };
        if members.is_empty() {
            return None;
        }
        members.sort_by(|a, b| {
            let of = |m: &Member| m.port.port;
            (a.service.age(), &a.service.key, of(a)).cmp(&(b.service.age(), &b.service.key, of(b)))
        });
        let input = RouteInput {
            name,
            members,
            domain: projection.domain.clone(),
            outbound: mesh.config().outbound,
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
    Member {
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
