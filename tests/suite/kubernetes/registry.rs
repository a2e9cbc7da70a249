//! What proxies get of a cluster, as its pods come, go and fail.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use pilothouse_tests::ads::{CLUSTER, DeltaClient, ENDPOINT, node};
use pilothouse_tests::discovery::Discovery;
use pilothouse_tests::kube::objects::{Pod, Slice};
use pilothouse_tests::kube::{KubeCluster, Options};
use serde_json::json;

use super::crds;
use super::setting::{discovery_on, page_says};
use crate::world::Scratch;

const WEB: &str = "outbound|80||web.default.svc.cluster.local";
/// Longer than anything takes to be sent that is to be sent.
const QUIET: Duration = Duration::from_millis(1500);

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  ports: [{name: http, port: 80, targetPort: 8080}]
";

/// Clients that are labelled so see nothing but their own namespace's services that are called `other`.
const SIDECAR: &str = "
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: narrow, namespace: default}
spec:
  workloadSelector: {labels: {app: narrow}}
  egress: [{hosts: ['./other.default.svc.cluster.local']}]
";

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

async fn slice(cluster: &KubeCluster, ready: bool) {
    let slice = Slice {
        namespace: "default",
        service: "web",
        suffix: "1",
        port: ("http", 8080),
        endpoints: vec![(ip(1), ready)],
    };
    cluster.endpoint_slice(&slice).await.unwrap();
}

/// A sidecar that asks for its clusters.
async fn sidecar(discovery: &Discovery, ip: &str, pod: &str) -> DeltaClient {
    let id = format!("sidecar~{ip}~{pod}.default~default.svc.cluster.local");
    let node = node(&id, &[("NAMESPACE", "default"), ("CLUSTER_ID", "default")]);
    let address = discovery.addresses().grpc;
    let mut client = DeltaClient::connect(address, node).await.unwrap();
    client.subscribe(CLUSTER, &[]).unwrap();
    client.accept(CLUSTER).await.unwrap();
    client
}

/// A pod that fails again and again costs proxies an endpoint, and nothing else.
#[tokio::test]
async fn a_pod_that_fails_is_an_endpoint_that_comes_and_goes() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    cluster.node("node", "north", "north-1").await.unwrap();
    cluster.apply(SERVICE).await.unwrap();
    let mut pod = Pod::new("default", "web-1", "web", ip(1));
    pod.ports = vec![("http", 8080)];
    cluster.pod(&pod).await.unwrap();
    slice(&cluster, true).await;
    let dir = Scratch::new();
    let discovery = discovery_on(&cluster, dir.path(), &[]).await;

    let mut client = sidecar(&discovery, "10.0.0.9", "client-1").await;
    client.subscribe(ENDPOINT, &[WEB]).unwrap();
    client.accept(ENDPOINT).await.unwrap();
    let clusters = client.held(CLUSTER).clone();
    let version = |client: &DeltaClient| client.held(ENDPOINT).get(WEB).unwrap().0.clone();
    let first = version(&client);
    for ready in [false, true, false, true] {
        cluster.set_ready("default", "web-1", ready).await.unwrap();
        slice(&cluster, ready).await;
        // Any other type would fail.
        let mut response = client.accept(ENDPOINT).await.unwrap();
        if (version(&client) == first) != ready {
            // The pod and its slice may be seen one after the other.
            response = client.accept(ENDPOINT).await.unwrap();
        }
        assert_eq!(response.resources.len(), 1);
        assert_eq!(version(&client) == first, ready);
    }
    client.expect_nothing(QUIET).await.unwrap();
    assert_eq!(*client.held(CLUSTER), clusters);
}

/// Labels that rules select proxies by are those of the pod, also of one that shows up later than its proxy.
#[tokio::test]
async fn a_proxy_has_the_labels_of_its_pod() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    cluster.node("node", "north", "north-1").await.unwrap();
    let dir = Scratch::new();
    let discovery = discovery_on(&cluster, dir.path(), &[]).await;
    // Rules are defined, and written, while discovery runs.
    crds::apply(&cluster, &crds::printed(&[]).await.unwrap())
        .await
        .unwrap();
    cluster.apply(SERVICE).await.unwrap();
    cluster.apply(SIDECAR).await.unwrap();
    slice(&cluster, true).await;
    page_says(&discovery, "/debug/configz", &["narrow"], &[]).await;
    page_says(&discovery, "/debug/endpointz", &["10.0.0.1"], &[]).await;

    let mut client = sidecar(&discovery, "10.0.0.9", "narrow-1").await;
    assert!(client.held(CLUSTER).contains_key(WEB));
    cluster
        .pod(&Pod::new("default", "narrow-1", "narrow", ip(9)))
        .await
        .unwrap();
    while client.held(CLUSTER).contains_key(WEB) {
        client.accept(CLUSTER).await.unwrap();
    }
    // It is another one's, and the proxy sees all again.
    let labels = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "narrow-1", "namespace": "default", "labels": {"app": "wide"}},
    });
    cluster.merge(&labels).await.unwrap();
    while !client.held(CLUSTER).contains_key(WEB) {
        client.accept(CLUSTER).await.unwrap();
    }
}
