//! The hosts of a route configuration, with the routes of all rules for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilothouse_core::model::Host;
use pilothouse_core::rules::resolve::{Security, VirtualService};

use super::bound::{common_hosts, reference};
use super::ingresses::{self, Paths, Rank};
use super::slots::{Opened, gateways};
use super::{From, LostServer, RouterHost, RouterRoute};
use crate::inputs::routing::{Client, Routed, http_routes};
use crate::resource::Name;

/// A host while its routes are collected.
#[derive(Default)]
struct Collected {
    redirect: bool,
    /// With the place of their rule among rules, and their place among those of `Ingress`es.
    routes: Vec<(usize, Rank, Routed)>,
    paths: Paths,
}

/// The route configuration of servers that share it.
///
/// Rules for one host are put one behind the other, the oldest first; what takes every request comes last. `Ingress`es for one
/// host count as one rule, as old as the oldest of them.
pub(super) fn route(
    from: &From<'_>,
    servers: &[Opened],
    name: Name,
    tls: bool,
    lost: &mut BTreeSet<LostServer>,
) -> RouterRoute {
    let mut hosts: BTreeMap<Host, Collected> = BTreeMap::new();
    for (place, (opened, rule)) in by_age(from, servers).into_iter().enumerate() {
        let common = common_hosts(&opened.server, rule);
        if common.is_empty() {
            continue;
        }
        let gateway = reference(&opened.gateway);
        let client = Client {
            view: from.view,
            selected: &from.projection.selected,
            at: &gateway,
            port: opened.server.port,
            labels: &from.projection.labels,
        };
        let routes = http_routes(&client, &rule.http);
        if routes.is_empty() {
            continue;
        }
        for host in common {
            let known = hosts.entry(host).or_default();
            for one in &routes {
                if ingresses::is_one(&rule.key) {
                    if let Some((place, rank)) = known.paths.take(place, one, lost) {
                        known.routes.push((place, rank, one.clone()));
                    }
                } else if !known.has(one) {
                    known.routes.push((place, Rank::default(), one.clone()));
                }
            }
        }
    }
    let redirecting = servers
        .iter()
        .filter(|opened| opened.server.security == Security::Redirect);
    for opened in redirecting {
        for rule in from.rules.of_gateway(&opened.gateway) {
            for host in common_hosts(&opened.server, rule) {
                if let Some(known) = hosts.get_mut(&host) {
                    known.redirect = true;
                }
            }
        }
        for host in &opened.server.hosts {
            hosts.entry(host.host.clone()).or_default().redirect = true;
        }
    }
    RouterRoute {
        name,
        port: servers.first().map_or(0, |opened| opened.server.port),
        tls,
        hosts: hosts
            .into_iter()
            .map(|(host, known)| known.into_host(host))
            .collect(),
        gateways: gateways(servers),
        without: from.projection.without_routes,
    }
}

impl Collected {
    /// A rule may be bound to two gateways that share the port.
    fn has(&self, one: &Routed) -> bool {
        self.routes.iter().any(|(_, _, known)| known == one)
    }

    fn into_host(mut self, host: Host) -> RouterHost {
        // It keeps the order of those that are alike.
        self.routes
            .sort_by_key(|(place, rank, one)| (one.takes_everything(), *place, *rank));
        RouterHost {
            host,
            redirect: self.redirect,
            routes: self.routes.into_iter().map(|(_, _, one)| one).collect(),
        }
    }
}

/// The rules of all servers, the oldest rule first.
fn by_age<'a>(
    from: &From<'a>,
    servers: &'a [Opened],
) -> Vec<(&'a Opened, &'a Arc<VirtualService>)> {
    let rules = from.rules;
    let all = servers.iter().flat_map(|opened| {
        let bound = rules.of_gateway(&opened.gateway);
        bound.iter().map(move |rule| (opened, rule))
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by(|(_, a), (_, b)| a.age().cmp(&b.age()));
    all
}
