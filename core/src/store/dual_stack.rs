//! A pod of a service with addresses of two families stands in two parts, one for each family. It is one endpoint with two
//! addresses: as two it would get twice the share, and clients without the second family would fail on half of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Cidr, ClusterId, Endpoint, EndpointPort, Service, WorkloadKey};

/// What the two have alike.
type Same = (usize, ClusterId, WorkloadKey, Option<Arc<[EndpointPort]>>);

/// The same endpoints, with those united that are one workload's at one address of each family. The family goes first that the
/// service's own address is of, and IPv4 where it has none.
pub(super) fn united(ranked: Vec<(usize, Endpoint)>, service: &Service) -> Vec<(usize, Endpoint)> {
    let is_v6 = |(_, endpoint): &(usize, Endpoint)| single(endpoint).is_some_and(|ip| ip.is_ipv6());
    if !ranked.iter().any(is_v6) {
        return ranked;
    }
    let mut groups = BTreeMap::<Same, Vec<Endpoint>>::new();
    let mut all = Vec::with_capacity(ranked.len());
    for (rank, endpoint) in ranked {
        match (&endpoint.workload, single(&endpoint)) {
            (Some(workload), Some(_)) => {
                let cluster = endpoint.cluster.clone();
                let same = (rank, cluster, workload.clone(), endpoint.ports.clone());
                groups.entry(same).or_default().push(endpoint);
            }
            _ => all.push((rank, endpoint)),
        }
    }
    for ((rank, cluster, ..), mut group) in groups {
        group.sort();
        let own = service.addresses_in(&cluster).map(Cidr::ip).next();
        match one(&group, own.is_some_and(|ip| ip.is_ipv6())) {
            Some(endpoint) => all.push((rank, endpoint)),
            None => all.extend(group.into_iter().map(|endpoint| (rank, endpoint))),
        }
    }
    all
}

/// Its IP address, if it is the only one.
fn single(endpoint: &Endpoint) -> Option<IpAddr> {
    match &endpoint.addresses[..] {
        [address] => address.ip(),
        _ => None,
    }
}

/// The one that these are, if they have an address of each family, and no other. It is as healthy as the worst of them.
fn one(group: &[Endpoint], prefers_v6: bool) -> Option<Endpoint> {
    let ips: BTreeSet<IpAddr> = group.iter().filter_map(single).collect();
    let families: Vec<bool> = ips.iter().map(IpAddr::is_ipv6).collect();
    if families != [false, true] {
        return None;
    }
    let of = |v6: bool| {
        let mut all = group.iter();
        all.find(|endpoint| single(endpoint).is_some_and(|ip| ip.is_ipv6() == v6))
    };
    let (first, second) = (of(prefers_v6)?, of(!prefers_v6)?);
    let mut endpoint = first.clone();
    endpoint.addresses.extend(second.addresses.iter().cloned());
    endpoint.health = group.iter().map(|endpoint| endpoint.health).max()?;
    Some(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Address, Health};
    use crate::store::tests::build::{a_service, endpoint};

    fn of(workload: &str, ip: &str) -> (usize, Endpoint) {
        let key = WorkloadKey::new("shop".into(), workload);
        let workload = (!workload.is_empty()).then_some(key);
        (
            0,
            Endpoint {
                workload,
                ..endpoint(ip)
            },
        )
    }

    /// Addresses of each endpoint, whatever the order of what there is.
    fn check(own: &str, written: &[(&str, &str)], expected: &[&str]) {
        let mut service = a_service("web");
        if !own.is_empty() {
            let own = vec![own.parse().unwrap()];
            service.addresses.insert("".into(), own);
        }
        for reversed in [false, true] {
            let mut ranked: Vec<_> = written.iter().map(|(name, ip)| of(name, ip)).collect();
            if reversed {
                ranked.reverse();
            }
            let mut found: Vec<_> = united(ranked, &service)
                .iter()
                .map(|(_, one)| {
                    let all = one.addresses.iter().map(Address::to_string);
                    all.collect::<Vec<_>>().join(" ")
                })
                .collect();
            found.sort();
            assert_eq!(found, expected, "{own} {written:?}");
        }
    }

    #[test]
    fn a_workload_with_an_address_of_each_family_is_one() {
        let two = [("a", "10.0.0.1"), ("a", "fd00::1")];
        check("", &two, &["10.0.0.1 fd00::1"]);
        check("10.96.0.1", &two, &["10.0.0.1 fd00::1"]);
        check("fd96::1", &two, &["fd00::1 10.0.0.1"]);
        let twice = [("a", "10.0.0.1"), ("a", "fd00::1"), ("a", "10.0.0.1")];
        check("", &twice, &["10.0.0.1 fd00::1"]);
    }

    #[test]
    fn others_stay_as_they_are() {
        check(
            "",
            &[("a", "10.0.0.1"), ("b", "fd00::1")],
            &["10.0.0.1", "fd00::1"],
        );
        check(
            "",
            &[("", "10.0.0.1"), ("", "fd00::1")],
            &["10.0.0.1", "fd00::1"],
        );
        check("", &[("a", "fd00::1")], &["fd00::1"]);
        check(
            "",
            &[("a", "10.0.0.1"), ("a", "10.0.0.2"), ("a", "fd00::1")],
            &["10.0.0.1", "10.0.0.2", "fd00::1"],
        );
    }

    #[test]
    fn it_is_as_healthy_as_the_worse_half() {
        let mut ranked = vec![of("a", "10.0.0.1"), of("a", "fd00::1")];
        ranked[1].1.health = Health::Terminating;
        let all = united(ranked, &a_service("web"));
        let health: Vec<_> = all.iter().map(|(_, one)| one.health).collect();
        assert_eq!(health, [Health::Terminating]);
    }
}
