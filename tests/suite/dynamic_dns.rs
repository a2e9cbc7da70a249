//! Services of which each request or connection says the name to resolve: real Envoys find the host that the client names.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, World};

on_every_envoy! {
    requests_and_connections_reach_the_host_that_they_name
    routers_pass_them_on
}

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));

/// Names of a wildcard are found in a file of hosts; a name that is nowhere is nobody's.
async fn requests_and_connections_reach_the_host_that_they_name(binary: &Binary, variant: Variant) {
    if !possible() {
        return;
    }
    let one = Backend::start("one", ONE).await.unwrap();
    let web = one.address().port();
    let two = Backend::start_at("two", SocketAddr::new(TWO, web))
        .await
        .unwrap();
    let (secure, _tasks) = secure_backends().await.unwrap();
    let entry = format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: pool, namespace: default }}
spec:
  hosts: ['*.pool.test']
  resolution: DYNAMIC_DNS
  ports:
  - {{ name: http, number: {web}, protocol: HTTP }}
  - {{ name: tls, number: {secure}, protocol: TLS }}
"
    );
    let world = World::start(&[("pool.yaml", &entry)]).await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let envoy = start(binary, &sidecar, &world).await;
    requests_arrive(SocketAddr::from(([127, 0, 0, 1], web)), web, [&one, &two]).await;
    connections_arrive(SocketAddr::from(([127, 0, 0, 1], secure))).await;
    envoy.wait_settled(SOON).await.unwrap();
}

/// The same through a router, with rules that are bound to a gateway.
async fn routers_pass_them_on(binary: &Binary, variant: Variant) {
    if !possible() {
        return;
    }
    let one = Backend::start("one", ONE).await.unwrap();
    let web = one.address().port();
    let two = Backend::start_at("two", SocketAddr::new(TWO, web))
        .await
        .unwrap();
    let (secure, _tasks) = secure_backends().await.unwrap();
    let via = free_address().unwrap();
    let objects = format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: pool, namespace: default }}
spec:
  hosts: ['*.pool.test']
  resolution: DYNAMIC_DNS
  ports:
  - {{ name: http, number: {web}, protocol: HTTP }}
  - {{ name: tls, number: {secure}, protocol: TLS }}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{ name: gw, namespace: default }}
spec:
  selector: {{ app: edge }}
  servers:
  - port: {{ name: http, number: {}, protocol: HTTP }}
    bind: 127.0.0.1
    hosts: ['*.pool.test']
  - port: {{ name: tls, number: {secure}, protocol: TLS }}
    bind: 127.0.0.1
    hosts: ['*.pool.test']
    tls: {{ mode: PASSTHROUGH }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: pool, namespace: default }}
spec:
  hosts: ['*.pool.test']
  gateways: [gw]
  http:
  - route: [{{ destination: {{ host: '*.pool.test', port: {{ number: {web} }} }} }}]
  tls:
  - match: [{{ sniHosts: ['*.pool.test'] }}]
    route: [{{ destination: {{ host: '*.pool.test', port: {{ number: {secure} }} }} }}]
",
        via.port()
    );
    let world = World::start(&[("objects.yaml", &objects)]).await;
    let router = Sidecar::new("edge", "default")
        .router()
        .with("LABELS", serde_json::json!({ "app": "edge" }))
        .variant(variant);
    let envoy = start(binary, &router, &world).await;
    requests_arrive(via, web, [&one, &two]).await;
    connections_arrive(SocketAddr::from(([127, 0, 0, 1], secure))).await;
    envoy.wait_settled(SOON).await.unwrap();
}

/// An Envoy that knows the addresses of `one.pool.test` and `two.pool.test`, and has everything.
async fn start(binary: &Binary, proxy: &Sidecar, world: &World) -> Envoy {
    let hosts = world.dir().join("hosts");
    std::fs::write(
        &hosts,
        format!("{ONE} one.pool.test\n{TWO} two.pool.test\n"),
    )
    .unwrap();
    let binary = binary.with_hosts(&hosts, world.dir()).unwrap();
    let bootstrap = proxy.bootstrap(world.discovery.addresses().grpc).unwrap();
    let envoy = Envoy::start(&binary, &proxy.id(), &bootstrap, world.dir())
        .await
        .unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    world.synced(&proxy.id()).await.unwrap();
    envoy
}

/// Requests get to the backend that they name, at port `web`.
async fn requests_arrive(via: SocketAddr, web: u16, [one, two]: [&Backend; 2]) {
    for (name, expected) in [("one", one), ("two", two), ("one", one)] {
        let host = format!("{name}.pool.test:{web}");
        let answer = http::get(via, &host, "/", SOON).await.unwrap();
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, expected.name())
        );
    }
    let nobody = format!("none.pool.test:{web}");
    assert_eq!(
        http::get(via, &nobody, "/", SOON).await.unwrap().status,
        503
    );
}

/// Connections get to the server that they name.
async fn connections_arrive(via: SocketAddr) {
    for name in ["one", "two"] {
        let told = eventually("the connection leads there", SOON, async || {
            let told = says(via, &format!("{name}.pool.test")).await?;
            ensure!(told == name, "{told:?} answers for {name}");
            Ok(())
        });
        told.await.unwrap();
    }
}

/// Whether an Envoy can be given a file of hosts.
#[expect(clippy::print_stderr, reason = "whoever looks at the tests is to know")]
fn possible() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["--mount", "true"])
        .status();
    let possible = tried.is_ok_and(|status| status.success());
    if !possible {
        let why = "unshare --mount does not work: it takes root and util-linux";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("skipped: {why}");
    }
    possible
}

/// Servers on one port of both addresses that say who they are as soon as something is sent.
async fn secure_backends() -> Result<(u16, JoinSet<()>)> {
    let one = TcpListener::bind((ONE, 0)).await?;
    let port = one.local_addr()?.port();
    let two = TcpListener::bind((TWO, port)).await?;
    let mut tasks = JoinSet::new();
    for (listener, name) in [(one, "one"), (two, "two")] {
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut first = [0; 1];
                if stream.read_exact(&mut first).await.is_ok() {
                    // The client may have gone.
                    let _ = stream.write_all(name.as_bytes()).await;
                }
            }
        });
    }
    Ok((port, tasks))
}

/// What answers a connection that begins TLS with this server name.
async fn says(via: SocketAddr, name: &str) -> Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(via).await?;
        stream.write_all(&client_hello(name)).await?;
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await?;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(Duration::from_secs(5), asked)
        .await
        .context("nobody answers")?
}

/// The first message of TLS, with nothing but a server name in it.
fn client_hello(name: &str) -> Vec<u8> {
    let sized = |wide: bool, bytes: Vec<u8>| {
        let size = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        let size = if wide { &size[..] } else { &size[1..] };
        [size, &bytes[..]].concat()
    };
    let host = [vec![0], sized(true, name.as_bytes().to_vec())].concat();
    let server_name = [vec![0, 0], sized(true, sized(true, host))].concat();
    let body = [
        vec![3, 3],
        vec![7; 32],
        sized(false, vec![]),
        sized(true, vec![0x13, 0x01, 0xc0, 0x2f]),
        sized(false, vec![0]),
        sized(true, server_name),
    ]
    .concat();
    let handshake = [vec![1, 0], sized(true, body)].concat();
    [vec![22, 3, 1], sized(true, handshake)].concat()
}
