//! Consul and files in one mesh: services of both, rules of both, and rules in Consul's store about services of files.

use std::net::SocketAddr;

use pilothouse_tests::backend::Backend;
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::discovery::{Discovery, Options};
use pilothouse_tests::envoy;
use pilothouse_tests::mesh_dir::{MeshDir, ServiceEntry};
use pilothouse_tests::sidecar::Sidecar;
use serde_json::json;

use super::setting::{backends, unchecked};
use crate::world::{Scratch, answers, binary};

/// A rule of Consul's store: a short name in it is one of Consul's.
fn route(name: &str, host: &str, to: &str) -> String {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hosts": [host], "http": [{"route": [{"destination": {"host": to}}]}]},
    })
    .to_string()
}

#[tokio::test]
async fn services_and_rules_of_both_are_one_mesh() {
    let dir = Scratch::new();
    let cluster = Cluster::start(&Binary::find().unwrap(), "dc1", json!({}), dir.path())
        .await
        .unwrap();
    let all = backends(["consul", "file"]).await;
    let [of_consul, of_file] = &all[..] else {
        panic!("two were started")
    };
    cluster.register(unchecked("web", of_consul)).await.unwrap();
    let port = of_consul.address().port();
    let mesh = MeshDir::create(dir.path()).unwrap();
    mesh.write_entry(&ServiceEntry::http("file", "file.test", port).endpoint(of_file.address()))
        .unwrap();
    let options = Options::new(binary().await, mesh.path(), dir.path()).unwrap();
    let options = options
        .arg("--registries", "Consul,Static")
        .arg("--consul-address", cluster.address().to_string());
    let discovery = Discovery::start(options).await.unwrap();
    let sidecar = Sidecar::new("client", "default");
    let binary = envoy::Binary::find().unwrap();
    let _client = sidecar
        .start(&binary, discovery.addresses().grpc, dir.path())
        .await
        .unwrap();
    let via = SocketAddr::from(([127, 0, 0, 1], port));
    answers(via, "web.service.consul", name(of_consul)).await;
    answers(via, "web.service.dc1.consul", name(of_consul)).await;
    answers(via, "file.test", name(of_file)).await;

    let put = |key: &str, text: &str| {
        let key = format!("pilothouse/config/{key}");
        cluster
            .run(["kv", "put"], &[key.as_ref(), text.as_ref()])
            .unwrap();
    };
    put("to-file", &route("to-file", "web", "file.test"));
    answers(via, "web.service.consul", name(of_file)).await;
    put("to-consul", &route("to-consul", "file.test", "web"));
    answers(via, "file.test", name(of_consul)).await;
    let key = "pilothouse/config/to-file";
    cluster.run(["kv", "delete"], &[key.as_ref()]).unwrap();
    answers(via, "web.service.consul", name(of_consul)).await;
}

fn name(backend: &Backend) -> &str {
    backend.name()
}
