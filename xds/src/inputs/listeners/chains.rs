//! How an address and port are divided among the services that claim them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Cidr, Host, Protocol, Service, ServiceKey};
use pilothouse_core::rules::resolve::GatewayRef;

use super::claims::{Claim, claimants};
use super::slot::{Slot, is_open};
use super::{HttpChain, Rest, TcpChain, names_of_connections, names_of_requests};
use crate::inputs::destination::{Forwarding, Governed};
use crate::inputs::dynamic::{self, NameCache};
use crate::inputs::routing::{Client, Connections, Kind, Way, ways};
use crate::inputs::{Lost, Outbound};
use crate::names::{self, RouteName};
use crate::selection::ForListeners;
use crate::view::{Class, View};

/// The connections that a service has of a slot: to a block of addresses or to any, with a server name or with any.
type Share = (Option<Cidr>, Option<Host>);

/// Who gets what of a slot.
#[derive(Debug, Default)]
pub(super) struct Chains {
    pub(super) http: Option<HttpChain>,
    pub(super) tcp: Vec<TcpChain>,
    pub(super) rest: Option<Rest>,
    /// Services that others go before.
    pub(super) lost: BTreeSet<Lost>,
}

/// Divides a slot: requests by route, connections by address and server name; where two services claim the same connections,
/// the older one has them. `None` where nobody claims the slot.
pub(super) fn divide(
    mesh: &Mesh,
    view: &View,
    projection: &ForListeners,
    slot: Slot,
    port: u16,
) -> Option<Chains> {
    if !is_open(mesh, projection, slot, port) {
        return None;
    }
    let claims = claimants(mesh, view, projection, slot, port);
    let mut chains = Chains::default();
    let mut taken: BTreeMap<Share, ServiceKey> = BTreeMap::new();
    let mut first = None;
    for (service, protocol, claim) in &claims {
        for way in ways_to(view, projection, slot, service, *protocol, port) {
            let mut won = Vec::new();
            for share in shares(claim, &way) {
                match taken.entry(share) {
                    Entry::Vacant(free) => {
                        won.push(free.key().clone());
                        free.insert(service.key.clone());
                    }
                    // Of what a rule says of one service, the first that fits counts.
                    Entry::Occupied(by) if *by.get() == service.key => {}
                    Entry::Occupied(by) => drop(chains.lost.insert(Lost {
                        service: service.key.clone(),
                        to: by.get().clone(),
                    })),
                }
            }
            // Whoever binds an address has nobody to pass on to: the first one has what nobody names.
            let everything: Share = (None, None);
            let is_own = way.to.said.is_none();
            if slot.is_alone() && is_own && !taken.contains_key(&everything) {
                taken.insert(everything.clone(), service.key.clone());
                won.push(everything.clone());
            }
            if won.contains(&everything) {
                first = Some((service, *protocol, way.to.clone()));
            }
            let names = dynamic::has_connections(view, &way.to)
                .then(|| names_of_connections(projection))
                .flatten();
            chains.tcp.extend(tcp_chains(service, &way, names, won));
        }
    }
    chains.rest = first.as_ref().map(|(service, _, to)| Rest::Service {
        service: service.key.clone(),
        to: to.clone(),
    });
    let is_auto = claims.iter().any(|(_, protocol, _)| protocol.is_auto());
    let is_shared =
        slot.shares_requests() && (is_auto || view.on_port(port, Class::Http).next().is_some());
    let alone = first.filter(|(_, protocol, _)| !slot.shares_requests() && protocol.is_auto());
    if is_shared {
        let sniffed = slot == Slot::Wildcard || chains.rest.is_some();
        chains.http = Some(HttpChain {
            route: RouteName::Port(port).name(),
            sniffed,
            names: dynamic::has_requests(view, port)
                .then(|| names_of_requests(projection))
                .flatten(),
            services: some_of(&claims, view, port),
            without: projection.without,
        });
    } else if let Some((service, ..)) = alone {
        let route = RouteName::Sniffed(service.key.host.clone(), port).name();
        chains.http = Some(HttpChain {
            route,
            sniffed: true,
            names: None,
            services: vec![service.key.clone()],
            without: projection.without,
        });
    }
    if chains.http.is_none() && chains.tcp.is_empty() && chains.rest.is_none() {
        return None;
    }
    if slot == Slot::Wildcard && chains.rest.is_none() {
        chains.rest = Some(Rest::Policy(Outbound::of(mesh, view)));
    }
    Some(chains)
}

