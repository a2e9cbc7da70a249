//! Names over the wire: what an agent is told that asks for the name table, in both variants, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::google::protobuf::Any;
use pilothouse_tests::ads::{self, CLUSTER, DeltaClient, LISTENER, NAME_TABLE, SotwClient};
use pilothouse_tests::mesh_dir::ServiceEntry;
use pilothouse_xds::name_table::NameTable;
use prost::Message as _;

use crate::world::World;

/// How long silence lasts that is taken for an end.
const QUIET: Duration = Duration::from_millis(250);

fn node(metadata: &[(&str, &str)]) -> Node {
    let id = "sidecar~10.0.0.9~client.default~default.svc.cluster.local";
    let all = [&[("NAMESPACE", "default")][..], metadata].concat();
    ads::node(id, &all)
}

fn capturing() -> Node {
    node(&[("DNS_CAPTURE", "true")])
}

/// A service at a port of TCP; without address it gets an automatic one.
fn entry(name: &str, addresses: &[&str], endpoint: u8) -> ServiceEntry {
    let mut entry = ServiceEntry::http(name, &format!("{name}.test"), 9000);
    entry.ports[0].protocol = "TCP";
    entry.addresses = addresses.iter().map(|&ip| ip.to_owned()).collect();
    entry.endpoint(([10, 0, 0, endpoint], 80).into())
}

/// The addresses of each host.
fn table(resource: Option<&Any>) -> BTreeMap<String, Vec<String>> {
    let any = resource.expect("a resource");
    assert_eq!(any.type_url, NAME_TABLE);
    let table = NameTable::decode(&*any.value).unwrap().table;
    table
        .into_iter()
        .map(|(host, info)| (host, info.ips))
        .collect()
}

fn is_automatic(ips: &[String]) -> bool {
    matches!(ips, [ip] if ip.starts_with("240.240."))
}

async fn delta(world: &World, node: Node) -> DeltaClient {
    let address = world.discovery.addresses().grpc;
    DeltaClient::connect(address, node).await.unwrap()
}

/// What a client holds that has asked for nothing but names.
fn held(client: &DeltaClient) -> BTreeMap<String, Vec<String>> {
    let mut held = client.held(NAME_TABLE).values();
    table(held.next().map(|(_, any)| any))
}

#[tokio::test]
async fn names_are_told_once_and_again_when_one_changes() {
    let world = World::of(&[&entry("a", &["10.9.0.1"], 1), &entry("b", &[], 1)]).await;
    let mut client = delta(&world, capturing()).await;
    client.subscribe(NAME_TABLE, &[]).unwrap();
    client.accept(NAME_TABLE).await.unwrap();
    let first = held(&client);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["a.test", "b.test"]);
    assert_eq!(first["a.test"], ["10.9.0.1"]);
    assert!(is_automatic(&first["b.test"]), "{first:?}");

    // Other endpoints are no other name.
    world.mesh.write_entry(&entry("b", &[], 2)).unwrap();
    client.expect_nothing(QUIET).await.unwrap();
    world.mesh.write_entry(&entry("c", &[], 1)).unwrap();
    client.accept(NAME_TABLE).await.unwrap();
    let second = held(&client);
    assert!(is_automatic(&second["c.test"]));
    assert_eq!(
        second["b.test"], first["b.test"],
        "what is given does not move"
    );
    world
        .mesh
        .remove_entry(&entry("a", &["10.9.0.1"], 1))
        .unwrap();
    client.accept(NAME_TABLE).await.unwrap();
    assert_eq!(
        held(&client).keys().collect::<Vec<_>>(),
        ["b.test", "c.test"]
    );

    let page = world
        .discovery
        .debug("/debug/ndsz?proxyID=client.default")
        .await
        .unwrap();
    assert_eq!(page["resource"]["@type"], NAME_TABLE);
    let shown = &page["resource"]["table"]["b.test"];
    assert_eq!(shown["ips"][0], first["b.test"][0].as_str());
    assert_eq!(shown["registry"], "External");
}

