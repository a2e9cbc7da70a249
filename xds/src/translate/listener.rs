//! Listeners.

mod filters;
mod inbound;
mod outbound;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{
    AdditionalAddress, Filter, FilterChain, FilterChainMatch, Listener,
};

use super::access_log::listener_logs;
use super::common::{boolean, duration, ip_address};
use super::{Message, Notes, Output, tcp};
use crate::inputs::Outbound;
use crate::inputs::listeners::ListenerInput;
use crate::inputs::reports::Reports;
use crate::resource::Cause;
pub(super) use filters::tls_inspector;

/// What Envoy's TLS inspector says of connections without TLS.
const RAW_BUFFER: &str = "raw_buffer";
/// What Envoy's TLS inspector says of connections with TLS.
const TLS: &str = "tls";
/// What Envoy's HTTP inspector says of HTTP without TLS.
const PLAIN_HTTP: [&str; 2] = ["http/1.1", "h2c"];

pub(super) fn translate(input: &ListenerInput) -> Output {
    match input {
        ListenerInput::VirtualOutbound(input) => outbound::first(input),
        ListenerInput::Outbound(input) => outbound::of_services(input),
        ListenerInput::HttpProxy(input) => outbound::http_proxy(input),
        ListenerInput::VirtualInbound(input) => inbound::translate(input),
        ListenerInput::Inbound(input) => inbound::bound(input),
    }
}

pub(super) fn output(notes: Notes, listener: Listener) -> Output {
    notes.output(listener.name.clone(), Message::Listener(Box::new(listener)))
}

/// A listener at `addresses` without chains.
pub(super) fn listener(
    name: &str,
    addresses: &[IpAddr],
    port: u16,
    direction: TrafficDirection,
    reports: &Reports,
    notes: &mut Notes,
) -> Listener {
    let mut addresses = addresses.iter().map(|ip| ip_address(*ip, port));
    Listener {
        name: name.into(),
        address: addresses.next(),
        additional_addresses: addresses
            .map(|address| AdditionalAddress {
                address: Some(address),
                ..Default::default()
            })
            .collect(),
        traffic_direction: direction.into(),
        access_log: listener_logs(reports, notes),
        ..Default::default()
    }
}

/// Makes a listener look at the first bytes of connections, for as long as `timeout`; zero for as long as it takes.
fn inspected(listener: Listener, timeout: Duration) -> Listener {
    Listener {
        listener_filters_timeout: duration(timeout),
        continue_on_listener_filters_timeout: true,
        ..listener
    }
}

/// A chain for the connections that `matching` says.
fn chain(name: &str, matching: Option<FilterChainMatch>, filter: Filter) -> FilterChain {
    FilterChain {
        name: name.into(),
        filter_chain_match: matching,
        filters: vec![filter],
        ..Default::default()
    }
}

/// HTTP without TLS, as inspectors find it.
fn plain_http() -> FilterChainMatch {
    FilterChainMatch {
        transport_protocol: RAW_BUFFER.into(),
        application_protocols: PLAIN_HTTP.map(Into::into).into(),
        ..Default::default()
    }
}

/// Where traffic goes that no service claims.
fn by_policy(outbound: &Outbound, reports: &Reports, notes: &mut Notes) -> Filter {
    notes.causes.extend(outbound.rule.clone().map(Cause::Rule));
    tcp::proxy(outbound.cluster(), reports, notes)
}

/// A listener that is handed connections and has no socket.
fn unbound(listener: Listener) -> Listener {
    Listener {
        bind_to_port: boolean(false),
        ..listener
    }
}
