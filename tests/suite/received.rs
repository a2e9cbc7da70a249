//! All that a proxy gets, for suites that give one mesh in two ways.

use std::collections::BTreeMap;

use pilothouse_tests::ads::{CLUSTER, DeltaClient, ENDPOINT, LISTENER, ROUTE};
use pilothouse_tests::discovery::Discovery;
use pilothouse_tests::sidecar::{Holds, Sidecar};
use pilothouse_xds::json::any_to_json;
use prost::Message;
use serde_json::Value;

/// Resources as JSON by type and name.
pub(crate) type Received = BTreeMap<String, Value>;

/// What a proxy gets over ADS.
pub(crate) async fn received(discovery: &Discovery, sidecar: &Sidecar) -> Received {
    let address = discovery.addresses().grpc;
    let node = sidecar.node().unwrap();
    let mut client = DeltaClient::connect(address, node).await.unwrap();
    client.subscribe(CLUSTER, &[]).unwrap();
    client.accept(CLUSTER).await.unwrap();
    let page = format!("/debug/config_dump?proxyID={}", sidecar.id());
    let holds = Holds::read(&discovery.debug(&page).await.unwrap()).unwrap();
    let assignments: Vec<_> = holds.assignments.keys().map(String::as_str).collect();
    let routes: Vec<_> = holds.routes.keys().map(String::as_str).collect();
    for (type_url, names) in [(ENDPOINT, assignments), (LISTENER, vec![]), (ROUTE, routes)] {
        client.subscribe(type_url, &names).unwrap();
        client.accept(type_url).await.unwrap();
    }
    let of = |type_url: &'static str| {
        let kind = type_url.rsplit('.').next().unwrap_or_default();
        let held = client.held(type_url).iter();
        held.map(move |(name, (_, any))| {
            let json = any_to_json(&any.encode_to_vec()).unwrap();
            (format!("{kind} {name}"), json)
        })
    };
    [CLUSTER, ENDPOINT, LISTENER, ROUTE]
        .into_iter()
        .flat_map(of)
        .collect()
}

/// Fails, naming the resources that make the difference, unless both are the same.
pub(crate) fn assert_same(proxy: &str, one: &Received, other: &Received) {
    let names = |all: &Received| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(one), names(other), "{proxy}");
    let differ = |name: &&String| one[*name] != other[*name];
    let differing: Vec<_> = other.keys().filter(differ).collect();
    if let Some(first) = differing.first() {
        let (left, right) = (&one[*first], &other[*first]);
        panic!("{differing:#?} of {proxy} differ; the first:\n{left:#}\n{right:#}");
    }
}
