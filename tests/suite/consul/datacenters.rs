//! Datacenters that know of each other: each is a registry of its own, and one that is lost costs neither the other nor itself anything.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::discovery::Discovery;
use pilothouse_tests::envoy;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use serde_json::json;

use super::health::only_of;
use super::setting::{backends, discovery_on, failing, unchecked};
use crate::world::{SOON, Scratch};

const EAST: &str = "web.service.consul";
const WEST: &str = "web.service.west.consul";

/// For how many seconds a datacenter cannot be read, by metrics.
async fn failing_for(discovery: &Discovery, datacenter: &str) -> Result<f64> {
    let text = discovery.metrics().await?;
    let name = format!("pilothouse_registry_failing_seconds{{registry=\"Consul/{datacenter}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    Ok(value.unwrap_or("-1").parse()?)
}

#[tokio::test]
async fn a_datacenter_is_lost_and_comes_back() {
    let dir = Scratch::new();
    let binary = Binary::find().unwrap();
    let east = Cluster::of(1, &binary, "east", json!({}), dir.path())
        .await
        .unwrap();
    let join =
        json!({"retry_join_wan": [east.address().ip().to_string()], "retry_interval_wan": "1s"});
    let mut west = Cluster::of(1, &binary, "west", join, dir.path())
        .await
        .unwrap();
    let all = backends(["a", "b", "c", "d"]).await;
    let [a, b, c, d] = &all[..] else {
        panic!("four were started")
    };
    east.register(unchecked("web", a)).await.unwrap();
    west.register(unchecked("web", c)).await.unwrap();
    eventually("the datacenters know each other", SOON, async || {
        let services = east.get("/v1/catalog/services?dc=west").await?;
        ensure!(services["web"].is_array(), "{services}");
        Ok(())
    })
    .await
    .unwrap();
    let flags = [("--consul-datacenters", "east,west")];
    let discovery = discovery_on(&east, dir.path(), &flags).await;
    let envoy = envoy::Binary::find().unwrap();
    let grpc = discovery.addresses().grpc;
    let sidecar = Sidecar::new("client", "default");
    let _client = sidecar.start(&envoy, grpc, dir.path()).await.unwrap();
    let via = SocketAddr::from(([127, 0, 0, 1], a.address().port()));
    only_of(via, EAST, &["a"], SOON).await;
    only_of(via, "web.service.east.consul", &["a"], SOON).await;
    only_of(via, WEST, &["c"], SOON).await;
    let targets = [EAST, WEST].map(|host| Target {
        via,
        host: host.into(),
        path: "/".into(),
    });
    let flowing = Traffic::start(targets.into(), Duration::from_millis(5));

    west.kill_server(0).unwrap();
    failing(&discovery, Some("what was read before stays")).await;
    east.register(unchecked("web", b)).await.unwrap();
    only_of(via, EAST, &["a", "b"], SOON).await;
    east.deregister("web-a").await.unwrap();
    only_of(via, EAST, &["b"], SOON).await;
    only_of(via, WEST, &["c"], SOON).await;
    eventually("metrics tell which one is away", SOON, async || {
        let age = failing_for(&discovery, "west").await?;
        ensure!(age > 0.0, "it is {age}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(failing_for(&discovery, "east").await.unwrap(), 0.0);

    west.start_server(0).unwrap();
    west.has_leader().await.unwrap();
    west.register(unchecked("web", d)).await.unwrap();
    only_of(via, WEST, &["c", "d"], 2 * SOON).await;
    failing(&discovery, None).await;
    let report = flowing.stop().await;
    assert_eq!(report.failed, [], "of {} requests", report.sent);
}
