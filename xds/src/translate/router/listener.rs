//! Listeners of routers.

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};

use super::super::common::pipe;
use super::super::http::{Routes, connection_manager};
use super::super::listener::{listener, output, tls_inspector};
use super::super::{Notes, Output, dynamic, tcp};
use super::tls;
use crate::inputs::router::{At, ChainTo, RouterChain, RouterListener};
use crate::resource::Cause;

/// What workloads of a mesh speak with one another within TLS.
const WITHIN_MESH: [&str; 5] = [
    "istio",
    "istio-peer-exchange",
    "istio-http/1.0",
    "istio-http/1.1",
    "istio-h2",
];

pub(super) fn translate(input: &RouterListener) -> Output {
    let mut notes = Notes::of_mesh_config();
    let gateways = input.gateways.iter().cloned();
    notes.causes.extend(gateways.map(Cause::Rule));
    let chains = input
        .chains
        .iter()
        .map(|one| chain(one, input, &mut notes))
        .collect();
    let name = input.name.as_str();
    let (addresses, port) = match &input.at {
        At::Addresses(addresses, port) => (&addresses[..], *port),
        At::File(_) => (&[][..], 0),
    };
    let mut message = Listener {
        filter_chains: chains,
        listener_filters: input.is_tls.then(tls_inspector).into_iter().collect(),
        ..listener(
            name,
            addresses,
            port,
            TrafficDirection::Outbound,
            &input.reports,
            &mut notes,
        )
    };
    if let At::File(path) = &input.at {
        message.address = Some(pipe(path));
    }
    output(notes, message)
}

fn chain(one: &RouterChain, of: &RouterListener, notes: &mut Notes) -> FilterChain {
    let mut filters = Vec::new();
    if let (ChainTo::Connections(_), Some(names), At::Addresses(_, port)) =
        (&one.to, one.names, &of.at)
    {
        filters.push(dynamic::of_connections(names, *port));
    }
    filters.push(match &one.to {
        ChainTo::Requests(route) => {
            let routes = Routes::Edge(route, of.topology, one.names);
            let prefix = format!("outbound_{}", of.name);
            connection_manager(prefix, routes, &of.reports, of.without, notes)
        }
        ChainTo::Connections(to) => tcp::connections(to, &of.reports, notes),
    });
    let ends_http = matches!(one.to, ChainTo::Requests(_));
    let protocols: &[&str] = if one.within_mesh { &WITHIN_MESH } else { &[] };
    let matching = FilterChainMatch {
        server_names: one.server_names.iter().map(ToString::to_string).collect(),
        application_protocols: protocols.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    FilterChain {
        filter_chain_match: (matching != FilterChainMatch::default()).then_some(matching),
        transport_socket: one.tls.as_ref().map(|tls| tls::socket(tls, ends_http)),
        filters,
        ..Default::default()
    }
}
