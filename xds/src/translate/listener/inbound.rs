//! The listener of captured inbound connections, and those that clients dial.

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{
    Filter, FilterChain, FilterChainMatch, Listener,
};
use pilothouse_core::rules::resolve::Termination;

use super::super::common::{boolean, uint};
use super::super::http::{Routes, connection_manager};
use super::super::router::downstream_tls;
use super::super::{Notes, Output, route, tcp};
use super::filters::{
    except, http_inspector, original_destination, original_source, tls_inspector,
};
use super::{RAW_BUFFER, TLS, chain, inspected, listener, output, plain_http};
use crate::extensions::Missing;
use crate::inputs::listeners::{InboundChain, InboundListener, VirtualInbound};
use crate::inputs::reports::Reports;
use crate::names;
use crate::resource::{Cause, Name};
use crate::view::Class;

pub(super) fn translate(input: &VirtualInbound) -> Output {
    let mut notes = Notes::of_mesh_config();
    let reports = &*input.reports;
    // A connection to this very port would be forwarded to itself without end.
    let itself = FilterChainMatch {
        destination_port: uint(names::INBOUND_PORT.into()),
        ..Default::default()
    };
    let black_hole = tcp::proxy(names::BLACK_HOLE, reports, &mut notes);
    let mut chains = vec![chain(
        names::VIRTUAL_INBOUND_BLACK_HOLE,
        Some(itself),
        black_hole,
    )];
    chains.extend(catch_all(input, &mut notes));
    for one in &input.chains {
        notes
            .causes
            .insert(Cause::Service(one.target.service.clone()));
        chains.extend(of_port(one, reports, input.without, &mut notes));
    }
    // A port whose protocol is declared has nothing to be found out.
    let declared: Vec<u16> = input
        .chains
        .iter()
        .filter(|chain| chain.class != Class::Auto && chain.tls.is_none())
        .map(|chain| chain.target.target_port)
        .collect();
    let mut listener_filters = vec![original_destination()];
    listener_filters.extend(input.transparent.then(original_source));
    listener_filters.push(except(tls_inspector(), &declared));
    listener_filters.push(except(http_inspector(), &declared));
    let message = Listener {
        filter_chains: chains,
        listener_filters,
        transparent: input.transparent.then(|| boolean(true)).flatten(),
        ..listener(
            names::VIRTUAL_INBOUND,
            &input.addresses,
            names::INBOUND_PORT,
            TrafficDirection::Inbound,
            reports,
            &mut notes,
        )
    };
    output(notes, inspected(message, input.detection_timeout))
}

/// A port that clients dial.
pub(super) fn bound(input: &InboundListener) -> Output {
    let mut notes = Notes::of_mesh_config();
    let (one, reports) = (&input.chain, &*input.reports);
    let service = one.target.service.clone();
    notes.causes.insert(Cause::Service(service));
    let chains = of_port(one, reports, input.without, &mut notes);
    let mut message = Listener {
        filter_chains: chains,
        ..listener(
            input.name.as_str(),
            &input.addresses,
            one.target.target_port,
            TrafficDirection::Inbound,
            reports,
            &mut notes,
        )
    };
    if one.class == Class::Auto || one.tls.is_some() {
        message = inspected(message, input.detection_timeout);
        message.listener_filters.push(tls_inspector());
    }
    if one.class == Class::Auto {
        message.listener_filters.push(http_inspector());
    }
    output(notes, message)
}

/// The chains of a port that a service or a `Sidecar` has.
fn of_port(
    one: &InboundChain,
    reports: &Reports,
    without: Missing,
    notes: &mut Notes,
) -> Vec<FilterChain> {
    notes.causes.extend(one.rule.clone().map(Cause::Rule));
    if let Some(tls) = &one.tls {
        return within_tls(one, tls, reports, without, notes);
    }
    let port = one.target.target_port;
    let name = format!("0.0.0.0_{port}");
    let at = |matching: FilterChainMatch| {
        Some(FilterChainMatch {
            destination_port: uint(port.into()),
            ..matching
        })
    };
    let http = |notes: &mut Notes| http(one, reports, without, notes);
    match one.class {
        Class::Http => vec![chain(&name, at(FilterChainMatch::default()), http(notes))],
        Class::Tcp => vec![chain(
            &name,
            at(FilterChainMatch::default()),
            tcp::proxy(one.cluster.as_str(), reports, notes),
        )],
        Class::Auto => {
            let mut chains = vec![chain(&name, at(plain_http()), http(notes))];
            chains.extend(transports().map(|transport| {
                chain(
                    &name,
                    at(transport),
                    tcp::proxy(one.cluster.as_str(), reports, notes),
                )
            }));
            chains
        }
    }
}

fn http(one: &InboundChain, reports: &Reports, without: Missing, notes: &mut Notes) -> Filter {
    let virtual_host = names::inbound_virtual_host(one.target.port.port);
    let operation = names::virtual_host(&one.target.service.host, one.target.port.port);
    let routes = route::inbound(&one.cluster, virtual_host, &operation, notes);
    connection_manager(
        format!("inbound_0.0.0.0_{}", one.target.target_port),
        Routes::Inbound(Box::new(routes)),
        reports,
        without,
        notes,
    )
}

/// The chain of a port on which TLS ends. Without TLS there is none.
fn within_tls(
    one: &InboundChain,
    tls: &Termination,
    reports: &Reports,
    without: Missing,
    notes: &mut Notes,
) -> Vec<FilterChain> {
    let port = one.target.target_port;
    let matching = FilterChainMatch {
        destination_port: uint(port.into()),
        transport_protocol: TLS.into(),
        ..Default::default()
    };
    let is_http = one.class == Class::Http;
    let filter = match is_http {
        true => http(one, reports, without, notes),
        false => tcp::proxy(one.cluster.as_str(), reports, notes),
    };
    vec![FilterChain {
        transport_socket: Some(downstream_tls(tls, is_http)),
        ..chain(&format!("0.0.0.0_{port}"), Some(matching), filter)
    }]
}

/// The chains of all other ports.
fn catch_all(of: &VirtualInbound, notes: &mut Notes) -> Vec<FilterChain> {
    let reports = &*of.reports;
    let cluster = Name::from(names::INBOUND_PASSTHROUGH);
    let routes = route::inbound(&cluster, inbound_any(), ":*", notes);
    let http = connection_manager(
        names::INBOUND_PASSTHROUGH.into(),
        Routes::Inbound(Box::new(routes)),
        reports,
        of.without,
        notes,
    );
    let mut chains = vec![chain(
        names::VIRTUAL_INBOUND_CATCH_ALL_HTTP,
        Some(plain_http()),
        http,
    )];
    chains.extend(transports().map(|transport| {
        chain(
            names::VIRTUAL_INBOUND,
            Some(transport),
            tcp::proxy(cluster.as_str(), reports, notes),
        )
    }));
    chains
}

fn inbound_any() -> String {
    names::inbound_virtual_host(0)
}

/// Connections with and without TLS. Envoy chooses by transport before it chooses by application, and does not come back: a
/// chain for any transport would not get what another refuses.
fn transports() -> impl Iterator<Item = FilterChainMatch> {
    [RAW_BUFFER, TLS]
        .into_iter()
        .map(|transport| FilterChainMatch {
            transport_protocol: transport.into(),
            ..Default::default()
        })
}
