//! Whether a patch is about a thing. Texts that are empty and ports that are 0 match everything.

use envoy_types::pb::envoy::config::core::v3::{Address, address, socket_address};
use envoy_types::pb::envoy::config::listener::v3::{FilterChainMatch, Listener};
use envoy_types::pb::envoy::config::route::v3::{Route, VirtualHost, route};
use pilothouse_core::rules::resolve::envoy_filter::{
    ChainMatch, Context, HostMatch, ListenerMatch, ObjectMatch, RouteAction, RoutesMatch,
};

use crate::names;

/// What of a listener patches look at, beside its chains.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    port: u32,
}

impl Facts {
    pub(super) fn of(listener: &Listener) -> Self {
        Self {
            name: listener.name.clone(),
            port: listener.address.as_ref().map_or(0, port),
        }
    }

    /// Its chains stand for the ports of others, so that its own says nothing.
    fn is_virtual(&self) -> bool {
        self.name == names::VIRTUAL_INBOUND || self.name == names::VIRTUAL_OUTBOUND
    }
}

fn port(of: &Address) -> u32 {
    match &of.address {
        Some(address::Address::SocketAddress(socket)) => match socket.port_specifier {
            Some(socket_address::PortSpecifier::PortValue(port)) => port,
            _ => 0,
        },
        _ => 0,
    }
}

pub(super) fn listener(of: &ObjectMatch, facts: &Facts) -> bool {
    let Some(of) = in_listener(of) else {
        return matches!(of, ObjectMatch::All);
    };
    text(&of.name, &facts.name) && (facts.is_virtual() || number(of.port, facts.port))
}

/// Whether it is about a chain of a listener that it is about.
pub(super) fn chain(
    of: &ObjectMatch,
    facts: &Facts,
    name: &str,
    matching: Option<&FilterChainMatch>,
) -> bool {
    let Some(listener) = in_listener(of) else {
        return matches!(of, ObjectMatch::All);
    };
    let destination = matching
        .and_then(|matching| matching.destination_port)
        .map_or(0, |port| port.value);
    if facts.is_virtual() && !number(listener.port, destination) {
        return false;
    }
    let Some(of) = &listener.chain else {
        return true;
    };
    let none = FilterChainMatch::default();
    let matching = matching.unwrap_or(&none);
    text(&of.name, name)
        && (of.sni.is_empty() || matching.server_names.contains(&of.sni))
        && text(&of.transport, &matching.transport_protocol)
        && of
            .applications
            .iter()
            .all(|application| matching.application_protocols.contains(application))
        && number(of.destination_port, destination)
}

/// The network filter that it is about, if it says so.
pub(super) fn filter(of: &ObjectMatch) -> Option<&str> {
    in_chain(of)?.filter.as_deref()
}

/// The filter within the HTTP connection manager that it is about, if it says so.
pub(super) fn sub_filter(of: &ObjectMatch) -> Option<&str> {
    in_chain(of)?.sub_filter.as_deref()
}

/// The listener filter that it is about, if it says so.
pub(super) fn listener_filter(of: &ObjectMatch) -> Option<&str> {
    let name = &in_listener(of)?.listener_filter;
    (!name.is_empty()).then_some(name)
}

fn in_listener(of: &ObjectMatch) -> Option<&ListenerMatch> {
    match of {
        ObjectMatch::Listener(of) => Some(of),
        _ => None,
    }
}

fn in_chain(of: &ObjectMatch) -> Option<&ChainMatch> {
    in_listener(of)?.chain.as_ref()
}

/// Whether it is about the route configuration of this name.
pub(super) fn routes(of: &ObjectMatch, name: &str, context: Context) -> bool {
    let Some(of) = in_routes(of) else {
        return matches!(of, ObjectMatch::All);
    };
    if !text(&of.name, name) {
        return false;
    }
    if context != Context::Gateway {
        return of.port == 0 || port_of_routes(name) == Some(of.port);
    }
    let mut parts = name.split('.');
    let (_, port) = (parts.next(), parts.next());
    let (port_name, gateway, namespace) = (parts.next(), parts.next(), parts.next());
    let gateway = match (gateway, namespace) {
        (Some(gateway), Some(namespace)) => format!("{namespace}/{gateway}"),
        _ => String::new(),
    };
    (of.port == 0 || port.and_then(|port| port.parse().ok()) == Some(of.port))
        && text(&of.port_name, port_name.unwrap_or_default())
        && text(&of.gateway, &gateway)
}

/// The port that a sidecar's route configuration is for: outbound ones are called by it, inbound ones by their cluster.
fn port_of_routes(name: &str) -> Option<u32> {
    let number = match name.strip_prefix("inbound|") {
        Some(rest) => rest.split('|').next()?,
        // Where ports of several services differ, the name of the service stands before.
        None => name.rsplit(':').next()?,
    };
    number.parse().ok()
}

pub(super) fn virtual_host(of: &ObjectMatch, host: &VirtualHost) -> bool {
    let Some(of) = in_routes(of).and_then(|of| of.host.as_ref()) else {
        return true;
    };
    text(&of.name, &host.name) && (of.domain.is_empty() || host.domains.contains(&of.domain))
}

/// Which routes it is about, if it says so.
pub(super) fn route(of: &ObjectMatch) -> Option<impl Fn(&Route) -> bool + '_> {
    let HostMatch { route, .. } = in_routes(of)?.host.as_ref()?;
    let (name, action) = route.as_ref()?;
    Some(move |route: &Route| {
        text(name, &route.name)
            && match action {
                RouteAction::Any => true,
                RouteAction::Route => matches!(route.action, Some(route::Action::Route(_))),
                RouteAction::Redirect => matches!(route.action, Some(route::Action::Redirect(_))),
                RouteAction::DirectResponse => {
                    matches!(route.action, Some(route::Action::DirectResponse(_)))
                }
            }
    })
}

fn in_routes(of: &ObjectMatch) -> Option<&RoutesMatch> {
    match of {
        ObjectMatch::Routes(of) => Some(of),
        _ => None,
    }
}

/// Whether it is about a cluster that leads to one of these hosts, beside the one that its name may tell.
pub(super) fn cluster<'a>(
    of: &ObjectMatch,
    name: &str,
    mut hosts: impl Iterator<Item = &'a str>,
) -> bool {
    let of = match of {
        ObjectMatch::All => return true,
        ObjectMatch::Cluster(of) => of,
        _ => return false,
    };
    if !of.name.is_empty() {
        return of.name == name;
    }
    let mut parts = name.split('|');
    let (direction, port) = (parts.next(), parts.next());
    let (subset, host) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let is_for = |host: &str| text(&of.service, host);
    let service = if direction == Some("inbound") {
        of.service.is_empty() || hosts.any(is_for)
    } else {
        is_for(host)
    };
    service
        && text(&of.subset, subset)
        && (of.port == 0 || port.and_then(|port| port.parse().ok()) == Some(of.port))
}

fn text(wanted: &str, found: &str) -> bool {
    wanted.is_empty() || wanted == found
}

fn number(wanted: u32, found: u32) -> bool {
    wanted == 0 || wanted == found
}