/// Some of the services whose requests share a slot.
fn some_of(claims: &[(Arc<Service>, Protocol, Claim)], view: &View, port: u16) -> Vec<ServiceKey> {
    let sniffed = claims.iter().filter(|(_, protocol, _)| protocol.is_auto());
    let sniffed = sniffed.map(|(service, _, _)| service);
    let all = view.on_port(port, Class::Http).chain(sniffed);
    all.map(|service| service.key.clone())
        .take(HttpChain::NAMED)
        .collect()
}

/// The ways of connections to a service: as a rule says, or all to the service.
fn ways_to(
    view: &View,
    projection: &ForListeners,
    slot: Slot,
    service: &Service,
    protocol: Protocol,
    port: u16,
) -> Vec<Way> {
    let host = &service.key.host;
    let client = Client {
        view,
        selected: &projection.selected,
        at: &GatewayRef::Mesh,
        port,
        labels: &projection.labels,
    };
    let kind = if protocol.is_tls() {
        Kind::Tls
    } else {
        Kind::Tcp
    };
    let routing = view.rules(host).and_then(|rules| rules.routing.as_ref());
    let said = routing.and_then(|routing| ways(&client, routing, kind));
    let by_name = slot.shares_requests() && kind == Kind::Tls;
    let governed = Governed::of(view, &projection.selected, host, "", port);
    let own = || Way {
        server_names: by_name.then(|| host.clone()).into_iter().collect(),
        subnets: Vec::new(),
        to: Connections::to(
            names::outbound_cluster(port, "", host),
            governed.map_or_else(Forwarding::default, |governed| governed.forwarding()),
        ),
    };
    match said {
        None => vec![own()],
        // What a rule says of server names is all that there is; what it says of some addresses leaves the others.
        Some(mut ways) => {
            let leaves_some = ways.iter().all(|way| !way.subnets.is_empty());
            if kind == Kind::Tcp && leaves_some {
                ways.push(own());
            }
            ways
        }
    }
}

fn shares(claim: &Claim, way: &Way) -> Vec<Share> {
    let cidrs: Vec<Option<Cidr>> = if way.subnets.is_empty() {
        let blocks = claim.cidrs.iter().copied().map(Some);
        blocks.chain(claim.everywhere.then_some(None)).collect()
    } else {
        way.subnets.iter().copied().map(Some).collect()
    };
    // `*` is whatever name there is, or none.
    let name = |host: &Host| (host.as_str() != "*").then(|| host.clone());
    let mut names: Vec<Option<Host>> = way.server_names.iter().map(name).collect();
    if names.is_empty() || names.contains(&None) {
        names = vec![None];
    }
    let of = |cidr: Option<Cidr>| names.iter().map(move |name| (cidr, name.clone()));
    cidrs.into_iter().flat_map(of).collect()
}

/// The chains of what a service has of one way, apart from the rest: one for all blocks of addresses with the same names, and
/// one for all names that are taken anywhere.
fn tcp_chains(
    service: &Service,
    way: &Way,
    names: Option<NameCache>,
    won: Vec<Share>,
) -> Vec<TcpChain> {
    let mut by_cidr: BTreeMap<Option<Cidr>, Vec<Host>> = BTreeMap::new();
    for (cidr, name) in won {
        if cidr.is_some() || name.is_some() {
            by_cidr.entry(cidr).or_default().extend(name);
        }
    }
    let anywhere = by_cidr.remove(&None);
    let mut by_names: BTreeMap<Vec<Host>, Vec<Cidr>> = BTreeMap::new();
    for (cidr, names) in by_cidr {
        by_names.entry(names).or_default().extend(cidr);
    }
    let chain = |cidrs, server_names: Vec<Host>| TcpChain {
        service: service.key.clone(),
        cidrs,
        names: names.filter(|_| !server_names.is_empty()),
        server_names,
        to: way.to.clone(),
    };
    let by_address = by_names
        .into_iter()
        .map(|(names, cidrs)| chain(cidrs, names));
    let by_name = anywhere.map(|names| chain(Vec::new(), names));
    by_address.chain(by_name).collect()
}