#[tokio::test]
async fn who_comes_back_after_a_restart_is_told_nothing() {
    let mut world = World::of(&[&entry("a", &[], 1), &entry("b", &[], 1)]).await;
    let mut client = delta(&world, capturing()).await;
    client.subscribe(NAME_TABLE, &[]).unwrap();
    client.accept(NAME_TABLE).await.unwrap();
    let address = world.discovery.addresses().grpc;
    let mut sotw = SotwClient::connect(address, capturing()).await.unwrap();
    sotw.subscribe(NAME_TABLE, &[]).unwrap();
    let response = sotw.accept(NAME_TABLE).await.unwrap();
    assert_eq!(table(response.resources.first()), held(&client));
    let version = sotw.version(NAME_TABLE).to_owned();
    let known = client.disconnect();
    drop(sotw);

    world.discovery.stop().await.unwrap();
    world.discovery.restart().await.unwrap();
    let mut client = delta(&world, capturing()).await.with_held(known);
    client.resume(NAME_TABLE, &[]).unwrap();
    let response = client.accept(NAME_TABLE).await.unwrap();
    assert!(response.resources.is_empty(), "that nothing differs");
    let address = world.discovery.addresses().grpc;
    let mut sotw = SotwClient::connect(address, capturing()).await.unwrap();
    sotw.report_version(NAME_TABLE, &version);
    sotw.subscribe(NAME_TABLE, &[]).unwrap();
    sotw.expect_nothing(QUIET).await.unwrap();
    world.mesh.write_entry(&entry("c", &[], 1)).unwrap();
    let response = sotw.accept(NAME_TABLE).await.unwrap();
    assert_eq!(table(response.resources.first()).len(), 3);
}

#[tokio::test]
async fn a_name_is_told_after_the_listener_at_its_address() {
    let world = World::of(&[&entry("a", &[], 1)]).await;
    let mut client = delta(&world, capturing()).await;
    for of in [NAME_TABLE, CLUSTER, LISTENER] {
        client.subscribe(of, &[]).unwrap();
        client.accept(of).await.unwrap();
    }
    let address = held(&client)["a.test"][0].clone();
    let listener = format!("{address}_9000");
    assert!(client.held(LISTENER).contains_key(&listener), "{listener}");

    world.mesh.write_entry(&entry("b", &[], 1)).unwrap();
    for of in [CLUSTER, LISTENER, NAME_TABLE] {
        client.accept(of).await.unwrap();
    }
    let address = &held(&client)["b.test"][0];
    assert!(
        client
            .held(LISTENER)
            .contains_key(&format!("{address}_9000"))
    );
}

#[tokio::test]
async fn who_does_not_capture_dns_has_no_names() {
    let world = World::of(&[&entry("a", &[], 1)]).await;
    let mut client = delta(&world, node(&[])).await;
    client.subscribe(NAME_TABLE, &[]).unwrap();
    let response = client.accept(NAME_TABLE).await.unwrap();
    assert!(response.resources.is_empty());
    client.subscribe(CLUSTER, &[]).unwrap();
    client.accept(CLUSTER).await.unwrap();
    client.subscribe(LISTENER, &[]).unwrap();
    client.accept(LISTENER).await.unwrap();
    assert!(client.held(LISTENER).contains_key("0.0.0.0_9000"));
    let page = world
        .discovery
        .debug("/debug/ndsz?proxyID=client.default")
        .await;
    assert!(page.is_err(), "{page:?}");
}

#[tokio::test]
async fn a_namespace_is_told_what_it_sees() {
    let mut own = entry("own", &["10.9.0.2"], 1);
    own.namespace = "bank".to_owned();
    own.export_to = vec![".".to_owned()];
    let world = World::of(&[&entry("a", &["10.9.0.1"], 1), &own]).await;
    let names = async |namespace: &str| {
        let node = node(&[("DNS_CAPTURE", "true"), ("NAMESPACE", namespace)]);
        let mut client = delta(&world, node).await;
        client.subscribe(NAME_TABLE, &[]).unwrap();
        client.accept(NAME_TABLE).await.unwrap();
        held(&client).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names("default").await, ["a.test"]);
    assert_eq!(names("bank").await, ["a.test", "own.test"]);
}
