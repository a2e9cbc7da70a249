//! Many objects in a moment, for tests of load.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use futures::StreamExt;
use http::Request;
use kube::core::WatchEvent;
use pilothouse_tests::kube::objects::Pod;
use pilothouse_tests::kube::{ADMIN, KubeCluster, Options};
use serde_json::Value;

use crate::world::SOON;

const MANY: usize = 1000;
const PODS: &str = "/api/v1/namespaces/default/pods";

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// A watch from before many objects were imported sees each of them, as a list does.
#[tokio::test]
async fn imported_objects_are_objects_like_others() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    cluster.node("node", "north", "north-1").await.unwrap();
    let list = cluster.get_path(PODS).await.unwrap();
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let names: BTreeSet<String> = (0..MANY).map(|at| format!("pod-{at}")).collect();
    let pods: Vec<Value> = names
        .iter()
        .map(|name| Pod::new("default", name, "web", Ipv4Addr::new(10, 0, 0, 1)).running())
        .collect();
    cluster.import(&pods).await.unwrap();
    // What the watch has to send before it is read would end it, if it ran already: so the API server treats those who are slow.
    let watch = Request::get(format!("{PODS}?watch=true&resourceVersion={version}"))
        .body(Vec::new())
        .unwrap();
    let client = cluster.client_of(ADMIN).unwrap();
    let mut events = client.request_events::<Value>(watch).await.unwrap().boxed();
    let mut seen = BTreeSet::new();
    let watched = async {
        while seen.len() < MANY {
            match events.next().await.unwrap().unwrap() {
                WatchEvent::Added(pod) => seen.insert(name(&pod)),
                other => panic!("{other:?}"),
            };
        }
    };
    tokio::time::timeout(SOON, watched).await.unwrap();
    assert_eq!(seen, names);
    let list = cluster.get_path(PODS).await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), MANY);

    // They can be changed and removed.
    cluster.set_ready("default", "pod-0", false).await.unwrap();
    cluster.delete_pod("default", "pod-1").await.unwrap();
    let pod = cluster.get_path(&format!("{PODS}/pod-0")).await.unwrap();
    assert_eq!(pod["status"]["podIP"], "10.0.0.1");
    assert_eq!(pod["status"]["conditions"][0]["status"], "False");
    cluster
        .get_path(&format!("{PODS}/pod-1"))
        .await
        .unwrap_err();
}
