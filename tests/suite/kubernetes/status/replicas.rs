//! Several replicas: one of them writes, for the proxies of all, and addresses are the same to all.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use pilothouse_tests::ads::{self, DeltaClient};
use pilothouse_tests::discovery::Discovery;
use pilothouse_tests::kube::{KubeCluster, Options};
use pilothouse_tests::wait::eventually;
use serde_json::{Value, json};

use super::setting::{SHOP, cluster, discovery, entry, refusing, text, told};
use crate::world::{SOON, Scratch};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/istio-system/leases/pilothouse-status";
const REPORTS: &str =
    "/api/v1/namespaces/istio-system/configmaps?labelSelector=pilothouse.dev/verdicts";
const GOOD: (&str, &str) = ("pilothouse.dev/Accepted=True Accepted", "in force");

async fn holder(cluster: &KubeCluster) -> Result<String> {
    let lease = cluster.get_path(LEASE).await?;
    let holder = text(&lease["spec"]["holderIdentity"])?;
    ensure!(!holder.is_empty(), "nobody holds it");
    Ok(holder)
}

async fn reports(cluster: &KubeCluster) -> Result<usize> {
    let list = cluster.get_path(REPORTS).await?;
    Ok(list["items"].as_array().map_or(0, Vec::len))
}

/// The process of a replica is part of its name.
fn is_of(discovery: &Discovery, holder: &str) -> bool {
    holder.contains(&format!("-{}_", discovery.process().id()))
}

#[tokio::test]
async fn one_of_two_writes_for_the_proxies_of_both() {
    let Some(cluster) = cluster(Options::default()).await else {
        return;
    };
    cluster.create(&entry("web", "HTTP", 80)).await.unwrap();
    let dirs = [Scratch::new(), Scratch::new()];
    let mut a = discovery(&cluster, dirs[0].path(), &[]).await;
    let mut b = discovery(&cluster, dirs[1].path(), &[]).await;
    let path = format!("{SHOP}/serviceentries/web");
    told(&cluster, &path, &[GOOD]).await;
    let name = "outbound|80||web.example.com";
    let clients = (
        refusing(&a, "one", name).await,
        refusing(&b, "two", name).await,
    );
    let both = (
        "pilothouse.dev/Refused=True RefusedByProxies",
        "2 proxies, Cluster: ",
    );
    told(&cluster, &path, &[GOOD, both]).await;
    assert_eq!(reports(&cluster).await.unwrap(), 2);

    // The holder leaves, and the other one goes on.
    let first = holder(&cluster).await.unwrap();
    let (leaving, staying) = if is_of(&a, &first) {
        (&mut a, &b)
    } else {
        (&mut b, &a)
    };
    assert!(is_of(leaving, &first), "{first}");
    leaving.stop().await.unwrap();
    cluster.create(&entry("late", "HTTP", 80)).await.unwrap();
    told(&cluster, &format!("{SHOP}/serviceentries/late"), &[GOOD]).await;
    let second = holder(&cluster).await.unwrap();
    assert!(is_of(staying, &second), "{second}");
    let lease = cluster.get_path(LEASE).await.unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    assert_eq!(
        reports(&cluster).await.unwrap(),
        1,
        "it takes back what it said"
    );
    let one = (
        "pilothouse.dev/Refused=True RefusedByProxies",
        "1 proxy, Cluster: ",
    );
    told(&cluster, &path, &[GOOD, one]).await;
    drop(clients);
}

/// The listeners of a sidecar.
async fn listeners(discovery: &Discovery) -> BTreeSet<String> {
    let id = "sidecar~10.9.9.9~client.shop~shop.svc.cluster.local";
    let node = ads::node(id, &[("NAMESPACE", "shop"), ("DNS_CAPTURE", "true")]);
    let grpc = discovery.addresses().grpc;
    let mut client = DeltaClient::connect(grpc, node).await.unwrap();
    client.subscribe(ads::CLUSTER, &["*"]).unwrap();
    client.accept(ads::CLUSTER).await.unwrap();
    client.subscribe(ads::LISTENER, &["*"]).unwrap();
    client.accept(ads::LISTENER).await.unwrap();
    client.held(ads::LISTENER).keys().cloned().collect()
}

fn addresses(object: &Value) -> Vec<String> {
    let all = object["status"]["addresses"]
        .as_array()
        .into_iter()
        .flatten();
    let values = all.filter_map(|address| address["value"].as_str());
    let mut values: Vec<_> = values.map(str::to_owned).collect();
    values.sort();
    values
}

#[tokio::test]
async fn addresses_that_are_kept_are_given_again() {
    let Some(cluster) = cluster(Options::default()).await else {
        return;
    };
    cluster.create(&entry("kept", "TCP", 9000)).await.unwrap();
    cluster.create(&entry("new", "TCP", 9000)).await.unwrap();
    // As Istio writes them.
    let kept = json!({"status": {"addresses": [
        {"value": "240.240.9.9", "host": "kept.example.com"},
        {"value": "2001:2::99", "host": "kept.example.com"},
    ]}});
    let patch = kept.to_string();
    let args = [
        "patch",
        "serviceentry",
        "kept",
        "-n",
        "shop",
        "--subresource=status",
        "--type=merge",
        "--field-manager=ip-autoallocate",
        "-p",
        &patch,
    ];
    cluster.kubectl(&args, "").await.unwrap();
    let dir = Scratch::new();
    let discovery = discovery(&cluster, dir.path(), &[]).await;
    let path = |name: &str| format!("{SHOP}/serviceentries/{name}");
    let given = eventually("the other one has addresses", SOON, async || {
        let given = addresses(&cluster.get_path(&path("new")).await?);
        ensure!(given.len() == 2, "{given:?}");
        Ok(given)
    })
    .await
    .unwrap();
    let found = listeners(&discovery).await;
    assert!(found.contains("240.240.9.9_9000"), "{found:?}");
    assert!(
        given.iter().any(|ip| found.contains(&format!("{ip}_9000"))),
        "{given:?} {found:?}"
    );
    let kept = addresses(&cluster.get_path(&path("kept")).await.unwrap());
    assert_eq!(kept, ["2001:2::99", "240.240.9.9"]);
}
