//! How an address and port are divided among the services that claim them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Cidr, Host, Protocol, Service, ServiceKey};

use super::claims::{Claim, claimants};
use super::slot::{Slot, is_open};
use super::{HttpChain, Rest, TcpChain};
use crate::inputs::Lost;
use crate::inputs::destination::{Forwarding, Governed};
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
        let server_name = if slot.shares_requests() {
            server_name(service, *protocol)
        } else {
            None
        };
        let mut won = Vec::new();
        for share in shares(claim, server_name.as_ref()) {
            match taken.entry(share) {
                Entry::Vacant(free) => {
                    won.push(free.key().clone());
                    free.insert(service.key.clone());
                }
                Entry::Occupied(by) => drop(chains.lost.insert(Lost {
                    service: service.key.clone(),
                    to: by.get().clone(),
                })),
            }
        }
        // Whoever binds an address has nobody to pass on to: the first one has what nobody names.
        let everything: Share = (None, None);
        if slot == Slot::Loopback && !taken.contains_key(&everything) {
            taken.insert(everything.clone(), service.key.clone());
            won.push(everything);
        }
        if won.contains(&(None, None)) {
            first = Some((service, *protocol));
        }
        chains
            .tcp
            .extend(tcp_chains(view, projection, service, port, won));
    }
    chains.rest = first.map(|(service, _)| Rest::Service {
        service: service.key.clone(),
        cluster: names::outbound_cluster(port, "", &service.key.host),
        forwarding: forwarding(view, projection, service, port),
    });
    let is_auto = claims.iter().any(|(_, protocol, _)| protocol.is_auto());
    let is_shared =
        slot.shares_requests() && (is_auto || view.on_port(port, Class::Http).next().is_some());
    let alone = first.filter(|(_, protocol)| !slot.shares_requests() && protocol.is_auto());
    if is_shared {
        let sniffed = slot == Slot::Wildcard || chains.rest.is_some();
        chains.http = Some(HttpChain {
            route: RouteName::Port(port).name(),
            sniffed,
            services: some_of(&claims, view, port),
            without: projection.without,
        });
    } else if let Some((service, _)) = alone {
        let route = RouteName::Sniffed(service.key.host.clone(), port).name();
        chains.http = Some(HttpChain {
            route,
            sniffed: true,
            services: vec![service.key.clone()],
            without: projection.without,
        });
    }
    if chains.http.is_none() && chains.tcp.is_empty() && chains.rest.is_none() {
        return None;
    }
    if slot == Slot::Wildcard && chains.rest.is_none() {
        chains.rest = Some(Rest::Policy(mesh.config().outbound));
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

fn shares(claim: &Claim, server_name: Option<&Host>) -> Vec<Share> {
    let cidrs = claim
        .cidrs
        .iter()
        .map(|cidr| (Some(*cidr), server_name.cloned()));
    cidrs
        .chain(claim.everywhere.then(|| (None, server_name.cloned())))
        .collect()
}

/// The chains of what a service has, apart from the rest: one for all blocks of addresses, and one for its name anywhere.
fn tcp_chains(
    view: &View,
    projection: &ForListeners,
    service: &Arc<Service>,
    port: u16,
    won: Vec<Share>,
) -> Vec<TcpChain> {
    let forwarding = forwarding(view, projection, service, port);
    let cluster = names::outbound_cluster(port, "", &service.key.host);
    let chain = |cidrs, server_name| TcpChain {
        service: service.key.clone(),
        cluster: cluster.clone(),
        cidrs,
        server_name,
        forwarding: forwarding.clone(),
    };
    let (blocks, anywhere): (Vec<Share>, Vec<Share>) =
        won.into_iter().partition(|(cidr, _)| cidr.is_some());
    let name = blocks.first().and_then(|(_, name)| name.clone());
    let cidrs: Vec<Cidr> = blocks.into_iter().filter_map(|(cidr, _)| cidr).collect();
    let by_address = (!cidrs.is_empty()).then(|| chain(cidrs, name));
    let by_name = anywhere
        .into_iter()
        .filter_map(|(_, name)| name)
        .map(|name| chain(Vec::new(), Some(name)));
    by_address.into_iter().chain(by_name).collect()
}

fn forwarding(view: &View, projection: &ForListeners, service: &Service, port: u16) -> Forwarding {
    Governed::of(view, &projection.selected, &service.key.host, "", port)
        .map_or_else(Forwarding::default, |governed| governed.forwarding())
}

/// The name by which TLS connections to a service are told from others at a shared address.
fn server_name(service: &Service, protocol: Protocol) -> Option<Host> {
    (protocol.is_tls() && service.key.host.as_str() != "*").then(|| service.key.host.clone())
}
