//! Indices follow what is set.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proptest::prelude::*;

use super::Mesh;
use crate::model::{Address, Endpoint, Host, Preference, Service, ServiceKey};
use crate::rules::Reads;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn key(name: &str) -> ServiceKey {
    ServiceKey {
        namespace: "shop".into(),
        host: Host::new(name).unwrap(),
    }
}

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

proptest! {
    #[test]
    fn an_address_finds_the_services_that_have_an_endpoint_there(
        steps in prop::collection::vec((prop::sample::select(&NAMES[..]), prop::collection::vec(0u8..4, 0..5)), 0..12),
    ) {
        let mut mesh = Mesh::default();
        for name in NAMES {
            mesh.set_service(&key(name), Some(Arc::new(Service::new(key(name), Vec::new()))));
        }
        let mut expected: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
        for (name, lasts) in steps {
            let endpoints: Vec<_> = lasts.iter().map(|last| Endpoint::at(Address::Ip(ip(*last)))).collect();
            mesh.set_endpoints(&key(name), (!endpoints.is_empty()).then(|| Arc::new(endpoints)));
            for names in expected.values_mut() {
                names.remove(name);
            }
            for last in &lasts {
                expected.entry(ip(*last)).or_default().insert(name);
            }
            for last in 0..4 {
                let found = mesh.services_at(ip(last)).map(|service| service.key.host.as_str());
                let there = expected.get(&ip(last)).into_iter().flatten().copied();
                prop_assert_eq!(found.collect::<Vec<_>>(), there.collect::<Vec<_>>());
            }
        }
        for name in NAMES {
            mesh.set_endpoints(&key(name), None);
        }
        prop_assert!(mesh.instances.is_empty());
    }
}

#[test]
fn what_services_prefer_is_read_of_clients() {
    let mut mesh = Mesh::default();
    let mut set = |name: &str, prefers: Option<Preference>| {
        let service = prefers.map(|prefers| Service {
            prefers,
            ..Service::new(key(name), Vec::new())
        });
        mesh.set_service(&key(name), service.map(Arc::new));
        [mesh.reads(&Reads::Locality), mesh.reads(&Reads::Node)]
    };
    assert_eq!(set("a", Some(Preference::Any)), [false, false]);
    assert_eq!(set("a", Some(Preference::Zone)), [true, false]);
    assert_eq!(set("b", Some(Preference::Node)), [true, true]);
    assert_eq!(set("b", Some(Preference::Node)), [true, true]);
    assert_eq!(set("a", Some(Preference::NodeOnly)), [true, true]);
    assert_eq!(set("b", None), [false, true]);
    assert_eq!(set("a", None), [false, false]);
}
