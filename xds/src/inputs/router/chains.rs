//! What becomes of connections that are told apart by server name, or by nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use pilothouse_core::mesh::Routing;
use pilothouse_core::model::{Host, Location, Protocol};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::resolve::{Security, Termination, VirtualService};

use super::bound::{common_hosts, narrower, reference};
use super::slots::{Opened, Slot};
use super::{ChainTo, From, LostServer, RouterChain, RouterRoute, bind_text, hosts, resolving};
use crate::inputs::destination::{Forwarding, subsets};
use crate::inputs::routing::{self, Client, Connections, Way, ways};
use crate::names;
use crate::view::proxied_ports;

/// What becomes of connections with TLS.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) chains: Vec<RouterChain>,
    pub(super) routes: Vec<RouterRoute>,
    /// Whether server names stand for services, so that all of them matter.
    pub(super) reads_everything: bool,
}

/// Who has which server names: `None` is whatever nobody else has.
type Taken = BTreeMap<Option<Host>, ObjectKey>;

/// What becomes of connections that nothing tells apart: the first route that fits says it.
pub(super) fn opaque(from: &From<'_>, slot: &Slot) -> Option<RouterChain> {
    let opened = slot.servers().first()?;
    let to = first_way(from, opened)?;
    Some(chain(Vec::new(), None, ChainTo::Connections(to)))
}

/// What becomes of connections with TLS, by server name; names that somebody else has go to `lost`.
pub(super) fn tls(from: &From<'_>, slot: &Slot, lost: &mut BTreeSet<LostServer>) -> Found {
    let mut found = Found::default();
    let mut taken = Taken::new();
    for opened in slot.servers() {
        let key = &opened.gateway.key;
        match &opened.server.security {
            Security::Terminate(termination) => {
                let all = opened.server.hosts.iter().map(|one| one.host.clone());
                let field = &opened.server.field;
                let all = all.collect();
                if let Some(names) = take(&mut taken, all, (key, field), lost) {
                    end(from, slot, opened, (termination, names), lost, &mut found);
                }
            }
            Security::Passthrough => pass(from, opened, &mut taken, lost, &mut found),
            Security::AutoPassthrough => {
                found.reads_everything = true;
                found.chains.extend(services(from, opened));
            }
            Security::Plain | Security::Redirect | Security::Unserved => {}
        }
    }
    let mut known = BTreeSet::new();
    // Two gateways may let the same service through.
    found
        .chains
        .retain(|chain| !chain.within_mesh || known.insert(chain.server_names.clone()));
    found
}

/// Connections whose TLS ends here.
fn end(
    from: &From<'_>,
    slot: &Slot,
    opened: &Opened,
    (termination, server_names): (&Arc<Termination>, Vec<Host>),
    lost: &mut BTreeSet<LostServer>,
    found: &mut Found,
) {
    let server = &opened.server;
    let (to, cache) = if server.protocol == Protocol::Https {
        let gateway = &opened.gateway.key;
        let name = names::router_https_route(
            server.port,
            &server.port_name,
            (&gateway.name, gateway.namespace.as_str()),
            &bind_text(&slot.bind),
        );
        let servers = std::slice::from_ref(opened);
        let route = hosts::route(from, servers, name.clone(), true, lost);
        let cache = resolving::of_requests(from, &route);
        found.routes.push(route);
        (ChainTo::Requests(name), cache)
    } else {
        let Some(to) = first_way(from, opened) else {
            return;
        };
        let cache = resolving::of_connections(from, &to);
        (ChainTo::Connections(to), cache)
    };
    found.chains.push(RouterChain {
        names: cache,
        ..chain(server_names, Some(termination.clone()), to)
    });
}

/// Connections that rules tell apart by server name.
fn pass(
    from: &From<'_>,
    opened: &Opened,
    taken: &mut Taken,
    lost: &mut BTreeSet<LostServer>,
    found: &mut Found,
) {
    for rule in from.rules.of_gateway(&opened.gateway) {
        if common_hosts(&opened.server, rule).is_empty() {
            continue;
        }
        for way in ways_of(from, opened, rule, routing::Kind::Tls) {
            let of_server: Vec<&Host> = opened.server.hosts_for(&rule.key.namespace).collect();
            let names: BTreeSet<Host> = way
                .server_names
                .iter()
                .flat_map(|name| {
                    of_server
                        .iter()
                        .filter_map(move |host| narrower(host, name))
                })
                .cloned()
                .collect();
            let field: Arc<str> = match &way.to.said {
                Some(place) => place.field.clone(),
                None => "spec.tls".into(),
            };
            let by = (&rule.key, &field);
            if let Some(names) = take(taken, names, by, lost) {
                let cache = resolving::of_connections(from, &way.to);
                found.chains.push(RouterChain {
                    names: cache,
                    ..chain(names, None, ChainTo::Connections(way.to))
                });
            }
        }
    }
}

