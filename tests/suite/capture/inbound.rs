//! Connections to an application: from others, and from itself through a service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pilothouse_tests::netns::User;

use super::app::{App, says};
use super::mesh::{Capture, Ground, ask, hear, possible};
use crate::world::SOON;

/// Where Envoy connects to the application from.
const SOURCE_V4: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6);

fn manifests(server: [IpAddr; 2]) -> String {
    let [v4, v6] = server;
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
  endpoints: [{{ address: {v4} }}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: server-six, namespace: shop }}
spec:
  hosts: [server-six.shop.svc.cluster.local]
  addresses: ['fd00:240::10']
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {{ name: http, number: 80, protocol: HTTP, targetPort: 8080 }}
  - {{ name: tcp, number: 9000, protocol: TCP, targetPort: 9090 }}
  endpoints: [{{ address: '{v6}' }}]
"
    )
}

#[tokio::test]
async fn redirected() {
    check("REDIRECT", User::Proxy, true, |_, source| source).await;
}

#[tokio::test]
async fn redirected_without_ipv6() {
    check("REDIRECT", User::Proxy, false, |_, source| source).await;
}

/// The application sees who has connected.
#[tokio::test]
async fn with_the_address_of_the_client_kept() {
    check("TPROXY", User::TransparentProxy, true, |client, _| client).await;
}

/// Rights to do so come with the user, as in containers that are made for it.
#[tokio::test]
async fn with_the_address_of_the_client_kept_by_root() {
    check("TPROXY", User::RootProxy, true, |client, _| client).await;
}

/// Whom the application sees, given the client's address and that of Envoy.
async fn check(mode: &str, user: User, dual: bool, seen: impl Fn(IpAddr, IpAddr) -> IpAddr) {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let (client, server) = (ground.machine("client"), ground.machine("server"));
    let _apps = [
        App::http("server", &server, 8080),
        App::tcp("server", &server, 9090),
        App::http("unknown", &server, 7070),
        App::http("spared", &server, 6060),
    ];
    let addresses = [server.v4().into(), server.v6().into()];
    let mut mesh = ground.start(&manifests(addresses), "{}").await;
    let capture = Capture {
        mode,
        dual,
        user,
        flags: &["-d", "6060"],
    };
    let mut server = mesh.sidecar("server", server, capture).await;
    let machine = server.machine();
    // What others ask the proxy itself is not captured.
    for (port, path) in [
        (15020, "/healthz/ready"),
        (15021, "/healthz/ready"),
        (15090, "/stats/prometheus"),
    ] {
        let page = client
            .get((machine.v4(), port).into(), "server", path, SOON)
            .await;
        assert_eq!(page.unwrap().status, 200, "{port}");
    }

    let four = (
        IpAddr::from(client.v4()),
        IpAddr::from(SOURCE_V4),
        IpAddr::from(machine.v4()),
        IpAddr::from([240, 0, 0, 10]),
    );
    let six = (
        IpAddr::from(client.v6()),
        IpAddr::from(SOURCE_V6),
        IpAddr::from(machine.v6()),
        "fd00:240::10".parse().unwrap(),
    );
    let families = if dual { vec![four, six] } else { vec![four] };
    let (mut requests, mut connections) = (0, 0);
    for (from, source, own, vip) in families {
        // From another machine, to a port that a service has, one that none has, and one that is left alone.
        let answer = ask(&client, (own, 8080), "server").await.unwrap();
        assert_eq!(answer, says("server", seen(from, source)));
        let answer = hear(&client, (own, 9090)).await.unwrap();
        assert_eq!(answer, says("server", seen(from, source)));
        let answer = ask(&client, (own, 7070), "server").await.unwrap();
        assert_eq!(answer, says("unknown", seen(from, source)));
        let answer = ask(&client, (own, 6060), "server").await.unwrap();
        assert_eq!(answer, says("spared", from));
        requests += 1;
        connections += 1;
        server.wait_stat(REQUESTS, requests).await;
        server.wait_stat(CONNECTIONS, connections).await;

        // The application calls the service that it is: through Envoy outbound, then inbound.
        let answer = server.http((vip, 80), &host(vip)).await.unwrap();
        assert_eq!(answer, says("server", seen(own, source)));
        let answer = server.tcp((vip, 9000)).await.unwrap();
        assert_eq!(answer, says("server", seen(own, source)));
        requests += 1;
        connections += 1;
        server.wait_stat(REQUESTS, requests).await;
        server.wait_stat(CONNECTIONS, connections).await;

        // Its own address it means literally.
        let answer = server.http((own, 8080), "server").await.unwrap();
        assert_eq!(answer, says("server", own));
        assert_eq!(server.stat(REQUESTS).await, requests);
    }
    server.check();
}

/// An address as clients write it into a request.
fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

const REQUESTS: &str = "cluster.inbound|8080||;.upstream_rq_total";
const CONNECTIONS: &str = "cluster.inbound|9090||;.upstream_cx_total";
