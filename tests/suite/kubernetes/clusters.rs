//! Further clusters: described by secrets of the first, added, given other credentials and removed while running; and the settings of
//! the mesh in a ConfigMap.

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pilothouse_tests::discovery::Discovery;
use pilothouse_tests::kube::objects::Slice;
use pilothouse_tests::kube::{KubeCluster, Options};
use pilothouse_tests::ports::free_address;
use serde_json::{Value, json};

use super::setting::{discovery_on, page_says};
use crate::world::Scratch;

const ROOT: &str = "istio-system";

fn secret(name: &str, cluster: &str, kubeconfig: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": ROOT, "labels": {"istio/multiCluster": "true"}},
        "data": {cluster: STANDARD.encode(kubeconfig)},
    })
}

fn kubeconfig(server: &str) -> String {
    let config = json!({
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    });
    config.to_string()
}

/// A service `web` of one endpoint.
async fn web(cluster: &KubeCluster, ip: [u8; 4]) {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"ports": [{"name": "http", "port": 80}]},
    });
    cluster.namespace("shop", &[]).await.unwrap();
    cluster.create(&service).await.unwrap();
    let slice = Slice {
        namespace: "shop",
        service: "web",
        suffix: "0",
        port: ("http", 8080),
        endpoints: vec![(Ipv4Addr::from(ip).into(), true)],
    };
    cluster.endpoint_slice(&slice).await.unwrap();
}

async fn endpoints(discovery: &Discovery, these: &[&str], not: &[&str]) {
    page_says(discovery, "/debug/endpointz", these, not).await;
}

async fn registries(discovery: &Discovery, these: &[&str], not: &[&str]) {
    page_says(discovery, "/debug/registryz", these, not).await;
}

#[tokio::test]
async fn clusters_come_and_go_with_their_secrets() {
    if KubeCluster::missing() {
        return;
    }
    let both = KubeCluster::start_all([Options::default(), Options::default()])
        .await
        .unwrap();
    let [home, mut east] = <[KubeCluster; 2]>::try_from(both).ok().unwrap();
    home.namespace(ROOT, &[]).await.unwrap();
    web(&home, [10, 1, 0, 1]).await;
    web(&east, [10, 2, 0, 1]).await;
    // Nobody is there, and readiness waits for it no longer than it is told to.
    let nobody = free_address().unwrap();
    let away = secret("away", "away", &kubeconfig(&format!("https://{nobody}")));
    home.create(&away).await.unwrap();

    let dir = Scratch::new();
    let flags = [("--cluster-id", "home"), ("--remote-cluster-timeout", "1s")];
    let discovery = discovery_on(&home, dir.path(), &flags).await;
    endpoints(&discovery, &["10.1.0.1"], &["10.2.0.1"]).await;
    registries(&discovery, &["\"away\""], &["\"east\""]).await;

    let text = std::fs::read_to_string(east.kubeconfig()).unwrap();
    home.create(&secret("east", "east", &text)).await.unwrap();
    endpoints(&discovery, &["10.1.0.1", "10.2.0.1"], &[]).await;

    // One that cannot be reached any more keeps what it had; so does one whose new credentials are no good.
    east.stop_api_server().unwrap();
    registries(&discovery, &["\"failing\":{"], &[]).await;
    endpoints(&discovery, &["10.2.0.1"], &[]).await;
    home.merge(&secret("east", "east", "clusters: ["))
        .await
        .unwrap();
    page_says(&discovery, "/debug/registryz", &["\"east\""], &[]).await;
    endpoints(&discovery, &["10.1.0.1", "10.2.0.1"], &[]).await;
    east.start_api_server().await.unwrap();
    home.merge(&secret("east", "east", &text)).await.unwrap();
    web_moves(&east).await;
    endpoints(&discovery, &["10.1.0.1", "10.2.0.2"], &["10.2.0.1"]).await;

    home.delete(&secret("east", "east", "")).await.unwrap();
    endpoints(&discovery, &["10.1.0.1"], &["10.2.0.2"]).await;
    registries(&discovery, &["\"home\""], &["\"east\""]).await;
}

async fn web_moves(cluster: &KubeCluster) {
    let slice = Slice {
        namespace: "shop",
        service: "web",
        suffix: "0",
        port: ("http", 8080),
        endpoints: vec![(Ipv4Addr::new(10, 2, 0, 2).into(), true)],
    };
    cluster.endpoint_slice(&slice).await.unwrap();
}

#[tokio::test]
async fn the_settings_of_the_mesh_are_those_of_the_config_map() {
    if KubeCluster::missing() {
        return;
    }
    let cluster = KubeCluster::start(Options::default()).await.unwrap();
    cluster.namespace(ROOT, &[]).await.unwrap();
    let dir = Scratch::new();
    let discovery = discovery_on(&cluster, dir.path(), &[]).await;
    let settings = async |these: &[&str]| page_says(&discovery, "/debug/configz", these, &[]).await;
    settings(&["\"cluster.local\""]).await;
    let map = |text: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": ROOT},
            "data": {"mesh": text},
        })
    };
    cluster
        .create(&map("trustDomain: one.example"))
        .await
        .unwrap();
    settings(&["\"one.example\""]).await;
    cluster.merge(&map("trustDomain: [")).await.unwrap();
    settings(&["\"one.example\"", "line 1"]).await;
    cluster
        .merge(&map("trustDomain: two.example"))
        .await
        .unwrap();
    settings(&["\"two.example\""]).await;
    cluster.delete(&map("")).await.unwrap();
    settings(&["\"two.example\"", "it is gone"]).await;
}
