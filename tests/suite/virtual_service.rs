//! Which service requests and connections go to, and how: real traffic through real Envoys, with what `VirtualService`s say.

mod connections;
mod echo;
mod failures;
mod requests;

use std::net::SocketAddr;

use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World};

on_every_envoy! {
    the_first_match_counts
    requests_are_changed_and_answered
    other_rules_are_delegated_to
    requests_are_divided_by_weight
    what_fails_is_tried_again_as_long_as_there_is_time
    things_go_wrong_on_purpose
    mirrors_get_copies
    connections_go_by_server_name
    connections_are_divided_by_weight
}

/// A service `host` on `port`, with one endpoint.
fn entry(host: &str, port: u16, protocol: &str, endpoint: SocketAddr) -> (String, String) {
    let name = host.replace('.', "-");
    let entry = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": { "name": name, "namespace": "default" },
        "spec": {
            "hosts": [host],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "ports": [{ "name": "main", "number": port, "protocol": protocol }],
            "endpoints": [{ "address": endpoint.ip(), "ports": { "main": endpoint.port() } }],
        },
    });
    (format!("{name}.yaml"), entry.to_string())
}

/// A rule of this name.
fn rule(name: &str, spec: Value) -> (String, String) {
    let rule = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": { "name": name, "namespace": "default" },
        "spec": spec,
    });
    (format!("rule-{name}.yaml"), rule.to_string())
}

/// Discovery, and an Envoy that has everything.
struct Scene {
    world: World,
    envoy: Envoy,
    proxy: String,
}

impl Scene {
    async fn start(
        binary: &Binary,
        variant: Variant,
        entries: &[(String, String)],
        rules: &[(String, String)],
    ) -> Self {
        let files = entries.iter().chain(rules);
        let files: Vec<_> = files.map(|(name, text)| (&**name, &**text)).collect();
        let world = World::start(&files).await;
        let sidecar = Sidecar::new("client", "default")
            .variant(variant)
            .with("LABELS", json!({ "app": "shop" }));
        let grpc = world.discovery.addresses().grpc;
        let envoy = sidecar.start(binary, grpc, world.dir()).await.unwrap();
        envoy.wait_ready(SOON).await.unwrap();
        let proxy = sidecar.id();
        world.synced(&proxy).await.unwrap();
        Self {
            world,
            envoy,
            proxy,
        }
    }

    /// Replaces a rule, and waits until the Envoy has what follows from it.
    async fn change(&self, (file, text): (String, String), is_there: impl AsyncFn() -> bool) {
        self.world.mesh.write(&file, &text).unwrap();
        let changed = async || {
            anyhow::ensure!(is_there().await, "it is as before");
            Ok(())
        };
        pilothouse_tests::wait::eventually("the rule holds", SOON, changed)
            .await
            .unwrap();
        self.world.synced(&self.proxy).await.unwrap();
    }
}

/// Whether `count` of `all` is what comes of a probability, within five standard deviations.
fn within_five_sigma(count: u32, all: u32, probability: f64) {
    let (count, all) = (f64::from(count), f64::from(all));
    let sigma = (all * probability * (1.0 - probability)).sqrt();
    let expected = all * probability;
    assert!(
        (count - expected).abs() <= 5.0 * sigma,
        "{count} of {all}: expected {expected} ± {}",
        5.0 * sigma
    );
}

async fn the_first_match_counts(binary: &Binary, variant: Variant) {
    requests::matches(binary, variant).await;
}

async fn requests_are_changed_and_answered(binary: &Binary, variant: Variant) {
    requests::changes(binary, variant).await;
}

async fn other_rules_are_delegated_to(binary: &Binary, variant: Variant) {
    requests::delegates(binary, variant).await;
}

async fn requests_are_divided_by_weight(binary: &Binary, variant: Variant) {
    requests::weights(binary, variant).await;
}

async fn what_fails_is_tried_again_as_long_as_there_is_time(binary: &Binary, variant: Variant) {
    failures::retries(binary, variant).await;
}

async fn things_go_wrong_on_purpose(binary: &Binary, variant: Variant) {
    failures::faults(binary, variant).await;
}

async fn mirrors_get_copies(binary: &Binary, variant: Variant) {
    failures::mirrors(binary, variant).await;
}

async fn connections_go_by_server_name(binary: &Binary, variant: Variant) {
    connections::server_names(binary, variant).await;
}

async fn connections_are_divided_by_weight(binary: &Binary, variant: Variant) {
    connections::weights(binary, variant).await;
}
