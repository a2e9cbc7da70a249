//! A folder of Kubernetes' own manifests is a mesh: requests through real Envoys follow its services, slices, pods and rules.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers};

on_every_envoy! {
    requests_follow_services_and_rules_by_short_names
    a_rollout_fails_no_request
}

const PROXY: &str = "client.shop";

/// Services on one port: `web` has slices, `picked` selects pods, `other` is another name of `web`, and `front` has a rule.
fn services(via: SocketAddr) -> String {
    let port = via.port();
    format!(
        "apiVersion: v1
kind: Service
metadata: {{ name: web, namespace: shop }}
spec: {{ selector: {{ app: web }}, ports: [{{ name: http, port: {port}, targetPort: 8080 }}] }}
---
apiVersion: v1
kind: Service
metadata: {{ name: picked, namespace: shop }}
spec: {{ selector: {{ app: picked }}, ports: [{{ name: http, port: {port}, targetPort: main }}] }}
---
apiVersion: v1
kind: Service
metadata: {{ name: other, namespace: shop }}
spec: {{ type: ExternalName, externalName: web.shop.svc.cluster.local, ports: [{{ name: http, port: {port} }}] }}
---
apiVersion: v1
kind: Service
metadata: {{ name: front, namespace: shop }}
spec: {{ ports: [{{ name: http, port: {port} }}] }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: front, namespace: shop }}
spec:
  hosts: [front]
  http:
  - match: [{{ uri: {{ prefix: /picked }} }}]
    route: [{{ destination: {{ host: picked }} }}]
  - route: [{{ destination: {{ host: web }} }}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web, namespace: shop }}
spec: {{ replicas: 2 }}
"
    )
}

/// A slice of `web`: backends with their conditions. They differ in their ports, so that each has a slice.
fn slices(backends: &[(&Backend, &str)]) -> String {
    let slice = |(backend, conditions): &(&Backend, &str)| {
        let (name, address) = (backend.name(), backend.address());
        format!(
            "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: web-{name}, namespace: shop, labels: {{ kubernetes.io/service-name: web }} }}
addressType: IPv4
ports: [{{ name: http, port: {}, protocol: TCP }}]
endpoints: [{{ addresses: [{}], conditions: {{ {conditions} }} }}]
",
            address.port(),
            address.ip()
        )
    };
    backends.iter().map(slice).collect::<Vec<_>>().join("---\n")
}

/// A pod of `picked`.
fn pod(backend: &Backend, deleted: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{ name: {}, namespace: shop, labels: {{ app: picked }}, deletionTimestamp: {deleted} }}
spec: {{ containers: [{{ name: app, ports: [{{ name: main, containerPort: {} }}] }}] }}
status: {{ podIP: {}, phase: Running }}
",
        backend.name(),
        backend.address().port(),
        backend.address().ip(),
    )
}

const READY: &str = "ready: true";
const STARTING: &str = "ready: false, serving: false";
const LEAVING: &str = "ready: false, serving: true, terminating: true";

/// Discovery on these files, and an Envoy in `shop`.
async fn scene(binary: &Binary, variant: Variant, files: &[(&str, &str)]) -> (World, Envoy) {
    let world = World::start(files).await;
    let envoy = Sidecar::new("client", "shop")
        .variant(variant)
        .start(binary, world.discovery.addresses().grpc, world.dir())
        .await
        .unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    world.synced(PROXY).await.unwrap();
    (world, envoy)
}

/// Not where the client is: what stands there would be its own.
async fn backend(name: &str) -> Backend {
    Backend::start(name, [127, 0, 0, 2].into()).await.unwrap()
}

async fn asked(via: SocketAddr, host: &str, path: &str, status: u16, body: &str) {
    let asked = async || {
        let answer = http::get(via, host, path, SOON).await?;
        ensure!(
            answer.status == status && answer.body.contains(body),
            "it answers {answer:?}"
        );
        Ok(())
    };
    eventually(&format!("{host}{path} answers {body:?}"), SOON, asked)
        .await
        .unwrap();
}

/// Every form of a name, and what each leads to; a pod that goes leaves its service.
async fn requests_follow_services_and_rules_by_short_names(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [one, two, three] = [
        backend("one").await,
        backend("two").await,
        backend("three").await,
    ];
    let (services, slices) = (services(via), slices(&[(&one, READY), (&three, STARTING)]));
    let pod_text = pod(&two, "null");
    let files = [
        ("services.yaml", services.as_str()),
        ("slices.yaml", &slices),
        ("pods.yaml", &pod_text),
    ];
    let (world, envoy) = scene(binary, variant, &files).await;
    for host in [
        "web",
        "web.shop",
        "web.shop.svc",
        "web.shop.svc.cluster.local",
    ] {
        answers(via, host, "one").await;
    }
    answers(via, "picked", "two").await;
    answers(via, "other", "one").await;
    asked(via, "front", "/picked", 200, "two").await;
    asked(via, "front", "/", 200, "one").await;

    // Whoever is going away gets nothing new, and whoever has come takes over.
    let leaving = pod(&two, "2026-01-01T00:00:00Z");
    world.mesh.write("pods.yaml", &leaving).unwrap();
    asked(via, "picked", "/", 503, "no healthy upstream").await;
    let both = format!("{leaving}---\n{}", pod(&three, "null"));
    world.mesh.write("pods.yaml", &both).unwrap();
    answers(via, "picked", "three").await;
    asked(via, "front", "/picked", 200, "three").await;
    // Without slices it would have pods, and has none.
    world.mesh.remove("slices.yaml").unwrap();
    asked(via, "web", "/", 503, "no healthy upstream").await;
    envoy.wait_settled(SOON).await.unwrap();
}

/// New endpoints become ready and old ones leave, while requests are made all the time.
async fn a_rollout_fails_no_request(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [old, new] = [backend("old").await, backend("new").await];
    let all = services(via);
    let start = slices(&[(&old, READY), (&new, STARTING)]);
    let (world, envoy) = scene(
        binary,
        variant,
        &[("services.yaml", &all), ("slices.yaml", &start)],
    )
    .await;
    answers(via, "web", "old").await;
    let target = |path: &str| Target {
        via,
        host: "front".to_owned(),
        path: path.to_owned(),
    };
    let traffic = Traffic::start(vec![target("/")], Duration::from_millis(5));
    for step in [
        slices(&[(&old, READY), (&new, READY)]),
        slices(&[(&old, LEAVING), (&new, READY)]),
    ] {
        world.mesh.write("slices.yaml", &step).unwrap();
        world.synced(PROXY).await.unwrap();
    }
    answers(via, "web", "new").await;
    let before = old.requests();
    for _ in 0..20 {
        answers(via, "web", "new").await;
    }
    assert_eq!(old.requests(), before, "whoever leaves gets nothing new");
    let only = slices(&[(&new, READY)]);
    world.mesh.write("slices.yaml", &only).unwrap();
    world.synced(PROXY).await.unwrap();
    answers(via, "front", "new").await;
    envoy.wait_settled(SOON).await.unwrap();
    let report = traffic.stop().await;
    assert_eq!((report.failed, report.sent > 0), (vec![], true));
}
