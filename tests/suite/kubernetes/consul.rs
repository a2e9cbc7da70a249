//! A service of Kubernetes and one of Consul call each other through one discovery, each with a sidecar as its platform has it.

use std::net::Ipv4Addr;

use anyhow::ensure;
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::wait::eventually;
use serde_json::json;

use super::ground::{PORT, Setting, possible};
use crate::capture::app::{App, says};
use crate::capture::mesh::REDIRECT;
use crate::world::{SOON, Scratch};

/// Where Envoy connects to the application behind it from.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

#[tokio::test]
async fn services_of_kubernetes_and_of_consul_call_each_other() {
    if !possible() {
        return;
    }
    let dir = Scratch::new();
    let binary = Binary::find().unwrap();
    let consul = Cluster::of(1, &binary, "dc1", json!({}), dir.path());
    let consul = consul.await.unwrap();
    let mut setting = Setting::start_beside(3, Some(consul.address())).await;
    let web = setting.service("web").await;
    let server = setting.server("web-1", "web", "v1").await;

    let machine = setting.machine();
    let legacy = machine.v4();
    let _app = App::http("legacy", &machine, PORT);
    let registered = json!({
        "name": "legacy", "address": legacy.to_string(), "port": PORT, "meta": {"protocol": "http"},
    });
    consul.register(registered).await.unwrap();
    let identity = ["--serviceregistry", "Consul"];
    let of_consul = setting
        .mesh
        .sidecar_of("legacy", machine, REDIRECT, &identity)
        .await;
    let of_kubernetes = setting.sidecar("client").await;
    setting.pod_of("client", &of_kubernetes).await;

    // Nobody has this address: who answers has been found by name, and its own sidecar has passed it on.
    let nobody = Ipv4Addr::new(240, 0, 0, 77);
    eventually("a pod calls a service of Consul", 2 * SOON, async || {
        let said = of_kubernetes
            .0
            .http((nobody, PORT), "legacy.service.consul")
            .await?;
        ensure!(said == says("legacy", SOURCE), "{said}");
        Ok(())
    })
    .await
    .unwrap();
    eventually(
        "a machine of Consul calls a service of Kubernetes",
        2 * SOON,
        async || {
            let said = of_consul
                .http((web, 80), "web.shop.svc.cluster.local")
                .await?;
            ensure!(said == "web-1", "{said}");
            Ok(())
        },
    )
    .await
    .unwrap();
    assert!(server.backend.requests() > 0);
    let inbound = of_consul
        .stat(&format!("cluster.inbound|{PORT}||;.upstream_cx_total"))
        .await;
    assert!(
        inbound > 0,
        "the sidecar of Consul's service has passed it on"
    );
}
