//! Which listener takes a connection, and what its listener filters find out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use envoy_types::pb::envoy::config::core::v3::{Address, address, socket_address};
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::listener_filter_chain_match_predicate::Rule;
use envoy_types::pb::envoy::config::listener::v3::{
    Listener, ListenerFilter, ListenerFilterChainMatchPredicate,
};

use super::ask::{Call, Entrance, Payload, Version};
use super::configuration::Configuration;
use super::walk::Detected;
use crate::names;

/// A listener, and where the connection is going as it sees it.
pub(super) struct Found<'a> {
    pub(super) listener: &'a Listener,
    /// The listener that took it first.
    pub(super) from: Option<&'a Listener>,
    pub(super) to: SocketAddr,
}

/// The listener that takes a connection.
///
/// # Errors
/// Nobody listens; the text says where.
pub(super) fn find<'a>(
    configuration: &'a Configuration,
    entrance: &Entrance,
) -> Result<Found<'a>, String> {
    let capturing = |name: &str| configuration.listeners.get(name);
    match *entrance {
        Entrance::Outbound(to) => match capturing(names::VIRTUAL_OUTBOUND) {
            Some(first) if first.use_original_dst.is_some_and(|use_it| use_it.value) => {
                // Envoy hands over to the listener of the address, then to that of its port, and keeps what neither takes.
                let others = |listener: &&Listener| listener.name != first.name;
                let next = at(configuration, to, others);
                Ok(Found {
                    listener: next.unwrap_or(first),
                    from: next.map(|_| first),
                    to,
                })
            }
            _ => direct(configuration, to),
        },
        Entrance::Inbound(to) => match capturing(names::VIRTUAL_INBOUND) {
            Some(listener) => Ok(Found {
                listener,
                from: None,
                to,
            }),
            None => direct(configuration, to),
        },
        Entrance::Listener(to) => direct(configuration, to),
    }
}

fn direct(configuration: &Configuration, to: SocketAddr) -> Result<Found<'_>, String> {
    let has_socket = |listener: &&Listener| {
        listener
            .bind_to_port
            .as_ref()
            .is_none_or(|bound| bound.value)
    };
    at(configuration, to, has_socket)
        .map(|listener| Found {
            listener,
            from: None,
            to,
        })
        .ok_or_else(|| format!("no listener of the proxy is at {to}"))
}

/// The listener of this very address, or that of any address at this port.
fn at(
    configuration: &Configuration,
    to: SocketAddr,
    may: impl Fn(&&Listener) -> bool,
) -> Option<&Listener> {
    let any = match to.ip() {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let holds = |wanted: SocketAddr| {
        configuration
            .listeners
            .values()
            .filter(&may)
            .find(|listener| addresses(listener).any(|address| address == wanted))
    };
    holds(to).or_else(|| holds(SocketAddr::new(any, to.port())))
}

fn addresses(listener: &Listener) -> impl Iterator<Item = SocketAddr> {
    let more = listener.additional_addresses.iter();
    listener
        .address
        .iter()
        .chain(more.filter_map(|more| more.address.as_ref()))
        .filter_map(socket_address)
}

fn socket_address(address: &Address) -> Option<SocketAddr> {
    let Some(address::Address::SocketAddress(socket)) = &address.address else {
        return None;
    };
    let Some(socket_address::PortSpecifier::PortValue(port)) = socket.port_specifier else {
        return None;
    };
    Some(SocketAddr::new(
        socket.address.parse().ok()?,
        u16::try_from(port).ok()?,
    ))
}

/// What is known of a connection when the chain is chosen.
pub(super) fn detect(listener: &Listener, to: SocketAddr, call: &Call) -> Detected {
    let runs = |message: &str| {
        listener
            .listener_filters
            .iter()
            .any(|filter| is(filter, message) && !disabled(filter.filter_disabled.as_ref(), to))
    };
    let mut detected = Detected {
        transport_protocol: "raw_buffer".into(),
        ..Detected::default()
    };
    match (&call.tls, &call.payload) {
        (Some(hello), _) => {
            if runs("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector") {
                detected.transport_protocol = "tls".into();
                detected.server_name = hello.server_name.as_ref().map(|n| n.to_ascii_lowercase());
                detected.application_protocols = hello.application_protocols.clone();
            }
        }
        (None, Payload::Http(request)) => {
            if runs("envoy.extensions.filters.listener.http_inspector.v3.HttpInspector") {
                let protocol = match request.version {
                    Version::Http10 => "http/1.0",
                    Version::Http11 => "http/1.1",
                    Version::Http2 => "h2c",
                };
                detected.application_protocols.push(protocol.into());
            }
        }
        (None, Payload::Bytes) => {}
    }
    detected
}

fn is(filter: &ListenerFilter, message: &str) -> bool {
    match &filter.config_type {
        Some(ConfigType::TypedConfig(any)) => any.type_url.ends_with(message),
        _ => false,
    }
}

fn disabled(predicate: Option<&ListenerFilterChainMatchPredicate>, to: SocketAddr) -> bool {
    let Some(rule) = predicate.and_then(|predicate| predicate.rule.as_ref()) else {
        return false;
    };
    match rule {
        Rule::OrMatch(set) => set.rules.iter().any(|rule| disabled(Some(rule), to)),
        Rule::AndMatch(set) => set.rules.iter().all(|rule| disabled(Some(rule), to)),
        Rule::NotMatch(rule) => !disabled(Some(rule), to),
        Rule::AnyMatch(any) => *any,
        Rule::DestinationPortRange(range) => {
            (range.start..range.end).contains(&i32::from(to.port()))
        }
    }
}
