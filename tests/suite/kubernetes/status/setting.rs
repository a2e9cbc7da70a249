//! A cluster that knows the kinds of rules, and discovery on it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::ads::{self, DeltaClient};
use pilothouse_tests::discovery::{Discovery, Options};
use pilothouse_tests::kube::{self, ADMIN, KubeCluster};
use pilothouse_tests::wait::eventually;
use serde_json::{Value, json};

use super::super::crds;
use crate::world::{SOON, binary};

/// Where rules are.
pub(in super::super) const SHOP: &str = "/apis/networking.istio.io/v1/namespaces/shop";

/// A cluster with the kinds of rules and the namespaces of the control plane and of a shop.
pub(in super::super) async fn cluster(options: kube::Options) -> Option<KubeCluster> {
    let cluster = KubeCluster::get(options).await?;
    let definitions = crds::printed(&[]).await.unwrap();
    crds::apply(&cluster, &definitions).await.unwrap();
    for namespace in ["istio-system", "shop"] {
        cluster.namespace(namespace, &[]).await.unwrap();
    }
    Some(cluster)
}

/// Discovery that is one user of the cluster.
pub(in super::super) async fn discovery_of(
    user: &str,
    cluster: &KubeCluster,
    dir: &Path,
    flags: &[&str],
) -> Discovery {
    let options = Options::of(binary().await, "Kubernetes", dir).unwrap();
    let mut options = options
        .arg("--kubeconfig", cluster.kubeconfig_of(user))
        .arg("--namespace", "istio-system");
    for flag in flags {
        options = options.flag(flag);
    }
    Discovery::start(options).await.unwrap()
}

pub(super) async fn discovery(cluster: &KubeCluster, dir: &Path, flags: &[&str]) -> Discovery {
    discovery_of(ADMIN, cluster, dir, flags).await
}

/// The conditions at a path, each as `type=status reason: message`.
pub(super) async fn conditions(cluster: &KubeCluster, path: &str) -> Result<Vec<String>> {
    let object = cluster.get_path(path).await?;
    let conditions = object["status"]["conditions"].as_array();
    let text = |condition: &Value| {
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        let (name, status) = (text("type"), text("status"));
        format!("{name}={status} {}: {}", text("reason"), text("message"))
    };
    Ok(conditions.into_iter().flatten().map(text).collect())
}

/// Waits until there are these conditions, in any order: the beginning of each, and what its message has.
pub(super) async fn told(cluster: &KubeCluster, path: &str, expected: &[(&str, &str)]) {
    eventually(&format!("{path} says {expected:?}"), 2 * SOON, async || {
        let found = conditions(cluster, path).await?;
        let is_there = |(begin, part): &(&str, &str)| {
            let mut found = found.iter();
            found.any(|one| one.starts_with(begin) && one.contains(part))
        };
        let all = expected.len() == found.len() && expected.iter().all(is_there);
        ensure!(all, "{found:#?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// A `ServiceEntry` in the shop.
pub(super) fn entry(name: &str, protocol: &str, port: u16) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "hosts": [format!("{name}.example.com")],
            "ports": [{"number": port, "name": "port", "protocol": protocol}],
            "resolution": "STATIC",
            "endpoints": [{"address": "10.0.0.1"}],
        },
    })
}

/// A proxy that refuses the cluster of a host.
pub(in super::super) async fn refusing(
    discovery: &Discovery,
    name: &str,
    cluster: &str,
) -> DeltaClient {
    let id = format!("sidecar~10.9.9.9~{name}.shop~shop.svc.cluster.local");
    let node = ads::node(&id, &[("NAMESPACE", "shop")]);
    let grpc = discovery.addresses().grpc;
    let mut client = DeltaClient::connect(grpc, node).await.unwrap();
    client.subscribe(ads::CLUSTER, &["*"]).unwrap();
    let response = client.expect(ads::CLUSTER).await.unwrap();
    let why = format!("Error adding/updating cluster(s) {cluster}: no such thing");
    client.nack(&response, &why).unwrap();
    client
}

/// What a text field of a JSON object says.
pub(super) fn text(value: &Value) -> Result<String> {
    let text = value.as_str().context("no text")?;
    Ok(text.to_owned())
}
