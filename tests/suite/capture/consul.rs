//! A mesh on Consul's catalog, with agents that say no more of themselves than which registry they are of: each sidecar finds the
//! service of its machine by its address, and asks for others by Consul's names.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::ensure;
use pilothouse_tests::consul::Binary;
use pilothouse_tests::netns::User;
use pilothouse_tests::process::Process;
use pilothouse_tests::wait::eventually;
use serde_json::json;

use super::app::{App, says};
use super::mesh::{Ground, REDIRECT, possible};
use crate::world::SOON;

/// Where Envoy connects to the application from.
const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

#[tokio::test]
async fn sidecars_on_plain_machines_find_their_services() {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let (client, server) = (ground.machine("client"), ground.machine("server"));
    let host = ground.machine("discovery");
    let _apps = [
        App::http("web", &server, 8080),
        App::tcp("db", &server, 9090),
    ];
    let dir = ground.dir().join("consul");
    std::fs::create_dir(&dir).unwrap();
    let service = |name: &str, port: u16, protocol: &str| json!({"name": name, "address": server.v4().to_string(), "port": port, "meta": {"protocol": protocol}});
    let config = json!({
        "server": true,
        "bootstrap_expect": 1,
        "node_name": "consul",
        "data_dir": dir.join("data"),
        "bind_addr": host.v4().to_string(),
        "disable_update_check": true,
        "log_level": "warn",
        "performance": {"raft_multiplier": 1},
        "ports": {"dns": -1, "grpc": -1},
        "services": [service("web", 8080, "http"), service("db", 9090, "tcp")],
    });
    let file = dir.join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = host.command(User::Root, Binary::find().unwrap().path());
    command.args(["agent", "-config-file"]).arg(&file);
    let mut consul = Process::spawn("consul", &mut command, &dir.join("log")).unwrap();
    let page = SocketAddr::from((Ipv4Addr::LOCALHOST, 8500));
    let listed = consul.until("the catalog has both", SOON, async || {
        let answer = host
            .get(page, "consul", "/v1/catalog/services", SOON)
            .await?;
        let has = |name| answer.body.contains(name);
        ensure!(has("\"web\"") && has("\"db\""), "{}", answer.body);
        Ok(())
    });
    listed.await.unwrap();
    let flags = ["--registries", "Consul"].map(str::as_ref);
    let mut mesh = ground.discovery(host, &flags).await;
    let identity = ["--serviceregistry", "Consul"];
    let (from, to) = (client.v4(), server.v4());
    let client = mesh.sidecar_of("client", client, REDIRECT, &identity).await;
    let server = mesh.sidecar_of("server", server, REDIRECT, &identity).await;

    // Nobody has this address: who answers has been found by name, and its own sidecar has passed it on.
    let nobody = Ipv4Addr::new(240, 0, 0, 77);
    for host in ["web.service.consul", "web.service.dc1.consul"] {
        eventually(&format!("{host} answers"), SOON, async || {
            let said = client.http((nobody, 8080), host).await?;
            ensure!(said == says("web", SOURCE), "{said}");
            Ok(())
        })
        .await
        .unwrap();
    }
    // By the address of an endpoint, as Consul's DNS gives it.
    let said = client.tcp((to, 9090)).await.unwrap();
    assert_eq!(said, says("db", SOURCE));
    for (pod, cluster) in [
        (&client, "outbound|9090||db.service.consul;"),
        (&server, "inbound|9090||;"),
        (&server, "inbound|8080||;"),
    ] {
        let stat = format!("cluster.{cluster}.upstream_cx_total");
        let count = pod.stat(&stat).await;
        assert!(count > 0, "{cluster} of {}", pod.machine().v4());
    }
    let ids = mesh.page("/debug/syncz").await.unwrap();
    for ip in [from, to] {
        let id = format!("\"sidecar~{ip}~{ip}.service.consul~service.consul\"");
        assert!(ids.contains(&id), "{ids}");
    }
    consul.check_running().unwrap();
}
