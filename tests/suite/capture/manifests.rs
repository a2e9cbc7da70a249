//! A folder of Kubernetes' own manifests, as captured applications see it: virtual addresses, headless services, other names.

use std::net::Ipv4Addr;

use super::app::{App, says};
use super::mesh::{Ground, REDIRECT, possible};

/// A service with a virtual address and a slice, a headless one that selects a pod, another name of the first, and the pods of
/// `server` and `client`.
fn manifests(server: Ipv4Addr, client: Ipv4Addr) -> String {
    let pod = |name: &str, ip: Ipv4Addr| {
        format!(
            "---
apiVersion: v1
kind: Pod
metadata: {{ name: {name}, namespace: shop, labels: {{ app: {name} }} }}
spec: {{ nodeName: node-1, containers: [{{ name: app, ports: [{{ name: bytes, containerPort: 9090 }}] }}] }}
status: {{ podIP: {ip} }}
"
        )
    };
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{ name: web, namespace: shop }}
spec:
  clusterIP: 10.96.0.10
  ports:
  - {{ name: http, port: 80, targetPort: 8080 }}
  - {{ name: tcp, port: 9000, targetPort: bytes }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: web-1, namespace: shop, labels: {{ kubernetes.io/service-name: web }} }}
addressType: IPv4
ports: [{{ name: http, port: 8080 }}, {{ name: tcp, port: 9090 }}]
endpoints: [{{ addresses: [{server}], targetRef: {{ kind: Pod, name: server }} }}]
---
apiVersion: v1
kind: Service
metadata: {{ name: each, namespace: shop }}
spec: {{ clusterIP: None, selector: {{ app: server }}, ports: [{{ name: tcp, port: 9090, targetPort: bytes }}] }}
---
apiVersion: v1
kind: Service
metadata: {{ name: other, namespace: shop }}
spec: {{ type: ExternalName, externalName: web.shop.svc.cluster.local }}
---
apiVersion: v1
kind: Service
metadata: {{ name: own, namespace: shop }}
spec: {{ clusterIP: 10.96.0.11, selector: {{ app: client }}, ports: [{{ name: http, port: 80, targetPort: 8080 }}] }}
{}{}",
        pod("server", server),
        pod("client", client)
    )
}

const HEADLESS: &str = "cluster.outbound|9090||each.shop.svc.cluster.local;.upstream_cx_total";
const INBOUND: &str = "cluster.inbound|8080||;.upstream_cx_total";
const PASSED: &str = "cluster.PassthroughCluster.upstream_cx_total";

#[tokio::test]
async fn services_of_manifests_are_reached_as_in_a_cluster() {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let (client, server) = (ground.machine("client"), ground.machine("server"));
    let _apps = [
        App::http("server", &server, 8080),
        App::tcp("server", &server, 9090),
        App::http("client", &client, 8080),
    ];
    let mut mesh = ground
        .start(&manifests(server.v4(), client.v4()), "{}")
        .await;
    let own = client.v4();
    let mut client = mesh.sidecar("client", client, REDIRECT).await;

    let vip = Ipv4Addr::new(10, 96, 0, 10);
    let answer = says("server", own);
    for host in ["web", "web.shop.svc.cluster.local", "other"] {
        assert_eq!(
            client.http((vip, 80), host).await.unwrap(),
            answer,
            "{host}"
        );
    }
    assert_eq!(client.tcp((vip, 9000)).await.unwrap(), answer);
    // By the address of a pod, as its name below a headless service says it.
    assert_eq!(client.stat(HEADLESS).await, 0);
    assert_eq!(client.tcp((server.v4(), 9090)).await.unwrap(), answer);
    client.wait_stat(HEADLESS, 1).await;
    assert_eq!(client.stat(PASSED).await, 0);
    // The service that selects the client's own pod has a port there.
    let itself = client.http((Ipv4Addr::new(10, 96, 0, 11), 80), "own").await;
    assert!(itself.unwrap().starts_with("client sees "));
    assert!(client.stat(INBOUND).await > 0);
    client.check();
}
