//! A real Envoy whose certificates come from the agent: renewed under traffic, and kept while their files are in disorder.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use pilot_agent::sds::{Mounted, Sds, Settings};
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::ports::free_address;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use crate::every_envoy::on_every_envoy;
use crate::world::{SOON, Scratch};

on_every_envoy! {
    a_renewed_certificate_loses_no_connection
}

const HOST: &str = "secure.test";

/// A pair is renewed under traffic; half of a pair, a broken one and none at all change nothing; Envoy starts without the files and is
/// given them.
async fn a_renewed_certificate_loses_no_connection(binary: &Binary, variant: Variant) {
    let dir = Scratch::new();
    let at = |name: &str| dir.path().join(name);
    let sds = Sds::bind(Settings {
        socket: at("SDS"),
        mode: 0o600,
        mounted: Some(Mounted {
            chain: at("mounted/cert-chain.pem"),
            key: at("mounted/key.pem"),
            root: at("mounted/root-cert.pem"),
        }),
        poll: Duration::from_secs(3600),
    })
    .await
    .unwrap();
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(sds.run(stop.clone()));

    let (by_name, mounted) = (free_address().unwrap(), free_address().unwrap());
    let name = format!(
        "file-cert:{}~{}",
        at("tls.crt").display(),
        at("tls.key").display()
    );
    let bootstrap = bootstrap(
        &at("SDS"),
        variant,
        &[(by_name, name.as_str()), (mounted, "default")],
    );
    let envoy = Envoy::start(binary, "secure", &bootstrap, dir.path())
        .await
        .unwrap();
    assert_eq!(
        envoy.get("/ready").await.unwrap().status,
        503,
        "it waits for its certificates"
    );
    let first = certified();
    write(dir.path(), &first);
    fs::create_dir(at("mounted")).unwrap();
    for (file, text) in [
        ("cert-chain.pem", first.cert.pem()),
        ("key.pem", first.signing_key.serialize_pem()),
        ("root-cert.pem", first.cert.pem()),
    ] {
        fs::write(at("mounted").join(file), text).unwrap();
    }
    envoy.wait_ready(SOON).await.unwrap();
    serves(by_name, &first).await;
    serves(mounted, &first).await;

    let second = certified();
    let clients = Clients::start(by_name, &[&first, &second]);
    replace(&at("tls.crt"), &second.cert.pem());
    clients.pass(20).await;
    get(by_name, &first).await.unwrap();
    replace(&at("tls.key"), &second.signing_key.serialize_pem());
    serves(by_name, &second).await;

    // None of these is a pair.
    replace(
        &at("tls.key"),
        &KeyPair::generate().unwrap().serialize_pem(),
    );
    replace(&at("tls.crt"), "-----BEGIN CERTIFICATE-----\n");
    clients.pass(20).await;
    fs::remove_file(at("tls.key")).unwrap();
    clients.pass(20).await;
    get(by_name, &second).await.unwrap();
    assert_eq!(clients.stop().await, Vec::<String>::new());

    let refused = envoy
        .stats(r"sds\..*update_rejected$|ssl_context_update_by_sds$")
        .await
        .unwrap();
    assert!(
        refused
            .iter()
            .all(|(name, count)| !name.ends_with("update_rejected") || *count == 0),
        "{refused:?}"
    );
    drop(envoy);
    stop.cancel();
    let ended = timeout(SOON, running.join_next()).await.unwrap();
    ended.unwrap().unwrap().unwrap();
}

/// Envoys lose the agent, and go on with what they have; the agent that comes back gives them the next.
#[tokio::test]
async fn the_agent_may_be_away() {
    let dir = Scratch::new();
    let at = |name: &str| dir.path().join(name);
    let start = async || {
        let sds = Sds::bind(Settings {
            socket: at("SDS"),
            mode: 0o600,
            mounted: None,
            poll: Duration::from_secs(3600),
        })
        .await
        .unwrap();
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(sds.run(stop.clone()));
        (stop, running)
    };
    let (stop, mut running) = start().await;
    let first = certified();
    write(dir.path(), &first);
    let address = free_address().unwrap();
    let name = format!(
        "file-cert:{}~{}",
        at("tls.crt").display(),
        at("tls.key").display()
    );
    let bootstrap = bootstrap(&at("SDS"), Variant::Delta, &[(address, name.as_str())]);
    let binary = Binary::find().unwrap();
    let _envoy = Envoy::start(&binary, "secure", &bootstrap, dir.path())
        .await
        .unwrap();
    serves(address, &first).await;
    stop.cancel();
    timeout(SOON, running.join_next()).await.unwrap();
    get(address, &first).await.unwrap();
    let second = certified();
    write(dir.path(), &second);
    let _again = start().await;
    serves(address, &second).await;
}

