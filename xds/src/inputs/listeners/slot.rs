//! The addresses of outbound listeners, as names have them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::Interception;

use crate::names;
use crate::resource::Name;
use crate::selection::{Family, ForListeners};
use crate::view::View;

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
    /// The address that a `Sidecar` says for a port.
    Said {
        /// Which one.
        ip: IpAddr,
        /// Whether clients dial it, instead of being captured.
        bound: bool,
    },
}

impl Slot {
    /// The slot of a port that services share which have no address of their own, or none that counts.
    pub(super) fn shared(view: &View, projection: &ForListeners, port: u16) -> Self {
        let said = view.listener(port).map(|listener| listener.bind);
        let rest_bound = || view.egress().is_some_and(|egress| egress.rest_bound);
        let bound = projection.interception == Interception::None
            || said.map_or_else(rest_bound, |said| said.bound);
        match said.and_then(|said| said.address) {
            Some(ip) => Self::Said { ip, bound },
            None if bound => Self::Loopback,
            None => Self::Wildcard,
        }
    }

    /// The slot and port that a listener's name means for such a proxy.
    pub(super) fn parse(
        name: &Name,
        view: &View,
        projection: &ForListeners,
    ) -> Option<(Self, u16)> {
        let (address, port) = names::parse_listener(name.as_str())?;
        let shared = Self::shared(view, projection, port);
        let slot = if shared.name(port, projection.family) == *name {
            shared
        } else {
            Self::Ip(address.parse().ok()?)
        };
        let is_own_name = slot.name(port, projection.family) == *name;
        let is_possible = slot == shared || shared == Self::Wildcard;
        (is_own_name && is_possible).then_some((slot, port))
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
            Self::Ip(ip) | Self::Said { ip, .. } => return vec![ip],
        };
        match family {
            Family::V4 => vec![v4.into()],
            Family::V6 => vec![v6.into()],
            Family::Dual => vec![v4.into(), v6.into()],
        }
    }

    /// Whether clients dial it, instead of being captured.
    pub(super) fn is_bound(self) -> bool {
        matches!(self, Self::Loopback | Self::Said { bound: true, .. })
    }

    /// Whether nobody takes what it does not: whatever comes there is for one of its services.
    pub(super) fn is_alone(self) -> bool {
        matches!(self, Self::Loopback | Self::Said { .. })
    }

    /// Whether all HTTP services of the port share it.
    pub(super) fn shares_requests(self) -> bool {
        !matches!(self, Self::Ip(_))
    }
}

/// Whether services may have this port of a slot.
pub(super) fn is_open(mesh: &Mesh, projection: &ForListeners, slot: Slot, port: u16) -> bool {
    match slot {
        Slot::Ip(_) => true,
        Slot::Wildcard | Slot::Said { bound: false, .. } => !RESERVED.contains(&port),
        Slot::Loopback | Slot::Said { bound: true, .. } => is_bindable(mesh, projection, port),
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
