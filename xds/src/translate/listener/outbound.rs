//! Outbound listeners.

use envoy_types::pb::envoy::config::core::v3::{CidrRange, TrafficDirection};
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use pilothouse_core::model::Cidr;

use super::super::common::{boolean, uint};
use super::super::http::{Routes, connection_manager};
use super::super::route::rules;
use super::super::{Notes, Output, dynamic, tcp};
use super::filters::{http_inspector, tls_inspector};
use super::{by_policy, chain, inspected, listener, output, plain_http, unbound};
use crate::inputs::listeners::{HttpProxy, OutboundListener, Rest, TcpChain, VirtualOutbound};
use crate::inputs::routing::Connections;
use crate::names;
use crate::resource::Cause;

/// The listener that captured connections reach, and that hands them to the listener of where they were going.
pub(super) fn first(input: &VirtualOutbound) -> Output {
    let mut notes = Notes::of_mesh_config();
    let reports = &*input.reports;
    // A connection to this very port would be forwarded to itself without end.
    let itself = FilterChainMatch {
        destination_port: uint(names::OUTBOUND_PORT.into()),
        ..Default::default()
    };
    let black_hole = tcp::proxy(names::BLACK_HOLE, reports, &mut notes);
    let rest = by_policy(&input.outbound, reports, &mut notes);
    let message = Listener {
        use_original_dst: boolean(true),
        transparent: input.transparent.then(|| boolean(true)).flatten(),
        filter_chains: vec![
            chain(names::VIRTUAL_OUTBOUND_BLACK_HOLE, Some(itself), black_hole),
            chain(names::VIRTUAL_OUTBOUND_CATCH_ALL, None, rest),
        ],
        ..listener(
            names::VIRTUAL_OUTBOUND,
            &input.addresses,
            names::OUTBOUND_PORT,
            TrafficDirection::Outbound,
            reports,
            &mut notes,
        )
    };
    output(notes, message)
}

/// The listener of an address and port that services claim.
pub(super) fn of_services(input: &OutboundListener) -> Output {
    let mut notes = Notes::of_mesh_config();
    notes.causes.extend(input.rule.clone().map(Cause::Rule));
    let reports = &*input.reports;
    let mut chains: Vec<FilterChain> = Vec::new();
    for one in &input.tcp {
        notes.causes.insert(Cause::Service(one.service.clone()));
        let filter = tcp::connections(&one.to, reports, &mut notes);
        let mut chain = said(chain("", Some(matching(one)), filter), &one.to);
        if let Some(names) = one.names {
            let resolving = dynamic::of_connections(names, input.port);
            chain.filters.insert(0, resolving);
        }
        chains.push(chain);
    }
    if let Some(http) = &input.http {
        let causes = http.services.iter().cloned().map(Cause::Service);
        notes.causes.extend(causes);
        let prefix = format!("outbound_{}", input.name);
        let routes = Routes::Named(&http.route, http.names);
        let filter = connection_manager(prefix, routes, reports, http.without, &mut notes);
        chains.push(chain("", http.sniffed.then(plain_http), filter));
    }
    let mut rest = input.rest.as_ref().map(|rest| match rest {
        Rest::Service { service, to } => {
            notes.causes.insert(Cause::Service(service.clone()));
            let filter = tcp::connections(to, reports, &mut notes);
            said(chain("", None, filter), to)
        }
        Rest::Policy(policy) => chain(
            names::PASSTHROUGH_CHAIN,
            None,
            by_policy(policy, reports, &mut notes),
        ),
    });
    if chains.is_empty() {
        chains.extend(rest.take());
    }
    let mut message = Listener {
        filter_chains: chains,
        default_filter_chain: rest,
        ..listener(
            input.name.as_str(),
            &input.addresses,
            input.port,
            TrafficDirection::Outbound,
            reports,
            &mut notes,
        )
    };
    let finds_http = input.http.as_ref().is_some_and(|http| http.sniffed);
    if finds_http || input.tcp.iter().any(|one| !one.server_names.is_empty()) {
        message = inspected(message, input.detection_timeout);
        message.listener_filters.push(tls_inspector());
    }
    if finds_http {
        message.listener_filters.push(http_inspector());
    }
    output(
        notes,
        if input.bind {
            message
        } else {
            unbound(message)
        },
    )
}

/// The listener for clients that speak to an HTTP proxy.
pub(super) fn http_proxy(input: &HttpProxy) -> Output {
    let mut notes = Notes::of_mesh_config();
    let reports = &*input.reports;
    let route = names::HTTP_PROXY_ROUTE.into();
    let filter = connection_manager(
        format!("outbound_{}", input.name),
        Routes::Proxy(&route, input.names),
        reports,
        input.without,
        &mut notes,
    );
    let message = Listener {
        filter_chains: vec![chain("", None, filter)],
        ..listener(
            input.name.as_str(),
            &input.addresses,
            input.port,
            TrafficDirection::Outbound,
            reports,
            &mut notes,
        )
    };
    output(notes, message)
}

/// The chain with what says which rule it comes from.
fn said(chain: FilterChain, to: &Connections) -> FilterChain {
    let place = to.said.as_ref();
    FilterChain {
        metadata: place.and_then(|place| rules::said_by(place, None)),
        ..chain
    }
}

fn matching(chain: &TcpChain) -> FilterChainMatch {
    FilterChainMatch {
        prefix_ranges: chain.cidrs.iter().map(range).collect(),
        server_names: chain.server_names.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

fn range(cidr: &Cidr) -> CidrRange {
    CidrRange {
        address_prefix: cidr.ip().to_string(),
        prefix_len: uint(cidr.prefix_len().into()),
    }
}
