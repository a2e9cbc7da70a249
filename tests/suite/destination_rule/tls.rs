//! TLS that a client's Envoy begins, with files that its agent gives it.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use pilot_agent::sds::{Sds, Settings};
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::ports::free_address;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{entry, rule};
use crate::world::{SOON, Scratch, World};

/// The name in the server's certificate.
const NAME: &str = "secure.test";

/// The server's certificate is believed by the right roots and name, and by no others; plaintext is not understood.
pub(super) async fn certificates_come_from_files(binary: &Binary, variant: Variant) {
    let dir = Scratch::new();
    let at = |name: &str| dir.path().join(name);
    let (good, other) = (certified(), certified());
    fs::write(at("good.pem"), good.cert.pem()).unwrap();
    fs::write(at("other.pem"), other.cert.pem()).unwrap();
    let mut running = JoinSet::new();
    let sds = Sds::bind(Settings {
        socket: at("SDS"),
        mode: 0o600,
        mounted: None,
        poll: Duration::from_secs(3600),
    })
    .await
    .unwrap();
    running.spawn(async move {
        sds.run(CancellationToken::new()).await.ok();
    });
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = server.local_addr().unwrap();
    running.spawn(serve(server, acceptor(&good)));

    let via = free_address().unwrap();
    let tls = |fields: Value| rule(json!({ "trafficPolicy": { "tls": fields } }));
    let with = |roots: &str, name: &str| {
        tls(json!({
            "mode": "SIMPLE", "caCertificates": at(roots), "sni": NAME, "subjectAltNames": [name],
        }))
    };
    let world = World::start(&[
        ("web.yaml", &entry(via, &[(endpoint, "v1", "r")])),
        ("rule.yaml", &with("good.pem", NAME)),
    ])
    .await;
    let sidecar = Sidecar::new("client", "default").variant(variant);
    let mut bootstrap = sidecar.bootstrap(world.discovery.addresses().grpc).unwrap();
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
    clusters.unwrap().push(agent(&at("SDS")));
    let envoy = Envoy::start(binary, &sidecar.id(), &bootstrap, world.dir())
        .await
        .unwrap();
    envoy.wait_ready(SOON).await.unwrap();
    answers(via, 200).await;
    for (refused, status) in [
        (with("other.pem", NAME), 503),
        (with("good.pem", "another.test"), 503),
        // The server answers with an alert that is no HTTP.
        (tls(json!({ "mode": "DISABLE" })), 502),
        (
            tls(json!({ "mode": "SIMPLE", "credentialName": "web" })),
            503,
        ),
    ] {
        world.mesh.write("rule.yaml", &refused).unwrap();
        answers(via, status).await;
        world
            .mesh
            .write("rule.yaml", &with("good.pem", NAME))
            .unwrap();
        answers(via, 200).await;
    }
    let blind = tls(json!({ "mode": "SIMPLE", "insecureSkipVerify": true }));
    world.mesh.write("rule.yaml", &blind).unwrap();
    world.synced(&sidecar.id()).await.unwrap();
    answers(via, 200).await;
    envoy.wait_settled(SOON).await.unwrap();
}

async fn answers(via: SocketAddr, status: u16) {
    let asked = async || {
        let answer = http::get(via, "web.test", "/", SOON).await?;
        ensure!(answer.status == status, "it answers {answer:?}");
        Ok(())
    };
    eventually(&format!("{via} answers {status}"), SOON, asked)
        .await
        .unwrap();
}

fn certified() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed([NAME.to_owned()]).unwrap()
}

fn acceptor(pair: &CertifiedKey<KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers one request on each connection.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let mut stream = acceptor.accept(stream).await.ok()?;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.ok()? == 0 {
                    return None;
                }
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.ok()?;
            stream.shutdown().await.ok()
        });
    }
}

/// Where certificates come from.
pub(crate) fn agent(socket: &std::path::Path) -> Value {
    json!({
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
    })
}
