//! Mutual TLS.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::discovery::{Discovery, Mood};
use super::envoy::DELTA;
use super::*;
use crate::certificates::provider;

/// Who certifies.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "root");
        let certificate = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        Self {
            certificate,
            issuer,
        }
    }

    fn certify(&self, names: Vec<SanType>) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A discovery with this certificate, for clients whose certificates are ours.
    async fn discovery(&self, (certificate, key): (Certificate, KeyPair)) -> Discovery {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider())
            .build()
            .unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let any = "127.0.0.1:0".parse().unwrap();
        Discovery::start_at(any, Mood::Takes, Some(Arc::new(config))).await
    }

    /// Files for a client.
    fn write(&self, dir: &Path) -> Tls {
        let (certificate, key) = self.certify(vec![uri("spiffe://mesh.test/ns/a/sa/web")]);
        let tls = Tls {
            chain: dir.join("cert-chain.pem"),
            key: dir.join("key.pem"),
            root: dir.join("root-cert.pem"),
            server_names: Vec::new(),
        };
        fs::write(&tls.chain, certificate.pem()).unwrap();
        fs::write(&tls.key, key.serialize_pem()).unwrap();
        fs::write(&tls.root, self.certificate.pem()).unwrap();
        tls
    }
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

#[tokio::test]
async fn discovery_must_have_one_of_the_names() {
    const PILOT: &str = "spiffe://mesh.test/ns/system/sa/pilot";
    let authority = Authority::new();
    let dir = TempDir::new().unwrap();
    let check = async |has: Vec<SanType>, wanted: &[&str], expected: bool| {
        let what = format!("{has:?} for {wanted:?}");
        let mut discovery = authority.discovery(authority.certify(has)).await;
        let mut tls = authority.write(dir.path());
        tls.server_names = wanted.iter().map(|name| (*name).to_owned()).collect();
        let mut world =
            World::start_with(&[discovery.address], |settings| settings.tls = Some(tls)).await;
        if expected {
            let mut envoy = world.envoy().await;
            let opening = envoy.begin(DELTA);
            let served = discovery.stream().await;
            assert_eq!(served.path, DELTA);
            opening.answered().await;
        } else {
            let status = world.status(|status| status.last_error.is_some()).await;
            let connected = status.is_connected();
            let why = status.last_error.unwrap();
            assert!(
                why.contains("TLS") && why.contains("certificate"),
                "{what}: {why}"
            );
            assert!(!connected, "{what}");
        }
        world.end().await;
    };
    let host = || SanType::IpAddress("127.0.0.1".parse().unwrap());
    check(vec![uri(PILOT)], &[PILOT], true).await;
    check(vec![dns("pilot.test")], &["other.test", "pilot.test"], true).await;
    check(vec![host()], &[], true).await;
    check(vec![uri("spiffe://mesh.test/ns/a/sa/web")], &[PILOT], false).await;
    check(
        vec![uri("spiffe://mesh.test/ns/system/sa/pilot2")],
        &[PILOT],
        false,
    )
    .await;
    check(vec![dns("other.test"), host()], &["pilot.test"], false).await;
    check(vec![dns("pilot.test")], &[], false).await;
}

#[tokio::test]
async fn another_authority_is_not_believed() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let dir = TempDir::new().unwrap();
    let name = || vec![dns("pilot.test")];
    let discovery = ours.discovery(theirs.certify(name())).await;
    let mut tls = ours.write(dir.path());
    tls.server_names = vec!["pilot.test".to_owned()];
    let mut world =
        World::start_with(&[discovery.address], |settings| settings.tls = Some(tls)).await;
    let status = world.status(|status| status.last_error.is_some()).await;
    let why = status.last_error.unwrap();
    assert!(why.contains("certificate"), "{why}");
    world.end().await;
}

#[tokio::test]
async fn files_are_those_of_the_moment_and_half_a_pair_is_not_used() {
    let (former, next) = (Authority::new(), Authority::new());
    let dir = TempDir::new().unwrap();
    let host = || vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let mut first = former.discovery(former.certify(host())).await;
    let mut second = next.discovery(next.certify(host())).await;
    let tls = former.write(dir.path());
    let addresses = [first.address, second.address];
    let mut world =
        World::start_with(&addresses, |settings| settings.tls = Some(tls.clone())).await;
    let mut envoy = world.envoy().await;
    let opening = envoy.begin(DELTA);
    first.stream().await;
    opening.answered().await;

    // Half of the next: what is there is not used, what was good is, and the second does not know it.
    let half = TempDir::new().unwrap();
    let renewed = next.write(half.path());
    fs::rename(&renewed.chain, &tls.chain).unwrap();
    drop(first);
    let second_address = second.address.to_string();
    let status = world
        .status(|status| {
            let why = status.last_error.as_deref().unwrap_or_default();
            why.contains(&second_address)
        })
        .await;
    assert!(status.last_error.unwrap().contains("certificate"));
    assert!(!world.status.borrow().is_connected());

    fs::rename(&renewed.key, &tls.key).unwrap();
    fs::rename(&renewed.root, &tls.root).unwrap();
    let opening = envoy.begin(DELTA);
    second.stream().await;
    opening.answered().await;
    world.end().await;
}
