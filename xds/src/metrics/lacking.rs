//! Clusters that lead nowhere, and endpoints that may not be used: counted as the mesh changes, in proportion to the change.

use std::collections::BTreeMap;
use std::ops::{AddAssign, SubAssign};

use pilothouse_core::mesh::Mesh;
use pilothouse_core::model::{Health, Resolution, ServiceKey};

use crate::view::proxied_ports;

/// What services lack.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    /// Only services that lack something.
    services: BTreeMap<ServiceKey, Tally>,
    total: Tally,
}

/// What one service lacks, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    /// Clusters whose assignment has no endpoint.
    pub(super) without_instances: i64,
    /// Clusters that have no name to resolve.
    pub(super) without_names: i64,
    /// Endpoints that may not be given requests.
    pub(super) not_ready: i64,
}

impl Lacking {
    /// Follows a change of these services or their endpoints.
    pub(super) fn follow<'a>(
        &mut self,
        mesh: &Mesh,
        changed: impl IntoIterator<Item = &'a ServiceKey>,
    ) {
        for key in changed {
            let now = tally(mesh, key);
            let before = if now == Tally::default() {
                self.services.remove(key)
            } else {
                self.services.insert(key.clone(), now)
            };
            self.total -= before.unwrap_or_default();
            self.total += now;
        }
    }

    /// What all services lack together.
    pub(super) fn total(&self) -> Tally {
        self.total
    }
}

fn tally(mesh: &Mesh, key: &ServiceKey) -> Tally {
    let Some(service) = mesh.service(key) else {
        return Tally::default();
    };
    let endpoints = mesh.endpoints(key).map_or(&[][..], |endpoints| endpoints);
    let usable = |endpoint: &&pilothouse_core::model::Endpoint| {
        service.publish_not_ready || endpoint.health != Health::Unhealthy
    };
    let clusters = || i64::try_from(proxied_ports(service).count()).unwrap_or(i64::MAX);
    let bare = || {
        if endpoints.is_empty() { clusters() } else { 0 }
    };
    let (without_instances, without_names) = match service.resolution {
        Resolution::ClientSide => (bare(), 0),
        Resolution::Dns | Resolution::DnsRoundRobin => (0, bare()),
        Resolution::Passthrough | Resolution::DynamicDns | Resolution::Alias(_) => (0, 0),
    };
    let ready = endpoints.iter().filter(usable).count();
    Tally {
        without_instances,
        without_names,
        not_ready: i64::try_from(endpoints.len() - ready).unwrap_or(i64::MAX),
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.without_instances += other.without_instances;
        self.without_names += other.without_names;
        self.not_ready += other.not_ready;
    }
}

impl SubAssign for Tally {
    fn sub_assign(&mut self, other: Self) {
        self.without_instances -= other.without_instances;
        self.without_names -= other.without_names;
        self.not_ready -= other.not_ready;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sample::{With, endpoint, http, mesh, service, tcp};

    #[test]
    fn what_comes_and_goes_is_counted_once() {
        let assigned = service("a.com", [http(80), tcp(90)]);
        let named = service("b.com", [http(80)]).resolved(Resolution::Dns);
        let passing = service("c.com", [http(80)]).resolved(Resolution::Passthrough);
        let keys = [&assigned, &named, &passing].map(|service| service.key.clone());
        let mut mesh = mesh([(assigned, vec![]), (named, vec![]), (passing, vec![])]);
        let mut lacking = Lacking::default();
        let mut check = |mesh: &Mesh, expected: (i64, i64, i64)| {
            lacking.follow(mesh, &keys);
            let Tally {
                without_instances,
                without_names,
                not_ready,
            } = lacking.total();
            assert_eq!((without_instances, without_names, not_ready), expected);
        };
        check(&mesh, (2, 1, 0));
        check(&mesh, (2, 1, 0));
        let mut sick = endpoint("10.0.0.2");
        sick.health = Health::Unhealthy;
        mesh.set_endpoints(&keys[0], Some(Arc::new(vec![endpoint("10.0.0.1"), sick])));
        check(&mesh, (0, 1, 1));
        mesh.set_endpoints(&keys[0], None);
        mesh.set_service(&keys[1], None);
        check(&mesh, (2, 0, 0));
        mesh.set_service(&keys[0], None);
        check(&mesh, (0, 0, 0));
        assert!(lacking.services.is_empty());
    }
}