/// Connections whose server names are clusters: those between workloads of the mesh.
fn services<'a>(
    from: &From<'a>,
    opened: &'a Opened,
) -> impl Iterator<Item = RouterChain> + use<'a> {
    let view = from.view;
    let is_let_through = move |key: &pilothouse_core::model::ServiceKey| {
        let mut hosts = opened.server.hosts_for(&key.namespace);
        hosts.any(|host| host.covers(&key.host))
    };
    let services = view.services().filter(move |service| {
        service.location == Location::Internal
            && !service.key.host.is_wildcard()
            && is_let_through(&service.key)
    });
    services.flat_map(move |service| {
        let host = &service.key.host;
        proxied_ports(service).flat_map(move |(port, _)| {
            subsets(view, host).filter_map(move |subset| {
                let cluster = names::sni_cluster(port.port, subset, host);
                let name = Host::new(cluster.as_str()).ok()?;
                let to = Connections::to(cluster, Forwarding::default());
                Some(RouterChain {
                    within_mesh: true,
                    ..chain(vec![name], None, ChainTo::Connections(to))
                })
            })
        })
    })
}

fn chain(server_names: Vec<Host>, tls: Option<Arc<Termination>>, to: ChainTo) -> RouterChain {
    RouterChain {
        server_names,
        within_mesh: false,
        tls,
        to,
        names: None,
    }
}

/// Takes the names that are free. `None`: none was; no names stand for whatever.
fn take(
    taken: &mut Taken,
    names: BTreeSet<Host>,
    (rule, field): (&ObjectKey, &Arc<str>),
    lost: &mut BTreeSet<LostServer>,
) -> Option<Vec<Host>> {
    // All names are one that stands for whatever, and that is no name.
    let any = names.iter().any(|name| name.as_str() == "*");
    let wanted: Vec<Option<Host>> = match any {
        true => vec![None],
        false => names.into_iter().map(Some).collect(),
    };
    let mut free = Vec::new();
    for name in wanted {
        match taken.entry(name) {
            Entry::Vacant(entry) => {
                free.push(entry.key().clone());
                entry.insert(rule.clone());
            }
            Entry::Occupied(entry) => {
                let name = entry.key().as_ref().map_or("*", Host::as_str);
                let why = format!(
                    "{} has connections with server name {name}: of several, those of the oldest gateway and the oldest rule count",
                    entry.get()
                );
                lost.insert(LostServer {
                    loser: rule.clone(),
                    field: field.clone(),
                    to: entry.get().clone(),
                    why: why.into(),
                });
            }
        }
    }
    (!free.is_empty()).then(|| free.into_iter().flatten().collect())
}

/// Where connections go that nothing tells apart.
fn first_way(from: &From<'_>, opened: &Opened) -> Option<Connections> {
    let rules = from.rules.of_gateway(&opened.gateway).iter();
    let mut rules = rules.filter(|rule| !common_hosts(&opened.server, rule).is_empty());
    rules.find_map(|rule| {
        let way = ways_of(from, opened, rule, routing::Kind::Tcp)
            .into_iter()
            .next()?;
        Some(way.to)
    })
}

fn ways_of(
    from: &From<'_>,
    opened: &Opened,
    rule: &VirtualService,
    kind: routing::Kind,
) -> Vec<Way> {
    let gateway = reference(&opened.gateway);
    let client = Client {
        view: from.view,
        selected: &from.projection.selected,
        at: &gateway,
        port: opened.server.port,
        labels: &from.projection.labels,
    };
    let Some(host) = rule.hosts.first() else {
        return Vec::new();
    };
    let routing = Routing {
        host: host.clone(),
        rules: [rule.key.clone()].into(),
        http: Vec::new(),
        tls: rule.tls.clone(),
        tcp: rule.tcp.clone(),
    };
    ways(&client, &routing, kind).unwrap_or_default()
}
