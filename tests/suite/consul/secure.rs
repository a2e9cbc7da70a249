//! Consul behind TLS, which asks for a certificate and for a token. What is wrong with any of them is told, and costs nothing.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilothouse_consul::client::{Client, ConsulApi, Query, Settings, Token};
use pilothouse_tests::consul::{Binary, Cluster};
use pilothouse_tests::envoy;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::traffic::{Target, Traffic};
use pilothouse_tests::wait::eventually;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use super::health::only;
use super::setting::{Wire, backends, discovery_at, failing, unchecked};
use crate::world::{SOON, Scratch};

const TOKEN: &str = "5e5a0c1e-0000-4000-8000-000000000003";
/// What servers' certificates say, and where they listen with TLS.
const NAME: &str = "server.dc1.consul";
const HTTPS: u16 = 8501;

/// What is told of each mistake.
const OTHER_AUTHORITY: &str = "its certificate is of another authority";
const EXPIRED: &str = "its certificate has expired";
const OTHER_NAME: &str = "its certificate bears another name";
const ASKS: &str = "it asks for a client certificate";

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes a certificate and its key.
    fn write(&self, chain: &Path, key: &Path, name: &str, until: i32) {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let signed = params.signed_by(&pair, &self.0).unwrap();
        fs::write(key, pair.serialize_pem()).unwrap();
        fs::write(chain, signed.pem()).unwrap();
    }
}

/// The files of servers and of their client.
struct Files(PathBuf);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn server(&self, authority: &Authority, until: i32) {
        authority.write(
            &self.path("server.pem"),
            &self.path("server.key"),
            NAME,
            until,
        );
    }

    fn client(&self, authority: &Authority) {
        authority.write(
            &self.path("client.pem"),
            &self.path("client.key"),
            "discovery",
            2100,
        );
    }

    fn authority(&self, authority: &Authority) {
        fs::write(self.path("ca.pem"), authority.0.pem()).unwrap();
    }
}

async fn secured(files: &Files, dir: &Path) -> Cluster {
    let more = json!({
        "ports": {"http": 8500, "https": HTTPS, "dns": -1, "grpc": -1},
        "ca_file": files.path("servers-ca.pem"),
        "cert_file": files.path("server.pem"),
        "key_file": files.path("server.key"),
        "verify_incoming_https": true,
        "acl": {"enabled": true, "default_policy": "deny", "tokens": {"master": TOKEN, "agent": TOKEN}},
    });
    let binary = Binary::find().unwrap();
    let cluster = Cluster::start(&binary, "dc1", more, dir).await.unwrap();
    cluster.with_token(TOKEN)
}

#[tokio::test]
async fn what_is_wrong_with_certificates_is_told_and_costs_nothing() {
    let dir = Scratch::new();
    let files = Files(dir.path().to_owned());
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    fs::write(files.path("servers-ca.pem"), ours.0.pem()).unwrap();
    fs::write(files.path("token"), TOKEN).unwrap();
    files.authority(&ours);
    files.server(&ours, 2100);
    files.client(&ours);
    let cluster = secured(&files, dir.path()).await;
    let all = backends(["a", "b"]).await;
    let [a, b] = &all[..] else {
        panic!("two were started")
    };
    eventually("the cluster knows its tokens", SOON, async || {
        cluster.register(unchecked("web", a)).await
    })
    .await
    .unwrap();
    let wire = Wire::to(SocketAddr::from((cluster.address().ip(), HTTPS))).await;
    let address = format!("https://{}", wire.address());
    clients_are_told(&address, &files).await;

    let path = |name: &str| files.path(name).to_str().unwrap().to_owned();
    let (ca, chain, key, token) = (
        path("ca.pem"),
        path("client.pem"),
        path("client.key"),
        path("token"),
    );
    let flags = [
        ("--consul-ca-file", ca.as_str()),
        ("--consul-client-cert-file", chain.as_str()),
        ("--consul-client-key-file", key.as_str()),
        ("--consul-tls-server-name", NAME),
        ("--consul-token-file", token.as_str()),
    ];
    let discovery = discovery_at(&address, dir.path(), &flags).await;
    let binary = envoy::Binary::find().unwrap();
    let sidecar = Sidecar::new("client", "default");
    let _client = sidecar
        .start(&binary, discovery.addresses().grpc, dir.path())
        .await
        .unwrap();
    let via = SocketAddr::from(([127, 0, 0, 1], a.address().port()));
    only(via, &["a"]).await;
    let target = Target {
        via,
        host: "web.service.consul".into(),
        path: "/".into(),
    };
    let flowing = Traffic::start(vec![target], Duration::from_millis(5));

    // Each is wrong while there is no connection, and put right again.
    let check = async |spoil: &dyn Fn(), heal: &dyn Fn(), told: &str| {
        wire.cut(true);
        failing(&discovery, Some("cannot be reached")).await;
        spoil();
        wire.cut(false);
        failing(&discovery, Some(told)).await;
        only(via, &["a"]).await;
        heal();
        failing(&discovery, None).await;
    };
    check(
        &|| files.authority(&others),
        &|| files.authority(&ours),
        OTHER_AUTHORITY,
    )
    .await;
    check(&|| files.client(&others), &|| files.client(&ours), ASKS).await;
    let gone = || fs::remove_file(files.path("client.key")).unwrap();
    check(&gone, &|| files.client(&ours), "client.key").await;
    let serve_until = |year| {
        files.server(&ours, year);
        cluster.run(["reload"], &[]).unwrap();
    };
    check(&|| serve_until(2021), &|| serve_until(2100), EXPIRED).await;
    cluster.register(unchecked("web", b)).await.unwrap();
    only(via, &["a", "b"]).await;
    let report = flowing.stop().await;
    assert_eq!(report.failed, [], "of {} requests", report.sent);
}

/// What a client of each of these settings is told, or finds.
async fn clients_are_told(address: &str, files: &Files) {
    let good = Settings {
        address: address.parse().unwrap(),
        token: Token::Given(TOKEN.into()),
        ca_file: Some(files.path("ca.pem")),
        client_certificate: Some((files.path("client.pem"), files.path("client.key"))),
        server_name: NAME.into(),
        ..Settings::default()
    };
    let check = async |settings: Settings, told: &str| {
        let answer = Client::new(settings).services(&Query::default()).await;
        let said = match answer {
            Ok(answer) => format!("{:?}", answer.value.keys().collect::<Vec<_>>()),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(told), "{said}, and not {told}");
    };
    check(good.clone(), "\"web\"").await;
    let without = |change: fn(&mut Settings)| {
        let mut settings = good.clone();
        change(&mut settings);
        settings
    };
    check(without(|s| s.client_certificate = None), ASKS).await;
    check(without(|s| s.ca_file = None), OTHER_AUTHORITY).await;
    check(without(|s| s.server_name = "elsewhere".into()), OTHER_NAME).await;
    let directory = files.path("authorities");
    fs::create_dir(&directory).unwrap();
    fs::copy(files.path("ca.pem"), directory.join("one.pem")).unwrap();
    let by_directory = Settings {
        ca_file: None,
        ca_path: Some(directory),
        ..good.clone()
    };
    check(by_directory, "\"web\"").await;
    let unverified = without(|s| {
        s.ca_file = None;
        s.verify = false;
    });
    check(unverified, "\"web\"").await;
    check(without(|s| s.token = Token::None), "[]").await;
    let plain = without(|s| {
        s.address = s
            .address
            .to_string()
            .replace("https", "http")
            .parse()
            .unwrap();
    });
    check(plain, "400").await;
}