/// Listeners that answer everything over TLS, each with a certificate of this name.
fn bootstrap(socket: &Path, variant: Variant, listeners: &[(SocketAddr, &str)]) -> Value {
    let api_type = match variant {
        Variant::Delta => "DELTA_GRPC",
        Variant::Sotw => "GRPC",
    };
    let listener = |(address, secret): &(SocketAddr, &str)| {
        let manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "secure",
            "route_config": { "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": { "inline_string": "secure" } } }],
            }] },
            "http_filters": [{
                "name": "router",
                "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
            }],
        });
        let source = json!({
            "resource_api_version": "V3",
            "initial_fetch_timeout": "0s",
            "api_config_source": {
                "api_type": api_type,
                "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": {
                    "cluster_name": "sds-grpc",
                    "retry_policy": { "retry_back_off": { "base_interval": "0.05s", "max_interval": "0.2s" } },
                } }],
            },
        });
        let tls = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": { "tls_certificate_sds_secret_configs": [{ "name": secret, "sds_config": source }] },
        });
        json!({
            "name": secret,
            "address": { "socket_address": { "address": address.ip(), "port_value": address.port() } },
            "filter_chains": [{
                "filters": [{ "name": "http", "typed_config": manager }],
                "transport_socket": { "name": "tls", "typed_config": tls },
            }],
        })
    };
    json!({
        "admin": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } } },
        "node": { "id": "secure", "cluster": "secure" },
        "static_resources": {
            "listeners": listeners.iter().map(listener).collect::<Vec<_>>(),
            "clusters": [{
                "name": "sds-grpc",
                "type": "STATIC",
                "load_assignment": {
                    "cluster_name": "sds-grpc",
                    "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "pipe": { "path": socket } } } }] }],
                },
                "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                } },
            }],
        },
    })
}

fn certified() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed([HOST.to_owned()]).unwrap()
}

/// Both files, one after the other.
fn write(dir: &Path, pair: &CertifiedKey<KeyPair>) {
    replace(&dir.join("tls.crt"), &pair.cert.pem());
    replace(&dir.join("tls.key"), &pair.signing_key.serialize_pem());
}

fn replace(path: &Path, text: &str) {
    let staged = path.with_extension("new");
    fs::write(&staged, text).unwrap();
    fs::rename(staged, path).unwrap();
}

fn trusting(pairs: &[&CertifiedKey<KeyPair>]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for pair in pairs {
        roots.add(CertificateDer::clone(pair.cert.der())).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

/// One request over a fresh connection that trusts this certificate alone.
async fn get(address: SocketAddr, pair: &CertifiedKey<KeyPair>) -> Result<()> {
    ask(address, &trusting(&[pair])).await
}

async fn ask(address: SocketAddr, tls: &TlsConnector) -> Result<()> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let mut stream = tls.connect(ServerName::try_from(HOST)?, stream).await?;
        let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        ensure!(answer == *b"HTTP/1.1 200", "it answers {answer:?}");
        Ok(())
    };
    timeout(SOON, exchange).await?
}

/// Waits until this certificate is served.
async fn serves(address: SocketAddr, pair: &CertifiedKey<KeyPair>) {
    eventually("the certificate is served", SOON, async || {
        get(address, pair).await
    })
    .await
    .unwrap();
}

/// A client that connects again and again.
struct Clients {
    made: tokio::sync::watch::Receiver<u64>,
    stop: CancellationToken,
    running: JoinSet<Vec<String>>,
}

impl Clients {
    fn start(address: SocketAddr, pairs: &[&CertifiedKey<KeyPair>]) -> Self {
        let (count, made) = tokio::sync::watch::channel(0);
        let stop = CancellationToken::new();
        let (tls, stopped) = (trusting(pairs), stop.clone());
        let mut running = JoinSet::new();
        running.spawn(async move {
            let mut failures = Vec::new();
            while !stopped.is_cancelled() {
                if let Err(error) = ask(address, &tls).await {
                    failures.push(format!("{error:#}"));
                }
                count.send_modify(|count| *count += 1);
            }
            failures
        });
        Self {
            made,
            stop,
            running,
        }
    }

    /// Waits until so many more connections have been made.
    async fn pass(&self, more: u64) {
        let mut made = self.made.clone();
        let until = *made.borrow() + more;
        let passed = timeout(SOON, made.wait_for(|made| *made >= until)).await;
        passed.unwrap().unwrap();
    }

    /// What has failed.
    async fn stop(mut self) -> Vec<String> {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap()
    }
}
