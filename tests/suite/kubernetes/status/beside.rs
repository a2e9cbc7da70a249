//! Other controllers write conditions, too, and nothing of theirs is lost: also where the list of conditions is one value, as in
//! Istio's own definitions.

use pilothouse_tests::kube::{KubeCluster, Options};
use serde_json::{Value, json};

use super::super::crds;
use super::setting::{SHOP, conditions, discovery, told};
use crate::world::Scratch;

const OURS: (&str, &str) = ("pilothouse.dev/Accepted=True", "");
const THEIRS: (&str, &str) = ("Reconciled=True", "");

/// The definitions, with the list of conditions as one value.
async fn as_istio_has_them() -> String {
    let printed = crds::printed(&["-o", "json"]).await.unwrap();
    let mut list: Value = serde_json::from_str(&printed).unwrap();
    for definition in list["items"].as_array_mut().unwrap() {
        for version in definition["spec"]["versions"].as_array_mut().unwrap() {
            let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"];
            let conditions = status["properties"]["conditions"].as_object_mut().unwrap();
            assert!(conditions.remove("x-kubernetes-list-type").is_some());
            assert!(conditions.remove("x-kubernetes-list-map-keys").is_some());
        }
    }
    list.to_string()
}

/// Adds a condition as a controller does that reads the list and writes it.
async fn adds_its_own(cluster: &KubeCluster, name: &str) {
    let path = format!("{SHOP}/virtualservices/{name}");
    let object = cluster.get_path(&path).await.unwrap();
    let mut list = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    list.push(json!({"type": "Reconciled", "status": "True"}));
    let patch = json!({"status": {"conditions": list}}).to_string();
    let args = [
        "patch",
        "virtualservices.networking.istio.io",
        name,
        "-n",
        "shop",
        "--subresource=status",
        "--type=merge",
        "--field-manager=istiod",
        "-p",
        &patch,
    ];
    cluster.kubectl(&args, "").await.unwrap();
}

async fn service(cluster: &KubeCluster, name: &str) -> String {
    let service = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "hosts": [format!("{name}.example.com")],
            "http": [{"directResponse": {"status": 200}}],
        },
    });
    cluster.create(&service).await.unwrap();
    format!("{SHOP}/virtualservices/{name}")
}

#[tokio::test]
async fn conditions_of_others_stay() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    crds::apply(&cluster, &as_istio_has_them().await)
        .await
        .unwrap();
    for namespace in ["istio-system", "shop"] {
        cluster.namespace(namespace, &[]).await.unwrap();
    }
    let theirs = service(&cluster, "theirs").await;
    adds_its_own(&cluster, "theirs").await;
    let ours = service(&cluster, "ours").await;
    let dir = Scratch::new();
    let mut first = discovery(&cluster, dir.path(), &[]).await;
    told(&cluster, &ours, &[OURS]).await;
    let found = conditions(&cluster, &theirs).await.unwrap();
    assert_eq!(found, ["Reconciled=True : "], "it is another's");
    // Another controller comes.
    adds_its_own(&cluster, "ours").await;
    told(&cluster, &ours, &[THEIRS]).await;
    first.stop().await.unwrap();

    let dir = Scratch::new();
    let mut second = discovery(&cluster, dir.path(), &["--status-writes=on"]).await;
    told(&cluster, &ours, &[OURS, THEIRS]).await;
    told(&cluster, &theirs, &[OURS, THEIRS]).await;
    // What is wrong with it is told there, too.
    let change = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "theirs", "namespace": "shop"},
        "spec": {"http": [{"match": [{"uri": {"regex": "["}}], "directResponse": {"status": 200}}]},
    });
    cluster.merge(&change).await.unwrap();
    let bad = (
        "pilothouse.dev/Accepted=False Invalid",
        "an earlier version",
    );
    told(&cluster, &theirs, &[bad, THEIRS]).await;
    second.stop().await.unwrap();
}
