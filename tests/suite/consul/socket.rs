//! An agent that listens on a socket in the file system.

use std::net::SocketAddr;

use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::envoy;
use pilothouse_tests::sidecar::Sidecar;
use serde_json::json;

use super::health::only;
use super::setting::{backends, discovery_at, unchecked};
use crate::world::Scratch;

#[tokio::test]
async fn services_are_read_over_a_socket() {
    let dir = Scratch::new();
    let socket = format!("unix://{}", dir.path().join("consul.sock").display());
    let more = json!({"addresses": {"http": format!("{socket} {{ip}}")}});
    let consul = Cluster::of(1, &Binary::find().unwrap(), "dc1", more, dir.path())
        .await
        .unwrap();
    let all = backends(["a", "b"]).await;
    let [a, b] = &all[..] else {
        panic!("two were started")
    };
    consul.register(unchecked("web", a)).await.unwrap();
    let discovery = discovery_at(&socket, dir.path(), &[]).await;
    let binary = envoy::Binary::find().unwrap();
    let sidecar = Sidecar::new("client", "default");
    let _client = sidecar
        .start(&binary, discovery.addresses().grpc, dir.path())
        .await
        .unwrap();
    let via = SocketAddr::from(([127, 0, 0, 1], a.address().port()));
    only(via, &["a"]).await;
    consul.register(unchecked("web", b)).await.unwrap();
    only(via, &["a", "b"]).await;
}
