//! `pilotctl explain` of what really runs: from discovery, from an Envoy, from its dump and from files it says the same.

use std::process::Stdio;

use pilothouse_tests::discovery::build;
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::sidecar::Sidecar;

use crate::world::{SOON, World};

const MESH: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.test]
  addresses: [10.9.0.1]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews.test
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.test]
  http:
  - match: [{uri: {prefix: /api}}]
    route: [{destination: {host: reviews.test, subset: v2}}]
  - route: [{destination: {host: reviews.test, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: late, namespace: shop, creationTimestamp: 2026-01-01T00:00:00Z}
spec:
  hosts: [reviews.test]
  http: [{route: [{destination: {host: reviews.test}}]}]
";

async fn explain(args: &[&str]) -> String {
    let binary = build("pilotctl", "pilotctl").unwrap();
    let output = tokio::process::Command::new(binary)
        .args([
            "explain",
            "http://reviews.test/api/x",
            "--address",
            "10.9.0.1",
        ])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {text}{errors}");
    text
}

#[tokio::test]
async fn everybody_who_is_asked_says_the_same() {
    let world = World::start(&[("mesh.yaml", MESH)]).await;
    let sidecar = Sidecar::new("web-1", "shop");
    let discovery = world.discovery.addresses();
    let binary = Binary::find().unwrap();
    // Captured traffic: nobody sends any, and the listeners are there.
    let sidecar = sidecar.interception("REDIRECT");
    let envoy = sidecar
        .start(&binary, discovery.grpc, world.dir())
        .await
        .unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    let id = sidecar.node().unwrap().id;
    let admin = envoy.admin().to_string();
    let dump = world.dir().join("dump.json");
    let held = envoy.get("/config_dump?include_eds").await.unwrap().body;
    std::fs::write(&dump, held).unwrap();

    let steps = [
        "host      reviews.test:80",
        "route     ",
        "by VirtualService shop/reviews spec.http[0].match[0]",
        "cluster   outbound|80|v2|reviews.test",
        "by DestinationRule shop/reviews",
        "endpoint  10.0.0.2:80",
    ];
    let debug = discovery.debug.to_string();
    let of_discovery = explain(&["--proxy", &sidecar.id(), "--discovery", &debug]).await;
    let of_envoy = explain(&["--proxy-admin", &admin]).await;
    let of_dump = explain(&["--dump", dump.to_str().unwrap()]).await;
    let of_files = explain(&["-f", world.mesh.path().to_str().unwrap(), "--proxy", &id]).await;
    for text in [&of_discovery, &of_envoy, &of_dump, &of_files] {
        for step in steps {
            assert!(text.contains(step), "{step:?} is not in\n{text}");
        }
    }
    // Where a rule stands, and which lost, is known to discovery and to files.
    for text in [&of_discovery, &of_files] {
        for told in [
            "mesh.yaml:19",
            "VirtualService shop/late",
            "the oldest counts",
        ] {
            assert!(text.contains(told), "{told:?} is not in\n{text}");
        }
    }
}
