//! Connections that are told apart by server name, or divided by weight.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Scene, entry, rule, within_five_sigma};
use crate::world::SOON;

/// Says its name to whoever connects, and hangs up.
struct Greeter {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Greeter {
    async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    stream.write_all(name.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()?;
                    // What the client says is read, so that hanging up is no reset.
                    stream.read_to_end(&mut Vec::new()).await.ok()
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

/// Who answers a connection that begins like this.
async fn greeting(via: SocketAddr, first: &[u8]) -> Result<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(via).await?;
        stream.write_all(first).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        anyhow::Ok(said)
    };
    timeout(SOON, exchange).await.context("no greeting")?
}

/// The first message of a client of TLS that asks for `name`.
fn client_hello(name: &'static str) -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = name.try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

/// Names that a rule speaks of go where it says; others go where they would without it, and those that nobody has nowhere.
pub(super) async fn server_names(binary: &Binary, variant: Variant) {
    let via = free_address().unwrap();
    let [one, two] = [Greeter::start("one").await, Greeter::start("two").await];
    let tls = |host: &str, address| entry(host, via.port(), "TLS", address);
    let route = |names: &[&str], to: &str| json!({ "match": [{ "sniHosts": names }], "route": [{ "destination": { "host": to } }] });
    let spec = json!({
        "hosts": ["one.test", "*.one.test"],
        "tls": [route(&["one.test"], "two.test"), route(&["*.one.test"], "one.test")],
    });
    let scene = Scene::start(
        binary,
        variant,
        &[tls("one.test", one.address), tls("two.test", two.address)],
        &[rule("one", spec)],
    )
    .await;
    for (name, expected) in [
        ("one.test", "two"),
        ("a.one.test", "one"),
        ("two.test", "two"),
    ] {
        let hello = client_hello(name);
        let answered = async || {
            let said = greeting(via, &hello).await?;
            ensure!(said == expected, "{said:?}");
            Ok(())
        };
        eventually(&format!("{name} is answered by {expected}"), SOON, answered)
            .await
            .unwrap();
    }
    scene.envoy.wait_settled(SOON).await.unwrap();
}

/// Four of five connections go one way.
pub(super) async fn weights(binary: &Binary, variant: Variant) {
    const MANY: u32 = 1000;
    let via = free_address().unwrap();
    let other = free_address().unwrap().port();
    let [one, two] = [Greeter::start("one").await, Greeter::start("two").await];
    let to = |host: &str, port: u16, weight: u32| json!({ "destination": { "host": host, "port": { "number": port } }, "weight": weight });
    let spec = json!({
        "hosts": ["one.test"],
        "tcp": [{ "route": [to("one.test", via.port(), 80), to("two.test", other, 20)] }],
    });
    let scene = Scene::start(
        binary,
        variant,
        &[
            entry("one.test", via.port(), "TCP", one.address),
            entry("two.test", other, "TCP", two.address),
        ],
        &[rule("one", spec)],
    )
    .await;
    let mut got: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..MANY {
        let who = greeting(via, b"hello").await.unwrap();
        *got.entry(who).or_default() += 1;
    }
    assert_eq!(got.len(), 2, "{got:?}");
    within_five_sigma(got["one"], MANY, 0.8);
    scene.envoy.wait_settled(SOON).await.unwrap();
}
