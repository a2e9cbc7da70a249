//! Names, which applications ask the servers of their machine for and the agent answers.

use std::net::{IpAddr, Ipv4Addr};

use pilothouse_tests::netns::{Machine, User};

use super::app::{App, says};
use super::mesh::{Capture, Ground, Pod, REDIRECT_DNS, capture_traffic, possible};
use super::resolver::Resolver;

/// A service with a virtual address of its own, one without, and one of several machines.
fn manifests(server: &Machine) -> String {
    let (v4, v6) = (server.v4(), server.v6());
    format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: server, namespace: shop }}
spec:
  hosts: [server.shop.svc.cluster.local]
  addresses: [240.0.0.10, 'fd00:240::10']
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{ name: http, number: 80, protocol: HTTP, targetPort: 8080 }}]
  endpoints: [{{ address: {v4} }}, {{ address: '{v6}' }}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: db, namespace: shop }}
spec:
  hosts: [db.internal]
  resolution: STATIC
  ports: [{{ name: tcp, number: 9000, protocol: TCP, targetPort: 9090 }}]
  endpoints: [{{ address: {v4} }}]
"
    )
}

const OUTSIDE: &str = "outside.example";

#[tokio::test]
async fn the_agent_answers_for_the_mesh_and_asks_for_the_rest() {
    if !possible() {
        return;
    }
    let mut ground = Ground::new();
    let (client, server) = (ground.machine("client"), ground.machine("server"));
    let names = ground.machine("names");
    let _apps = [
        App::http("server", &server, 8080),
        App::tcp("db", &server, 9090),
        App::http("outside", &server, 7070),
    ];
    let resolver = Resolver::start(&names, "outside.example.", server.v4());
    let search = "search shop.svc.cluster.local\noptions timeout:2 attempts:1\n";
    client
        .set_resolver(&format!("nameserver {}\n{search}", names.v4()))
        .unwrap();
    let own = client.v4();
    let mut mesh = ground.start(&manifests(&server), "{}").await;
    let capture = Capture {
        mode: "REDIRECT",
        dual: true,
        user: User::Proxy,
        flags: &[REDIRECT_DNS],
    };
    let mut client = mesh.sidecar("client", client, capture).await;

    // Over UDP: the full name, what the search list makes of a short one, and both versions of IP.
    let vip = Ipv4Addr::new(240, 0, 0, 10);
    for name in ["server.shop.svc.cluster.local", "server"] {
        assert_eq!(
            resolve(&client, "ahostsv4", name).await,
            Some(vip.into()),
            "{name}"
        );
        assert_eq!(
            resolve(&client, "ahostsv6", name).await,
            "fd00:240::10".parse().ok(),
            "{name}"
        );
        let answer = client.http((vip, 80), name).await.unwrap();
        assert!(
            [says("server", own), says("server", client.machine().v6())].contains(&answer),
            "{answer}"
        );
    }
    // A name without an address gets one, and connections to it arrive.
    let automatic = resolve(&client, "ahostsv4", "db.internal").await.unwrap();
    assert_eq!(
        client.tcp((automatic, 9000)).await.unwrap(),
        says("db", own)
    );
    assert_eq!(resolver.asked(), Vec::<String>::new());

    // What the mesh does not know is asked of the machine's own server, and used.
    let outside = resolve(&client, "ahostsv4", OUTSIDE).await.unwrap();
    assert_eq!(outside, IpAddr::V4(server.v4()));
    assert_eq!(
        client.http((outside, 7070), OUTSIDE).await.unwrap(),
        says("outside", own)
    );
    assert_eq!(resolve(&client, "ahostsv4", "nobody.example").await, None);
    let asked = resolver.asked();
    assert!(
        asked.contains(&"outside.example.".to_owned())
            && asked.contains(&"nobody.example.".to_owned()),
        "{asked:?}"
    );
    assert!(
        !asked
            .iter()
            .any(|name| name == "server.shop.svc.cluster.local." || name == "db.internal."),
        "{asked:?}"
    );

    // Over TCP, and by a server that is reached over IPv6.
    let before = resolver.asked();
    let tcp = format!(
        "nameserver {}\noptions use-vc timeout:2 attempts:1\n",
        names.v4()
    );
    client.machine().set_resolver(&tcp).unwrap();
    assert_eq!(
        resolve(&client, "ahostsv4", "db.internal").await,
        Some(automatic)
    );
    let six = format!("nameserver {}\noptions timeout:2 attempts:1\n", names.v6());
    client.machine().set_resolver(&six).unwrap();
    capture_traffic(client.machine(), capture).await;
    assert_eq!(
        resolve(&client, "ahostsv4", "db.internal").await,
        Some(automatic)
    );
    assert_eq!(resolver.asked(), before);
    client.check();
}

/// What a program on the machine learns of a name; it asks as all programs do.
async fn resolve(pod: &Pod, how: &str, name: &str) -> Option<IpAddr> {
    let text = pod
        .machine()
        .run(User::Application, &["getent", how, name])
        .await;
    text.ok()?.split_whitespace().next()?.parse().ok()
}
