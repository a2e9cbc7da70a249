//! The hosts of a route configuration, with the routes of all rules for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilothouse_core::model::Host;
use pilothouse_core::rules::resolve::{Security, VirtualService};

use super::bound::{common_hosts, reference};
use super::slots::{Opened, gateways};
use super::{From, RouterHost, RouterRoute};
use crate::inputs::routing::{Client, Routed, http_routes};
use crate::resource::Name;

/// The route configuration of servers that share it.
///
/// Rules for one host are put one behind the other, the oldest first; what takes every request comes last.
pub(super) fn route(from: &From<'_>, servers: &[Opened], name: Name, tls: bool) -> RouterRoute {
    let mut hosts: BTreeMap<Host, RouterHost> = BTreeMap::new();
    for (opened, rule) in by_age(from, servers) {
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
            let known = host_of(&mut hosts, host);
            for one in &routes {
                // A rule may be bound to two gateways that share the port.
                if !known.routes.contains(one) {
                    known.routes.push(one.clone());
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
            host_of(&mut hosts, host.host.clone()).redirect = true;
        }
    }
    let mut hosts: Vec<RouterHost> = hosts.into_values().collect();
    for host in &mut hosts {
        // It keeps the order of those that are alike.
        host.routes.sort_by_key(Routed::takes_everything);
    }
    RouterRoute {
        name,
        port: servers.first().map_or(0, |opened| opened.server.port),
        tls,
        hosts,
        gateways: gateways(servers),
        without: from.projection.without_routes,
    }
}

fn host_of(hosts: &mut BTreeMap<Host, RouterHost>, host: Host) -> &mut RouterHost {
    let fresh = RouterHost {
        host: host.clone(),
        redirect: false,
        routes: Vec::new(),
    };
    hosts.entry(host).or_insert(fresh)
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
