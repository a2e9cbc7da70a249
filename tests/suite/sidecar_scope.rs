//! What a `Sidecar` limits and opens: real requests through real Envoys.

mod unix;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::ensure;
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::{Holds, Sidecar};
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World, answers};

on_every_envoy! {
    others_are_out_of_reach
    a_port_has_services_of_its_own
    a_workload_is_where_its_sidecar_says
}

/// The clusters that every sidecar has.
const ALWAYS: [&str; 3] = [
    "BlackHoleCluster",
    "InboundPassthroughCluster",
    "PassthroughCluster",
];

fn entry(host: &str, namespace: &str, port: u16, at: SocketAddr) -> String {
    let entry = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": { "name": host, "namespace": namespace },
        "spec": {
            "hosts": [host],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "ports": [{ "name": "http", "number": port, "protocol": "HTTP" }],
            "endpoints": [{ "address": at.ip(), "ports": { "http": at.port() } }],
        },
    });
    entry.to_string()
}

fn rule(name: &str, namespace: &str, spec: &Value) -> String {
    let rule = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": { "name": name, "namespace": namespace },
        "spec": spec,
    });
    rule.to_string()
}

/// Discovery on these, and an Envoy in the namespace `default` that has everything.
async fn scene(binary: &Binary, variant: Variant, files: &[(&str, String)]) -> (World, Envoy) {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let world = World::start(&files).await;
    let sidecar = Sidecar::new("client", "default")
        .variant(variant)
        .with("LABELS", json!({ "app": "client" }));
    let discovery = world.discovery.addresses().grpc;
    let envoy = sidecar.start(binary, discovery, world.dir()).await.unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    world.synced(&sidecar.id()).await.unwrap();
    (world, envoy)
}

/// Waits until an Envoy has these clusters of services, listeners and routes, and no others.
async fn holds(envoy: &Envoy, clusters: &[String], listeners: &[String], routes: &[String]) {
    let set = |all: &[String]| all.iter().cloned().collect::<BTreeSet<_>>();
    let always = ALWAYS.map(str::to_owned);
    let wanted = (
        set(&[&always, clusters].concat()),
        set(listeners),
        set(routes),
    );
    let held = async || {
        let Holds {
            clusters,
            listeners,
            routes,
            ..
        } = envoy.holds().await?;
        let found: (BTreeSet<_>, BTreeSet<_>, BTreeSet<_>) = (
            clusters.into_keys().collect(),
            listeners.into_keys().collect(),
            routes.into_keys().collect(),
        );
        ensure!(found == wanted, "it has {found:?}");
        Ok(())
    };
    eventually(&format!("{wanted:?}"), SOON, held)
        .await
        .unwrap();
}

async fn status(via: SocketAddr, host: &str) -> u16 {
    http::get(via, host, "/", SOON).await.unwrap().status
}

/// Sidecars come, change and go under a running Envoy: what is not imported is not there, and the rest is blocked. One for the
/// workload goes before one for the namespace, which goes before the root namespace's.
async fn others_are_out_of_reach(binary: &Binary, variant: Variant) {
    let [via, elsewhere] = [free_address().unwrap(), free_address().unwrap()];
    let web = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
    let bank = Backend::start("bank", [127, 0, 0, 1].into()).await.unwrap();
    let limited = |hosts: &[&str]| json!({ "egress": [{ "hosts": hosts }], "outboundTrafficPolicy": { "mode": "REGISTRY_ONLY" } });
    let files = [
        (
            "web",
            entry("web.test", "default", via.port(), web.address()),
        ),
        (
            "other",
            entry("other.test", "default", via.port(), web.address()),
        ),
        (
            "bank",
            entry("bank.test", "bank", elsewhere.port(), bank.address()),
        ),
    ];
    let files = files.map(|(name, text)| (format!("{name}.yaml"), text));
    let mut all: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.clone()))
        .collect();
    all.push((
        "own.yaml",
        rule("own", "default", &limited(&["./web.test"])),
    ));
    let (world, envoy) = scene(binary, variant, &all).await;
    let cluster = |port: u16, host: &str| format!("outbound|{port}||{host}");
    let listener = |at: SocketAddr| format!("127.0.0.1_{}", at.port());
    let (here, there) = (via.port(), elsewhere.port());

    let only_web = async || {
        holds(
            &envoy,
            &[cluster(here, "web.test")],
            &[listener(via)],
            &[here.to_string()],
        )
        .await;
        answers(via, "web.test", "web").await;
        assert_eq!(status(via, "other.test").await, 502);
    };
    only_web().await;

    world.mesh.remove("own.yaml").unwrap();
    answers(via, "other.test", "web").await;
    answers(elsewhere, "bank.test", "bank").await;

    let root = rule("default", "istio-system", &limited(&["bank/*"]));
    world.mesh.write("root.yaml", &root).unwrap();
    holds(
        &envoy,
        &[cluster(there, "bank.test")],
        &[listener(elsewhere)],
        &[there.to_string()],
    )
    .await;
    answers(elsewhere, "bank.test", "bank").await;

    let own = rule("own", "default", &limited(&["./web.test"]));
    world.mesh.write("own.yaml", &own).unwrap();
    only_web().await;

    let mut nothing = limited(&["~/*"]);
    nothing["workloadSelector"] = json!({ "labels": { "app": "client" } });
    let nothing = rule("nothing", "default", &nothing);
    world.mesh.write("nothing.yaml", &nothing).unwrap();
    holds(&envoy, &[], &[], &[]).await;

    // A service comes that is imported; one that is not changes nothing.
    world.mesh.remove("nothing.yaml").unwrap();
    only_web().await;
    let more = entry("more.test", "default", here, web.address());
    world.mesh.write("more.yaml", &more).unwrap();
    let wider = rule("own", "default", &limited(&["./more.test", "./web.test"]));
    world.mesh.write("own.yaml", &wider).unwrap();
    answers(via, "more.test", "web").await;
    assert_eq!(status(via, "other.test").await, 502);
    world.mesh.remove("more.yaml").unwrap();
    only_web().await;
    envoy.wait_settled(SOON).await.unwrap();
}

