//! One mesh, behind an API server and in files: a proxy gets the same of either.
//!
//! The files have what kubectl prints of the cluster. Endpoint slices are those of Kubernetes' own controller; files that leave them out
//! have the pods alone, and still say the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::ensure;
use pilothouse_tests::kube::KubeCluster;
use pilothouse_tests::kube::objects::Pod;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use serde_json::Value;

use super::crds;
use super::setting::discovery_on;
use crate::received::{Received, assert_same, received};
use crate::world::{SOON, Scratch, World};

const SHOP: &str = "shop";
const MESH: &str = include_str!("same_mesh/mesh.yaml");
/// Everything that is read, of all namespaces.
const KINDS: &str =
    "namespaces,nodes,services,endpointslices,pods,virtualservices,destinationrules,serviceentries";
/// The application whose pods have addresses of both families, and a subset of its service.
const WEB: &str = "web";
const SUBSET: &str = "outbound|80|v1|web.shop.svc.cluster.local";

/// A pod: its name, application, version, node and whether it is ready; its address ends with its place in the list, from 1 on.
const PODS: [(&str, &str, &str, &str, bool); 6] = [
    ("web-1", "web", "v1", "north", true),
    ("web-2", "web", "v2", "east", true),
    ("web-3", "web", "v2", "north", false),
    ("api-1", "api", "v1", "east", true),
    ("peers-0", "peers", "v1", "north", false),
    ("client", "client", "v1", "north", true),
];

fn v4(place: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(place + 1).unwrap())
}

fn v6(place: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, u16::try_from(place + 1).unwrap())
}

/// A cluster with the mesh, of which the controller has seen everything.
async fn cluster() -> KubeCluster {
    let cluster = KubeCluster::start_with_controllers().await.unwrap();
    let definitions = crds::printed(&[]).await.unwrap();
    crds::apply(&cluster, &definitions).await.unwrap();
    cluster.namespace(SHOP, &[("team", "shop")]).await.unwrap();
    for (name, zone) in [("north", "north-1"), ("east", "east-1")] {
        cluster.node(name, name, zone).await.unwrap();
    }
    cluster.apply(MESH).await.unwrap();
    for (place, (name, app, version, node, ready)) in PODS.into_iter().enumerate() {
        let mut pod = Pod::new(SHOP, name, app, v4(place));
        if app == WEB {
            pod.ips.push(IpAddr::V6(v6(place)));
        }
        pod.labels.push(("version", version));
        pod.node = node;
        pod.service_account = app;
        pod.ports = vec![("main", 8080)];
        pod.ready = ready;
        cluster.pod(&pod).await.unwrap();
    }
    eventually("the controller has seen all pods", SOON, async || {
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{SHOP}/endpointslices");
        let slices = cluster.get_path(&path).await?.to_string();
        for (place, (name, app, ..)) in PODS.into_iter().enumerate() {
            let there = slices.contains(&format!("\"{}\"", v4(place)))
                && (app != WEB || slices.contains(&format!("\"{}\"", v6(place))));
            ensure!(there || app == "client", "{name} is not in {slices}");
        }
        Ok(())
    })
    .await
    .unwrap();
    cluster
}

/// The objects without those that the controller of endpoint slices has made.
fn without_slices_of_pods(list: &str) -> String {
    let mut list: Value = serde_json::from_str(list).unwrap();
    let items = list["items"].as_array_mut().unwrap();
    let before = items.len();
    items.retain(|item| {
        let by = &item["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"];
        by != "endpointslice-controller.k8s.io"
    });
    assert!(items.len() < before, "{list}");
    list.to_string()
}

#[tokio::test]
async fn a_mesh_behind_an_api_server_and_in_files_is_the_same_to_a_proxy() {
    if KubeCluster::missing() {
        return;
    }
    let cluster = cluster().await;
    let dir = Scratch::new();
    let discovery = discovery_on(&cluster, dir.path(), &[]).await;
    let get = async |form| {
        let args = ["get", KINDS, "--all-namespaces", "--output", form];
        cluster.kubectl(&args, "").await.unwrap()
    };
    let printed = get("yaml").await;
    let pods_alone = without_slices_of_pods(&get("json").await);
    let files = World::start(&[("mesh.yaml", &printed)]).await;
    let of_pods = World::start(&[("mesh.json", &pods_alone)]).await;

    let client = Sidecar::new("client", SHOP).at(v4(5).into());
    let server = Sidecar::new("web-1", SHOP).at(v4(0).into());
    for sidecar in [
        client.clone(),
        client.clone().interception("REDIRECT"),
        // Of no pod, and in a namespace that does not see everything.
        Sidecar::new("other", "default").interception("REDIRECT"),
        server.clone(),
        server.interception("TPROXY"),
    ] {
        let sidecar = sidecar.with("CLUSTER_ID", "default");
        let expected: Received = received(&discovery, &sidecar).await;
        let name = format!("{sidecar:?}");
        for world in [&files, &of_pods] {
            let got = received(&world.discovery, &sidecar).await;
            assert_same(&name, &got, &expected);
        }
        assert!(expected.keys().any(|key| key.ends_with(SUBSET)), "{name}");
    }
}
