//! The command lines of old manifests, as they are written: an Envoy by template in front of discovery, on a machine of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use pilot_agent::bootstrap;
use pilot_agent::config::{self, Surroundings};
use pilothouse_tests::ads::{CLUSTER, DeltaClient, node};
use pilothouse_tests::envoy::{Binary, VERSIONS};
use pilothouse_tests::http;
use pilothouse_tests::netns::{Machine, Network, User};
use pilothouse_tests::process::Process;
use pilothouse_tests::wait::eventually;
use pilothouse_tests::{agent, discovery};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{SOON, Scratch};

const AGENT: &str = "pilot-agent proxy --serviceCluster istio-pilot --templateFile /etc/istio/proxy/envoy_pilot.yaml.tmpl --controlPlaneAuthPolicy NONE --log_output_level default:debug";
const DISCOVERY: &str = "pilot-discovery discovery --log_output_level default:debug";

const TEMPLATE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/agent/envoy_pilot.yaml.tmpl"
);
const HOST: &str = "pilot.test";
const MESH: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: web, namespace: shop }
spec:
  hosts: [web.shop]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 10.0.0.9 }]
";

/// Every Envoy takes what the template makes, whether its listeners are to be secured or not, without calling any of it deprecated.
#[tokio::test]
async fn every_envoy_accepts_it() {
    let dir = Scratch::new();
    for version in VERSIONS {
        let binary = Binary::find_version(version).unwrap();
        for policy in ["NONE", "MUTUAL_TLS"] {
            let line = format!(
                "pilot-agent bootstrap --ip 10.0.0.1 --templateFile {TEMPLATE} --controlPlaneAuthPolicy {policy}"
            );
            let command = config::parse(line.split(' '), &Surroundings::default()).unwrap();
            let config::Command::Bootstrap(config, client) = command else {
                panic!("{command:?}");
            };
            let text = bootstrap::text(&config, client).unwrap();
            let secured = text.matches("require_client_certificate: true").count();
            assert_eq!(secured, if policy == "NONE" { 2 } else { 3 });
            let path = dir.path().join(format!("{policy}.yaml"));
            fs::write(&path, text).unwrap();
            binary.validate_file(&path).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_lines_work_as_they_are_written() {
    let dir = Scratch::new();
    let mut network = Network::create().unwrap();
    let machine = Arc::new(network.machine("pilot").unwrap());
    let authority = Authority::new();
    let certificates = dir.path().join("certs");
    authority.write(&certificates);
    let mesh = dir.path().join("mesh");
    fs::create_dir(&mesh).unwrap();
    fs::write(mesh.join("web.yaml"), MESH).unwrap();
    let binaries = binaries(dir.path()).await;
    let run = |name: &str, line: &str| {
        let etc = dir.path().join(format!("{name}.etc"));
        let mut command = machine.command(User::Root, "sh");
        prepare(&mut command, line, &etc, &certificates, &mesh);
        command.env_clear().env("PATH", &binaries);
        Process::spawn(name, &mut command, &dir.path().join(format!("{name}.log"))).unwrap()
    };

    let mut pilot = run("discovery", DISCOVERY);
    let mut agent = run("agent", AGENT);
    let ready = agent.until("discovery is ready behind Envoy", SOON, async || {
        for port in [8080, 15007, 15003] {
            let answer = machine.get(local(port), "a", "/ready", SOON).await?;
            ensure!(answer.status == 200, "{port}: {}", answer.body);
        }
        Ok(())
    });
    ready.await.unwrap();
    pilot.check_running().unwrap();

    // Mutual TLS, once the certificates have come.
    let client = authority.client();
    eventually("pages over mutual TLS", SOON, async || {
        let stream = secure(&machine, 15005, &client, &[]).await?;
        let answer = http::get_over(stream, HOST, "/ready", SOON).await?;
        ensure!(answer.status == 200, "{}", answer.body);
        Ok(())
    })
    .await
    .unwrap();
    for port in [15005, 15011] {
        let plain = machine.get(local(port), HOST, "/ready", SOON).await;
        assert!(plain.is_err(), "{port}: {plain:?}");
        for stranger in [Authority::new().client(), authority.nobody()] {
            // A client learns of its refusal with the first bytes of the answer.
            let asked = async {
                let stream = secure(&machine, port, &stranger, &[]).await?;
                http::get_over(stream, HOST, "/ready", SOON).await
            };
            assert!(asked.await.is_err(), "{port}");
        }
    }

    // Discovery itself.
    let mut forwards = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (inside, identity) = (Arc::clone(&machine), client.clone());
    forwards.spawn(async move {
        let (mut plain, _) = listener.accept().await.unwrap();
        let mut secured = secure(&inside, 15011, &identity, &["h2"]).await.unwrap();
        copy_bidirectional(&mut plain, &mut secured).await.ok();
    });
    let node = node(
        "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local",
        &[("NAMESPACE", "shop")],
    );
    let mut xds = DeltaClient::connect(address, node).await.unwrap();
    xds.subscribe(CLUSTER, &["*"]).unwrap();
    let answer = xds.next().await.unwrap();
    let names: Vec<_> = answer
        .resources
        .iter()
        .map(|resource| resource.name.as_str())
        .collect();
    assert!(names.contains(&"outbound|80||web.shop"), "{names:?}");
    drop(xds);
    forwards.shutdown().await;

    // What was asked for is what runs, and both end well.
    let dump = machine
        .get(local(15000), "a", "/server_info", SOON)
        .await
        .unwrap();
    assert!(
        dump.body.contains("\"cluster\": \"istio-pilot\""),
        "{}",
        dump.body
    );
    for process in [&mut agent, &mut pilot] {
        let status = process.terminate(SOON).await.unwrap();
        assert!(
            status.success(),
            "{status}: {}",
            process.log_text().unwrap()
        );
    }
    assert!(
        agent
            .log_text()
            .unwrap()
            .contains("Envoy exited with code 0")
    );
}

/// What the old line needs without its directory is said, and the process lives.
#[tokio::test]
async fn discovery_waits_for_its_directory() {
    let dir = Scratch::new();
    let mut network = Network::create().unwrap();
    let machine = network.machine("pilot").unwrap();
    let mut command = machine.command(User::Root, "sh");
    let etc = dir.path().join("etc");
    command
        .args(["-ec", &format!("{EMPTY_ETC}exec {DISCOVERY}"), "sh"])
        .arg(etc)
        .env("PATH", binaries(dir.path()).await);
    let log = dir.path().join("discovery.log");
    let mut pilot = Process::spawn("discovery", &mut command, &log).unwrap();
    let told = pilot.until("it says what is missing", SOON, async || {
        let text = fs::read_to_string(&log)?;
        ensure!(
            text.contains("/etc/istio/config does not exist; create it"),
            "{text}"
        );
        let ready = machine.get(local(8080), "a", "/ready", SOON).await?;
        ensure!(
            ready.status == 503 && ready.body.contains("Static/default"),
            "{ready:?}"
        );
        Ok(())
    });
    told.await.unwrap();
    assert!(pilot.terminate(SOON).await.unwrap().success());
}

/// An `/etc` of one's own, which is gone with the mount namespace. It is `$1`.
const EMPTY_ETC: &str = r#"
mkdir "$1"
cp -a /etc/. "$1"
mount --bind "$1" /etc
rm -rf /etc/istio /etc/certs
"#;

/// Runs `line` where old manifests have put things.
fn prepare(command: &mut Command, line: &str, etc: &Path, certificates: &Path, mesh: &Path) {
    let script = format!(
        r#"{EMPTY_ETC}
mkdir -p /etc/istio/proxy
cp "$2" /etc/istio/proxy/envoy_pilot.yaml.tmpl
cp -r "$3" /etc/certs
cp -r "$4" /etc/istio/config
exec {line}
"#
    );
    command
        .args(["-ec", &script, "sh"])
        .args([etc, Path::new(TEMPLATE), certificates, mesh]);
}

/// A PATH on which are the binaries of this workspace and an Envoy.
async fn binaries(dir: &Path) -> String {
    let built = spawn_blocking(|| Ok::<_, anyhow::Error>((discovery::binary()?, agent::binary()?)));
    let (pilot, agent) = built.await.unwrap().unwrap();
    let bin: PathBuf = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    let envoy = Binary::find().unwrap();
    for (name, path) in [
        ("pilot-discovery", pilot.as_path()),
        ("pilot-agent", agent.as_path()),
        ("envoy", envoy.path()),
    ] {
        let path = fs::canonicalize(path).unwrap();
        std::os::unix::fs::symlink(path, bin.join(name)).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A root, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        // Whoever has the name of its issuer is taken for the issuer.
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &self.0).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    /// As mounted.
    fn write(&self, dir: &Path) {
        fs::create_dir(dir).unwrap();
        let (chain, key) = self.sign(HOST);
        for (name, text) in [
            ("cert-chain.pem", chain),
            ("key.pem", key),
            ("root-cert.pem", self.0.pem()),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
    }

    /// One of its clients.
    fn client(&self) -> Client {
        Client {
            root: self.0.pem(),
            identity: Some(self.sign("client.test")),
        }
    }

    /// Somebody who trusts it and shows nothing.
    fn nobody(&self) -> Client {
        Client {
            root: self.0.pem(),
            identity: None,
        }
    }
}

#[derive(Clone)]
struct Client {
    root: String,
    identity: Option<(String, String)>,
}

/// TLS to a port of the machine.
async fn secure(
    machine: &Machine,
    port: u16,
    client: &Client,
    protocols: &[&str],
) -> Result<TlsStream<tokio::net::TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(client.root.as_bytes())?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut tls = match &client.identity {
        Some((chain, key)) => builder.with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(chain.as_bytes())?],
            PrivateKeyDer::from_pem_slice(key.as_bytes())?,
        )?,
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let stream = machine.connect(local(port), SOON).await?;
    TlsConnector::from(Arc::new(tls))
        .connect(ServerName::try_from(HOST)?, stream)
        .await
        .context("TLS")
}
