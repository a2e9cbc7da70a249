//! What services claim of listeners' addresses, and who claims an address.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Address, Cidr, Protocol, Service};

use super::slot::{Slot, is_open};
use crate::inputs::is_dialled_by_endpoint;
use crate::selection::ForListeners;
use crate::view::{Class, View, is_virtual_ip};

/// What a service claims of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// Connections to these blocks of addresses.
    pub(super) cidrs: Vec<Cidr>,
    /// Connections to any address.
    pub(super) everywhere: bool,
}

/// The slots that a service claims for one of its ports.
pub(super) fn slots(
    mesh: &Mesh,
    view: &View,
    projection: &ForListeners,
    service: &Service,
    port: u16,
    class: Class,
) -> Vec<Slot> {
    let shared = Slot::shared(view, projection, port);
    let mut slots: Vec<Slot> = claim(mesh, projection, service, shared, port, class)
        .map(|_| shared)
        .into_iter()
        .collect();
    if shared == Slot::Wildcard && class != Class::Http {
        let ips = if is_dialled(mesh, projection, service) {
            endpoint_ips(mesh, service)
        } else {
            let addresses = projection.addresses.addresses_of(service);
            addresses
                .filter(is_virtual_ip)
                .map(|address| address.ip())
                .collect()
        };
        slots.extend(ips.into_iter().map(Slot::Ip));
    }
    slots
}

/// Who claims connections of a slot, the oldest service first; those who share it by request alone are not among them.
pub(super) fn claimants(
    mesh: &Mesh,
    view: &View,
    projection: &ForListeners,
    slot: Slot,
    port: u16,
) -> Vec<(Arc<Service>, Protocol, Claim)> {
    let mut services: Vec<Arc<Service>> = match slot {
        Slot::Ip(ip) => {
            let is_seen = |service: &Service| {
                view.is_reached(service, port)
                    && view
                        .service(&service.key.host)
                        .is_some_and(|seen| seen.key == service.key)
            };
            let dialled = mesh
                .services_at(ip)
                .filter(|service| is_dialled(mesh, projection, service) && is_seen(service));
            view.at(ip, port).chain(dialled).cloned().collect()
        }
        Slot::Wildcard | Slot::Loopback | Slot::Said { .. } => [Class::Auto, Class::Tcp]
            .into_iter()
            .flat_map(|class| view.on_port(port, class))
            .cloned()
            .collect(),
    };
    services.sort_by(|a, b| (a.age(), &a.key).cmp(&(b.age(), &b.key)));
    services.dedup_by(|a, b| a.key == b.key);
    let claim = |service: Arc<Service>| {
        let protocol = view.protocol(service.port(port)?);
        let class = Class::of(protocol).filter(|class| *class != Class::Http)?;
        let claim = claim(mesh, projection, &service, slot, port, class)?;
        Some((service, protocol, claim))
    };
    services.into_iter().filter_map(claim).collect()
}

/// What a service claims of a slot for one of its ports. Takes no longer for a service of many endpoints.
fn claim(
    mesh: &Mesh,
    projection: &ForListeners,
    service: &Service,
    slot: Slot,
    port: u16,
    class: Class,
) -> Option<Claim> {
    if !is_open(mesh, projection, slot, port) {
        return None;
    }
    let everything = Claim {
        cidrs: Vec::new(),
        everywhere: true,
    };
    let addresses = || projection.addresses.addresses_of(service);
    let dialled = is_dialled(mesh, projection, service);
    match slot {
        Slot::Loopback | Slot::Said { .. } => Some(everything),
        Slot::Wildcard if class == Class::Http => Some(everything),
        Slot::Wildcard if dialled => None,
        Slot::Wildcard => {
            let is_any =
                |address: &Cidr| address.prefix_len() == 0 || address.ip().is_unspecified();
            let everywhere =
                addresses().next().is_none() || addresses().any(|address| is_any(&address));
            let blocks = addresses().filter(|address| !address.is_single() && !is_any(address));
            let claim = Claim {
                cidrs: blocks.collect(),
                everywhere,
            };
            (claim.everywhere || !claim.cidrs.is_empty()).then_some(claim)
        }
        Slot::Ip(ip) if dialled => mesh
            .services_at(ip)
            .any(|other| other.key == service.key)
            .then_some(everything),
        Slot::Ip(ip) => addresses()
            .any(|address| is_virtual_ip(&address) && address.ip() == ip)
            .then_some(everything),
    }
}

/// Whether clients dial the endpoints of a service, as it has no address that such proxies know.
fn is_dialled(mesh: &Mesh, projection: &ForListeners, service: &Service) -> bool {
    is_dialled_by_endpoint(mesh, service)
        && projection.addresses.addresses_of(service).next().is_none()
}

fn endpoint_ips(mesh: &Mesh, service: &Service) -> BTreeSet<IpAddr> {
    let endpoints = mesh
        .endpoints(&service.key)
        .into_iter()
        .flat_map(|all| all.iter());
    endpoints
        .flat_map(|endpoint| endpoint.addresses.iter().filter_map(Address::ip))
        .collect()
}