/// A listener with a port has an address and services of its own; all other ports are the last listener's.
async fn a_port_has_services_of_its_own(binary: &Binary, variant: Variant) {
    let [via, own] = [free_address().unwrap(), free_address().unwrap()];
    let web = Backend::start("web", [127, 0, 0, 1].into()).await.unwrap();
    let bank = Backend::start("bank", [127, 0, 0, 1].into()).await.unwrap();
    let egress = json!({ "egress": [
        {
            "port": { "number": own.port(), "protocol": "HTTP", "name": "own" },
            "bind": "127.0.0.9",
            "captureMode": "NONE",
            "hosts": ["bank/*"],
        },
        { "hosts": ["./*"] },
    ] });
    let files = [
        (
            "web.yaml",
            entry("web.test", "default", via.port(), web.address()),
        ),
        (
            "same.yaml",
            entry("same.test", "default", own.port(), web.address()),
        ),
        (
            "bank.yaml",
            entry("bank.test", "bank", own.port(), bank.address()),
        ),
        (
            "far.yaml",
            entry("far.test", "bank", via.port(), bank.address()),
        ),
        ("own.yaml", rule("own", "default", &egress)),
    ];
    let (_world, envoy) = scene(binary, variant, &files).await;
    let (here, there) = (via.port(), own.port());
    holds(
        &envoy,
        &[
            format!("outbound|{there}||bank.test"),
            format!("outbound|{here}||web.test"),
        ],
        &[format!("127.0.0.9_{there}"), format!("127.0.0.1_{here}")],
        &[here.to_string(), there.to_string()],
    )
    .await;
    let at = SocketAddr::from(([127, 0, 0, 9], there));
    answers(at, "bank.test", "bank").await;
    answers(via, "web.test", "web").await;
    envoy.wait_settled(SOON).await.unwrap();
}

/// Ingress listeners lead to another port and to a socket in the file system, and follow when that changes.
async fn a_workload_is_where_its_sidecar_says(binary: &Binary, variant: Variant) {
    let [first, second] = [free_address().unwrap(), free_address().unwrap()];
    let app = Backend::start("app", [127, 0, 0, 1].into()).await.unwrap();
    let socket = unix::Server::start("unix");
    let ingress = |port: u16, endpoint: &str| json!({ "port": { "number": port, "protocol": "HTTP", "name": "http" }, "defaultEndpoint": endpoint });
    let at_app = format!("127.0.0.1:{}", app.address().port());
    let at_socket = format!("unix://{}", socket.path().display());
    let both = |one: &str, two: &str| {
        let spec = json!({
            "workloadSelector": { "labels": { "app": "client" } },
            "ingress": [ingress(first.port(), one), ingress(second.port(), two)],
            "egress": [{ "hosts": ["~/*"] }],
            "inboundConnectionPool": { "http": { "http1MaxPendingRequests": 7 } },
        });
        rule("own", "default", &spec)
    };
    let files = [("own.yaml", both(&at_app, &at_socket))];
    let (world, envoy) = scene(binary, variant, &files).await;
    answers(first, "anything", "app").await;
    answers(second, "anything", "unix").await;
    let names = [first, second].map(|at| format!("inbound|{}||", at.port()));
    let listeners = [first, second].map(|at| format!("127.0.0.1_{}", at.port()));
    holds(&envoy, &names, &listeners, &[]).await;

    let dump = envoy.get_json("/config_dump").await.unwrap().to_string();
    assert!(dump.contains("\"max_pending_requests\":7"), "{dump}");
    world
        .mesh
        .write("own.yaml", &both(&at_socket, &at_app))
        .unwrap();
    answers(first, "anything", "unix").await;
    answers(second, "anything", "app").await;
    envoy.wait_settled(SOON).await.unwrap();
}
