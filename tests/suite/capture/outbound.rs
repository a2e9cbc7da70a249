//! Connections from an application.

use std::net::Ipv4Addr;

use pilothouse_tests::netns::User;

use super::app::{App, says};
use super::mesh::{Capture, Ground, REDIRECT, possible};

/// Services at `server`: one with a virtual address, one without.
fn manifests(server: Ipv4Addr) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: server, namespace: shop }}
spec:
  hosts: [server.shop.svc.cluster.local]
  addresses: [240.0.0.10]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {{ name: http, number: 80, protocol: HTTP, targetPort: 8080 }}
  - {{ name: tcp, number: 9000, protocol: TCP, targetPort: 9090 }}
  endpoints: [{{ address: {server} }}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: headless, namespace: shop }}
spec:
  hosts: [headless.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{ name: tcp, number: 9090, protocol: TCP }}]
  endpoints: [{{ address: {server} }}]
"
    )
}

const HEADLESS: &str = "cluster.outbound|9090||headless.shop.svc.cluster.local;.upstream_cx_total";
const PASSED: &str = "cluster.PassthroughCluster.upstream_cx_total";
const BLOCKED: &str = "cluster.BlackHoleCluster.upstream_cx_none_healthy";

#[tokio::test]
async fn what_is_captured_and_what_passes() {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let (client, server) = (ground.machine("client"), ground.machine("server"));
    let (outside, spared) = (ground.machine("outside"), ground.machine("spared"));
    let _apps = [
        App::http("server", &server, 8080),
        App::tcp("server", &server, 9090),
        App::http("outside", &outside, 8080),
        App::http("outside", &outside, 8081),
        App::http("spared", &spared, 8080),
    ];
    let mut mesh = ground.start(&manifests(server.v4()), "{}").await;
    let spared_range = format!("{}/32", spared.v4());
    let flags = ["-x", &spared_range, "-o", "8081"];
    let capture = Capture {
        flags: &flags,
        ..REDIRECT
    };
    let own = client.v4();
    let mut client = mesh.sidecar("client", client, capture).await;

    // By the virtual address, which no machine has.
    let vip = Ipv4Addr::new(240, 0, 0, 10);
    let answer = client.http((vip, 80), "server.shop").await.unwrap();
    assert_eq!(answer, says("server", own));
    assert_eq!(client.tcp((vip, 9000)).await.unwrap(), answer);
    // By the address of an endpoint.
    assert_eq!(client.tcp((server.v4(), 9090)).await.unwrap(), answer);
    client.wait_stat(HEADLESS, 1).await;

    // What no service claims passes through Envoy to where it was going.
    assert_eq!(client.stat(PASSED).await, 0);
    let answer = client.http((outside.v4(), 8080), "outside").await.unwrap();
    assert_eq!(answer, says("outside", own));
    client.wait_stat(PASSED, 1).await;
    // What is excluded passes it by, as does what the application says to itself.
    let answer = client.http((outside.v4(), 8081), "outside").await.unwrap();
    assert_eq!(answer, says("outside", own));
    let answer = client.http((spared.v4(), 8080), "spared").await.unwrap();
    assert_eq!(answer, says("spared", own));
    let _app = App::http("client", client.machine(), 8080);
    for ip in [Ipv4Addr::LOCALHOST, own] {
        let answer = client.http((ip, 8080), "client").await.unwrap();
        assert_eq!(answer, says("client", ip));
    }
    assert_eq!(client.stat(PASSED).await, 1);
    client.check();
}

#[tokio::test]
async fn what_no_service_claims_is_blocked_where_mesh_config_says_so() {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let (client, server) = (ground.machine("client"), ground.machine("server"));
    let outside = ground.machine("outside");
    let _apps = [
        App::http("server", &server, 8080),
        App::http("outside", &outside, 80),
        App::tcp("outside", &outside, 9999),
    ];
    let config = "outboundTrafficPolicy: { mode: REGISTRY_ONLY }";
    let mut mesh = ground.start(&manifests(server.v4()), config).await;
    let own = client.v4();
    let client = mesh.sidecar("client", client, REDIRECT).await;

    let vip = Ipv4Addr::new(240, 0, 0, 10);
    let answer = client.http((vip, 80), "server.shop").await.unwrap();
    assert_eq!(answer, says("server", own));
    // Port 80 is spoken HTTP at by services, so a stranger there gets an answer of Envoy's.
    let error = client
        .http((outside.v4(), 80), "outside")
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "status 502");
    let heard = client.tcp((outside.v4(), 9999)).await;
    assert!(!heard.is_ok_and(|text| text.contains("outside")));
    client.wait_stat(BLOCKED, 1).await;
    assert_eq!(client.stat(PASSED).await, 0);
}

/// Programs of one group are left alone, whoever else is captured.
#[tokio::test]
async fn whose_connections_are_captured() {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let (client, outside) = (ground.machine("client"), ground.machine("outside"));
    let _app = App::tcp("outside", &outside, 9999);
    let mut mesh = ground.start(&manifests(outside.v4()), "{}").await;
    let capture = Capture {
        flags: &["--istio-outbound-owner-groups-exclude", "1000"],
        ..REDIRECT
    };
    let own = client.v4();
    let client = mesh.sidecar("client", client, capture).await;
    let script = format!("exec 3<>/dev/tcp/{}/9999 && cat <&3", outside.v4());
    for (user, passed) in [(User::Application, 0), (User::Root, 1)] {
        let program = ["bash", "-c", &script];
        let heard = client.machine().run(user, &program).await.unwrap();
        assert_eq!(heard, says("outside", own), "{user:?}");
        client.wait_stat(PASSED, passed).await;
    }
}
