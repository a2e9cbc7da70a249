//! Authors are told what has become of their rules, and telling them disturbs nobody.

use anyhow::ensure;
use pilothouse_tests::ads;
use pilothouse_tests::kube::Options;
use pilothouse_tests::wait::eventually;
use serde_json::json;

use super::setting::{SHOP, cluster, discovery, entry, refusing, told};
use crate::world::{SOON, Scratch};

const RULES: &str = r"
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bad, namespace: shop}
spec:
  hosts: [web.example.com]
  http:
  - match: [{uri: {regex: '['}}]
    route: [{destination: {host: web.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vain, namespace: shop}
spec:
  hosts: [web.example.com]
  http: [{delegate: {name: nowhere}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: first, namespace: shop}
spec: {host: web.example.com, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: second, namespace: shop}
spec: {host: web.example.com, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
";

const GOOD: (&str, &str) = ("pilothouse.dev/Accepted=True Accepted", "in force");

#[tokio::test]
async fn authors_are_told_what_has_become_of_their_rules() {
    let Some(cluster) = cluster(Options::default()).await else {
        return;
    };
    let dir = Scratch::new();
    cluster.create(&entry("web", "HTTP", 80)).await.unwrap();
    cluster.apply(RULES).await.unwrap();
    let discovery = discovery(&cluster, dir.path(), &["--allow-unenforced-security"]).await;
    told(&cluster, &format!("{SHOP}/serviceentries/web"), &[GOOD]).await;
    let bad = (
        "pilothouse.dev/Accepted=False Invalid",
        "spec.http[0].match[0].uri.regex",
    );
    told(&cluster, &format!("{SHOP}/virtualservices/bad"), &[bad]).await;
    let vain = ("pilothouse.dev/Warned=True RefersInVain", "nowhere");
    told(
        &cluster,
        &format!("{SHOP}/virtualservices/vain"),
        &[GOOD, vain],
    )
    .await;
    let path = "/apis/security.istio.io/v1/namespaces/shop/peerauthentications/strict";
    let open = ("pilothouse.dev/Accepted=False NotSupported", "not enforced");
    told(&cluster, path, &[open]).await;
    let lost = (
        "pilothouse.dev/Conflicted=True LostInPart",
        "host web.example.com: lost to DestinationRule shop/first of Kubernetes/default",
    );
    told(
        &cluster,
        &format!("{SHOP}/destinationrules/second"),
        &[GOOD, lost],
    )
    .await;
    told(&cluster, &format!("{SHOP}/destinationrules/first"), &[GOOD]).await;
    drop(discovery);
}

#[tokio::test]
async fn proxies_that_refuse_are_counted_and_a_write_disturbs_nobody() {
    let Some(cluster) = cluster(Options::default()).await else {
        return;
    };
    let dir = Scratch::new();
    cluster.create(&entry("web", "HTTP", 80)).await.unwrap();
    let discovery = discovery(&cluster, dir.path(), &[]).await;
    let path = format!("{SHOP}/serviceentries/web");
    told(&cluster, &path, &[GOOD]).await;

    let name = "outbound|80||web.example.com";
    let first = refusing(&discovery, "one", name).await;
    let second = refusing(&discovery, "two", name).await;
    let refused = |message| ("pilothouse.dev/Refused=True RefusedByProxies", message);
    told(&cluster, &path, &[GOOD, refused("2 proxies, Cluster: ")]).await;
    told(&cluster, &path, &[GOOD, refused("no such thing")]).await;
    drop(first);
    told(&cluster, &path, &[GOOD, refused("1 proxy, Cluster: ")]).await;
    drop(second);
    told(&cluster, &path, &[GOOD]).await;

    // A proxy that has everything is told nothing of what stands in a status.
    let node = ads::node("sidecar~10.9.9.8~calm.shop~shop.svc.cluster.local", &[]);
    let grpc = discovery.addresses().grpc;
    let mut calm = ads::DeltaClient::connect(grpc, node).await.unwrap();
    calm.subscribe(ads::CLUSTER, &["*"]).unwrap();
    calm.accept(ads::CLUSTER).await.unwrap();
    let before = work(&discovery).await;
    let undone = json!({"status": {"conditions": []}});
    let patch = undone.to_string();
    let args = [
        "patch",
        "serviceentry",
        "web",
        "-n",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ];
    cluster.kubectl(&args, "").await.unwrap();
    told(&cluster, &path, &[GOOD]).await;
    calm.expect_nothing(std::time::Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(work(&discovery).await, before);

    // A change of the object is told again, for its new generation.
    let mut changed = entry("web", "HTTP", 80);
    changed["spec"]["location"] = "MESH_INTERNAL".into();
    cluster.write(&changed).await.unwrap();
    eventually("the new generation is told", SOON, async || {
        let object = cluster.get_path(&path).await?;
        let condition = &object["status"]["conditions"][0];
        ensure!(object["metadata"]["generation"] == 2, "{object:#}");
        ensure!(condition["observedGeneration"] == 2, "{condition:#}");
        Ok(())
    })
    .await
    .unwrap();
    drop(discovery);
}

/// What has been encoded and pushed so far.
async fn work(discovery: &pilothouse_tests::discovery::Discovery) -> Vec<String> {
    let metrics = discovery.metrics().await.unwrap();
    let lines = metrics.lines().filter(|line| {
        line.starts_with("pilothouse_resources_encoded") || line.starts_with("pilot_xds_pushes")
    });
    let lines: Vec<_> = lines.map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{metrics}");
    lines
}
