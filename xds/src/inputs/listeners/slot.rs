//! Which addresses a service claims of outbound listeners, and who claims an address.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Address, Cidr, Interception, Protocol, Service};

use crate::inputs::is_dialled_by_endpoint;
use crate::names;
use crate::resource::Name;
use crate::selection::{Family, ForListeners};
use crate::view::{Class, View, is_virtual_ip};

/// Ports that proxies use themselves.
const RESERVED: [u16; 4] = [
    names::OUTBOUND_PORT,
    names::INBOUND_PORT,
    names::HEALTH_PORT,
    names::PROMETHEUS_PORT,
];
/// Ports that are taken on the loopback address, too.
const RESERVED_LOOPBACK: [u16; 2] = [names::ADMIN_PORT, names::STATUS_PORT];

/// The address of a listener, beside its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// All addresses that have no listener of their own, for captured connections.
    Wildcard,
    /// The loopback address, where connections are not captured.
    Loopback,
    /// One address, for captured connections.
    Ip(IpAddr),
}

impl Slot {
    /// The slot and port that a listener's name means for such a proxy.
    pub(super) fn parse(name: &Name, projection: &ForListeners) -> Option<(Self, u16)> {
        let (address, port) = names::parse_listener(name.as_str())?;
        let captured = projection.interception != Interception::None;
        let shared = if captured {
            Self::Wildcard
        } else {
            Self::Loopback
        };
        let slot = if shared.name(port, projection.family) == *name {
            shared
        } else {
            Self::Ip(address.parse().ok()?)
        };
        let is_own_name = slot.name(port, projection.family) == *name;
        (is_own_name && (captured || slot == Self::Loopback)).then_some((slot, port))
    }

    /// The listener's name.
    pub(super) fn name(self, port: u16, family: Family) -> Name {
        let first = self
            .addresses(family)
            .first()
            .copied()
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        names::listener(first, port)
    }

    /// The addresses that it stands for.
    pub(super) fn addresses(self, family: Family) -> Vec<IpAddr> {
        let (v4, v6) = match self {
            Self::Wildcard => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
            Self::Loopback => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
            Self::Ip(ip) => return vec![ip],
        };
        match family {
            Family::V4 => vec![v4.into()],
            Family::V6 => vec![v6.into()],
            Family::Dual => vec![v4.into(), v6.into()],
        }
    }

    /// Whether all HTTP services of the port share it.
    pub(super) fn shares_requests(self) -> bool {
        !matches!(self, Self::Ip(_))
    }
}

/// What a service claims of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// The slot.
    pub(super) slot: Slot,
    /// Connections to these blocks of addresses.
    pub(super) cidrs: Vec<Cidr>,
    /// Connections to any address.
    pub(super) everywhere: bool,
}

/// What a service claims for one of its ports.
pub(super) fn claims(
    mesh: &Mesh,
    projection: &ForListeners,
    service: &Service,
    port: u16,
    class: Class,
) -> Vec<Claim> {
    let all = |slot| Claim {
        slot,
        cidrs: Vec::new(),
        everywhere: true,
    };
    let open = |slot| is_open(mesh, projection, slot, port).then_some(slot);
    if projection.interception == Interception::None {
        return open(Slot::Loopback).map(all).into_iter().collect();
    }
    if class == Class::Http {
        return open(Slot::Wildcard).map(all).into_iter().collect();
    }
    let addresses: Vec<Cidr> = service.addresses_in(&projection.cluster).copied().collect();
    if addresses.is_empty() && is_dialled_by_endpoint(mesh, service) {
        return endpoint_ips(mesh, service)
            .into_iter()
            .map(|ip| all(Slot::Ip(ip)))
            .collect();
    }
    let ips: BTreeSet<IpAddr> = addresses
        .iter()
        .filter(|a| is_virtual_ip(a))
        .map(Cidr::ip)
        .collect();
    let mut claims: Vec<Claim> = ips.into_iter().map(|ip| all(Slot::Ip(ip))).collect();
    let stands_for_all =
        |address: &Cidr| address.prefix_len() == 0 || address.ip().is_unspecified();
    let (wide, rest): (Vec<Cidr>, Vec<Cidr>) = addresses
        .iter()
        .partition(|address| stands_for_all(address));
    let cidrs: Vec<Cidr> = rest
        .into_iter()
        .filter(|address| !address.is_single())
        .collect();
    let everywhere = addresses.is_empty() || !wide.is_empty();
    if everywhere || !cidrs.is_empty() {
        claims.extend(open(Slot::Wildcard).map(|slot| Claim {
            slot,
            cidrs,
            everywhere,
        }));
    }
    claims
}

/// Who claims connections of a slot, the oldest service first; those who share it by request alone are not among them.
pub(super) fn claims_of(
    mesh: &Mesh,
    view: &View,
    projection: &ForListeners,
    slot: Slot,
    port: u16,
) -> Vec<(Arc<Service>, Protocol, Claim)> {
    let mut services: Vec<Arc<Service>> = match slot {
        Slot::Ip(ip) => {
            let dialled = mesh
                .services_at(ip)
                .filter(|service| is_dialled_by_endpoint(mesh, service));
            let visible = dialled.filter(|service| {
                view.service(&service.key.host)
                    .is_some_and(|seen| seen.key == service.key)
            });
            view.at(ip, port).chain(visible).cloned().collect()
        }
        _ => [Class::Auto, Class::Tcp]
            .into_iter()
            .flat_map(|class| view.on_port(port, class))
            .cloned()
            .collect(),
    };
    super::by_age(&mut services);
    let claim = |service: Arc<Service>| {
        let protocol = service.port(port)?.protocol;
        let class = Class::of(protocol).filter(|class| *class != Class::Http)?;
        let claim = claims(mesh, projection, &service, port, class)
            .into_iter()
            .find(|claim| claim.slot == slot)?;
        Some((service, protocol, claim))
    };
    services.into_iter().filter_map(claim).collect()
}

/// Whether services may have this port of a slot.
pub(super) fn is_open(mesh: &Mesh, projection: &ForListeners, slot: Slot, port: u16) -> bool {
    match slot {
        Slot::Ip(_) => true,
        Slot::Wildcard => !RESERVED.contains(&port),
        Slot::Loopback => is_bindable(mesh, projection, port),
    }
}

fn is_bindable(mesh: &Mesh, projection: &ForListeners, port: u16) -> bool {
    let defaults = &mesh.config().default_config;
    let is_taken = [defaults.proxy_admin_port, defaults.status_port].contains(&port)
        || RESERVED.contains(&port)
        || RESERVED_LOOPBACK.contains(&port)
        || super::http_proxy_port(mesh, projection) == Some(port);
    let is_privileged = projection.unprivileged && port < 1024;
    !(is_taken || is_privileged)
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
