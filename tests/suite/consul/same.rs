//! One mesh, in a Consul and in files: a proxy gets the same from either, names apart.

use std::collections::BTreeMap;

use anyhow::ensure;
use pilothouse_tests::ads::{CLUSTER, DeltaClient, ENDPOINT, LISTENER, ROUTE};
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::discovery::Discovery;
use pilothouse_tests::sidecar::{Holds, Sidecar};
use pilothouse_tests::wait::eventually;
use pilothouse_xds::json::any_to_json;
use prost::Message;
use serde_json::{Value, json};

use super::setting::discovery_on;
use crate::world::{SOON, Scratch, World};

/// The mesh in files: what is called NAME.service.consul in Consul is NAME.files.test here.
const FILES: &str = include_str!("same/mesh.yaml");
/// The rules in both, with names of Consul.
const RULES: [(&str, &str); 2] = [
    ("route", include_str!("same/route.yaml")),
    ("destination", include_str!("same/destination.yaml")),
];
const SUFFIX: (&str, &str) = (".service.consul", ".files.test");
/// The longer names of services, which only a Consul gives.
const ALIAS: &str = ".service.dc1.consul";
/// What only a Consul has: its own servers, on this port.
const SERVERS: &str = "8300";

/// An instance: its service, what it is called as a workload, its version, its address, its port, and its weight.
type Instance = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    u16,
    u32,
);

const INSTANCES: [Instance; 4] = [
    ("web", "web-a", "v1", "10.77.0.1", 8080, 3),
    ("web", "web-b", "v2", "10.77.0.2", 8080, 1),
    ("api", "api-a", "v1", "10.77.0.3", 8080, 1),
    ("db", "db-a", "v1", "10.77.0.4", 5432, 1),
];

#[tokio::test]
async fn a_mesh_in_consul_and_in_files_is_the_same_to_a_proxy() {
    let dir = Scratch::new();
    let consul = Cluster::of(1, &Binary::find().unwrap(), "dc1", json!({}), dir.path())
        .await
        .unwrap();
    for (service, name, version, address, port, weight) in INSTANCES {
        let protocol = if service == "db" { "tcp" } else { "http" };
        let definition = json!({
            "id": name, "name": service, "address": address, "port": port,
            "meta": {"protocol": protocol, "workload-name": name, "service-account": service, "locality": "eu/a"},
            "tags": [format!("version|{version}")],
            "weights": {"passing": weight, "warning": 1},
        });
        consul.register(definition).await.unwrap();
    }
    for (name, text) in RULES {
        let key = format!("pilothouse/config/{name}");
        consul
            .run(["kv", "put"], &[key.as_ref(), text.as_ref()])
            .unwrap();
    }
    let discovery = discovery_on(&consul, dir.path(), &[]).await;
    let of_files = RULES.map(|(name, text)| (name, in_files(text)));
    let [(_, route), (_, destination)] = &of_files;
    let files = [
        ("mesh.yaml", FILES),
        ("route.yaml", route.as_str()),
        ("destination.yaml", destination.as_str()),
    ];
    let world = World::start(&files).await;
    eventually("everything is there", SOON, async || {
        for discovery in [&discovery, &world.discovery] {
            let page = discovery.debug("/debug/endpointz").await?.to_string();
            let missing = INSTANCES.iter().find(|one| !page.contains(one.3));
            ensure!(missing.is_none(), "{missing:?} is not in {page}");
            let page = discovery.debug("/debug/configz").await?;
            let rules = page["rules"].as_array().map_or(0, Vec::len);
            ensure!(rules >= RULES.len(), "{page}");
        }
        Ok(())
    })
    .await
    .unwrap();
    let client = Sidecar::new("client", "default");
    let server = Sidecar::new("web-a", "default").at([10, 77, 0, 1].into());
    for sidecar in [
        client.clone(),
        client.named("captured").interception("REDIRECT"),
        server.clone(),
        server.named("captured-web-a").interception("TPROXY"),
    ] {
        let consul = resources(&discovery, &sidecar).await;
        let consul: BTreeMap<_, _> = consul
            .into_iter()
            .filter(|(name, _)| !name.contains(SERVERS))
            .map(|(name, value)| (in_files(&name), of_consul(value)))
            .collect();
        let files = resources(&world.discovery, &sidecar).await;
        let names = |all: &BTreeMap<String, Value>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&consul), names(&files), "{}", sidecar.id());
        assert!(
            names(&files)
                .iter()
                .any(|name| name.contains("web.files.test"))
        );
        for (name, expected) in &files {
            assert_eq!(&consul[name], expected, "{name} of {}", sidecar.id());
        }
    }
}

/// A text with names of files in place of those of Consul.
fn in_files(text: &str) -> String {
    text.replace(SUFFIX.0, SUFFIX.1)
}

/// What a resource of Consul is under the names of files, where a service has one name only.
fn of_consul(mut value: Value) -> Value {
    without_aliases(&mut value);
    serde_json::from_str(&in_files(&value.to_string())).unwrap()
}

fn without_aliases(value: &mut Value) {
    match value {
        Value::Array(all) => {
            all.retain(|one| !one.as_str().is_some_and(|text| text.contains(ALIAS)));
            all.iter_mut().for_each(without_aliases);
        }
        Value::Object(fields) => fields.values_mut().for_each(without_aliases),
        _ => {}
    }
}

/// By type and name, what a proxy gets over ADS.
async fn resources(discovery: &Discovery, sidecar: &Sidecar) -> BTreeMap<String, Value> {
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
