//! Which lane a change belongs to, and which connected proxies it can select differently.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pilothouse_core::mesh::{Mesh, Touched};
use pilothouse_core::model::{Host, ServiceKey};

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

/// The hosts whose services or inline endpoints changed.
pub(super) fn hosts(touched: &Touched) -> BTreeSet<Host> {
    touched
        .services
        .iter()
        .chain(&touched.endpoints)
        .map(|key| key.host.clone())
        .collect()
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
