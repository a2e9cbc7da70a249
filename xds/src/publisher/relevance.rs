//! Which lane a change belongs to, and which connected proxies it can select differently.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pilothouse_core::mesh::{Mesh, Touched};
use pilothouse_core::model::{Host, NamespaceName, ServiceKey};
use pilothouse_core::registry::ObjectKey;
use pilothouse_core::rules::Resolved;

use crate::inputs::endpoints_reach_configuration;

/// What of `touched` reaches more than load assignments. Endpoints stay in it where they are written into a cluster or a
/// listener, in the name table where there is one, or where `connected` says that a proxy stands at one of their addresses.
pub(super) fn for_configuration(
    before: &Mesh,
    after: &Mesh,
    touched: &Touched,
    names: bool,
    connected: impl Fn(IpAddr) -> bool,
) -> Touched {
    let mut config = touched.clone();
    config.endpoints.retain(|key| {
        let inline = |mesh: &Mesh| {
            mesh.service(key).is_some_and(|service| {
                endpoints_reach_configuration(service) || names && service.is_headless()
            })
        };
        inline(before) || inline(after) || moved(before, after, key).into_iter().any(&connected)
    });
    config
}

/// The addresses of proxies that `touched` can select differently.
pub(super) fn addresses(before: &Mesh, after: &Mesh, touched: &Touched) -> BTreeSet<IpAddr> {
    let mut ips = BTreeSet::new();
    for key in &touched.services {
        ips.extend(at(before, key));
        ips.extend(at(after, key));
    }
    for key in &touched.endpoints {
        ips.extend(moved(before, after, key));
    }
    for (cluster, key) in &touched.workloads {
        for mesh in [before, after] {
            ips.extend(
                mesh.workload(cluster, key)
                    .into_iter()
                    .flat_map(|workload| workload.ips()),
            );
        }
    }
    ips
}

/// The hosts whose services or inline endpoints changed, those of which rules say something else, and those whose rules refer
/// to one of them.
pub(super) fn hosts(before: &Mesh, after: &Mesh, touched: &Touched) -> BTreeSet<Host> {
    let changed = touched.services.iter().chain(&touched.endpoints);
    let mut hosts: BTreeSet<Host> = changed.map(|key| key.host.clone()).collect();
    for mesh in [before, after] {
        let rules = touched.rules.iter().filter_map(|key| mesh.rule(key));
        for rule in rules.filter_map(|rule| rule.resolved.as_ref()) {
            // A wildcard reaches the services of either mesh.
            hosts.append(&mut before.hosts_concerned(rule));
            hosts.append(&mut after.hosts_concerned(rule));
        }
    }
    let referring: Vec<_> = hosts
        .iter()
        .flat_map(|host| [before.hosts_referring(host), after.hosts_referring(host)])
        .collect();
    hosts.extend(referring.into_iter().flatten());
    hosts
}

/// Proxies that rules may select differently.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Clients {
    /// All.
    All,
    /// Those in these namespaces.
    In(BTreeSet<NamespaceName>),
}

/// The proxies that are sorted by rules of which some changed.
pub(super) fn clients(before: &Mesh, after: &Mesh, touched: &Touched) -> Clients {
    let selects = |mesh: &Mesh, key: &ObjectKey| {
        let resolved = mesh.rule(key).and_then(|rule| rule.resolved.as_ref());
        resolved.is_some_and(Resolved::selects_clients)
    };
    let keys = touched.rules.iter();
    let namespaces: BTreeSet<_> = keys
        .filter(|key| selects(before, key) || selects(after, key))
        .map(|key| key.namespace.clone())
        .collect();
    let is_root = |mesh: &Mesh| namespaces.contains(&mesh.config().root_namespace);
    if touched
        .services
        .iter()
        .any(|key| after.config().takes_reports(&key.host))
    {
        return Clients::All;
    }
    if touched.config || is_root(before) || is_root(after) || reads_differ(before, after) {
        return Clients::All;
    }
    Clients::In(namespaces)
}

/// Whether gateways changed, or what says which of them count: they select routers wherever these are.
pub(super) fn gateways(before: &Mesh, after: &Mesh, touched: &Touched) -> bool {
    let is_one = |mesh: &Mesh, key| mesh.rule(key).is_some_and(|rule| rule.selects_routers());
    let mut keys = touched.rules.iter();
    keys.any(|key| is_one(before, key) || is_one(after, key))
}

/// Whether something of clients counts that did not count, or the reverse.
fn reads_differ(before: &Mesh, after: &Mesh) -> bool {
    !before.all_reads().eq(after.all_reads())
}

/// The addresses at which a service's endpoint appeared, changed or vanished.
fn moved(before: &Mesh, after: &Mesh, key: &ServiceKey) -> BTreeSet<IpAddr> {
    let old = before.endpoints(key).map_or(&[][..], |endpoints| endpoints);
    let new = after.endpoints(key).map_or(&[][..], |endpoints| endpoints);
    let olds: BTreeSet<_> = old.iter().collect();
    let news: BTreeSet<_> = new.iter().collect();
    olds.symmetric_difference(&news)
        .flat_map(|endpoint| endpoint.addresses.iter().filter_map(|a| a.ip()))
        .collect()
}

fn at(mesh: &Mesh, key: &ServiceKey) -> impl Iterator<Item = IpAddr> {
    let endpoints = mesh
        .endpoints(key)
        .into_iter()
        .flat_map(|endpoints| endpoints.iter());
    endpoints.flat_map(|endpoint| endpoint.addresses.iter().filter_map(|address| address.ip()))
}
