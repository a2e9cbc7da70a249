//! One mesh, in a Consul and in files: a proxy gets the same from either, names apart.

use anyhow::ensure;
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use serde_json::{Value, json};

use super::setting::discovery_on;
use crate::received::{Received, assert_same, received};
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
    let server = server.with("CLUSTER_ID", "default");
    for sidecar in [
        client.clone(),
        client.named("captured").interception("REDIRECT"),
        server.clone(),
        server.named("captured-web-a").interception("TPROXY"),
    ] {
        let consul = received(&discovery, &sidecar).await;
        let consul: Received = consul
            .into_iter()
            .filter(|(name, _)| !name.contains(SERVERS))
            .map(|(name, value)| (in_files(&name), of_consul(value)))
            .collect();
        let files = received(&world.discovery, &sidecar).await;
        assert_same(&sidecar.id(), &consul, &files);
        assert!(files.keys().any(|name| name.contains("web.files.test")));
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
