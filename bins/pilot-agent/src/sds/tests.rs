//! The server of secrets over its socket, on files that change as they do on machines.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient;
use futures::channel::mpsc;
use hyper_util::rt::TokioIo;
use prost::Message;
use rcgen::generate_simple_self_signed;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A server on a directory.
struct World {
    dir: TempDir,
    stop: CancellationToken,
    running: JoinSet<Result<()>>,
}

impl World {
    async fn start(poll: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        let sds = Sds::bind(Settings {
            socket: at("SDS"),
            mode: 0o600,
            mounted: Some(Mounted {
                chain: at("certs/cert-chain.pem"),
                key: at("certs/key.pem"),
                root: at("certs/root-cert.pem"),
            }),
            poll,
        })
        .await
        .unwrap();
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(sds.run(stop.clone()));
        Self { dir, stop, running }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let staged = path.with_extension("new");
        fs::write(&staged, text).unwrap();
        fs::rename(staged, path).unwrap();
    }

    async fn client(&self) -> SecretDiscoveryServiceClient<Channel> {
        let path = self.at("SDS");
        let connect = service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://sds.test");
        SecretDiscoveryServiceClient::new(endpoint.connect_with_connector(connect).await.unwrap())
    }

    async fn subscribe(&self, names: &[&str]) -> Client {
        let (requests, sent) = mpsc::unbounded();
        let subscription = DeltaDiscoveryRequest {
            resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
            ..DeltaDiscoveryRequest::default()
        };
        requests.unbounded_send(subscription).unwrap();
        let responses = self.client().await.delta_secrets(sent).await.unwrap();
        Client {
            _requests: requests,
            responses: responses.into_inner(),
        }
    }

    async fn end(mut self) {
        self.stop.cancel();
        let ended = timeout(SOON, self.running.join_next()).await.unwrap();
        ended.unwrap().unwrap().unwrap();
        assert!(!self.at("SDS").exists());
    }
}

struct Client {
    _requests: mpsc::UnboundedSender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Client {
    /// The certificate or the roots of the next response, which has one secret.
    async fn next(&mut self) -> String {
        let response = timeout(SOON, self.responses.message()).await;
        let response = response.unwrap().unwrap().unwrap();
        let [resource] = response.resources.as_slice() else {
            panic!("{} secrets come", response.resources.len());
        };
        content(&resource.resource.as_ref().unwrap().value)
    }

    async fn nothing_comes(&mut self) {
        let quiet = timeout(Duration::from_millis(400), self.responses.message()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }
}

fn content(secret: &[u8]) -> String {
    let source = match Secret::decode(secret).unwrap().r#type {
        Some(Type::TlsCertificate(found)) => found.certificate_chain,
        Some(Type::ValidationContext(found)) => found.trusted_ca,
        _ => None,
    };
    use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
    match source.unwrap().specifier {
        Some(Specifier::InlineBytes(bytes)) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A certificate and its key.
fn pair() -> (String, String) {
    let issued = generate_simple_self_signed(["a.test".to_owned()]).unwrap();
    (issued.cert.pem(), issued.signing_key.serialize_pem())
}

fn name(chain: &Path, key: &Path) -> String {
    format!("file-cert:{}~{}", chain.display(), key.display())
}

#[tokio::test]
async fn a_pair_is_served_when_it_is_whole_and_again_when_it_is_renewed() {
    let world = World::start(Duration::from_secs(3600)).await;
    let (chain, key) = (world.at("a/b/cert.pem"), world.at("a/b/key.pem"));
    let mut client = world.subscribe(&[&name(&chain, &key)]).await;
    let (first, first_key) = pair();
    world.write("a/b/cert.pem", &first);
    client.nothing_comes().await;
    world.write("a/b/key.pem", &first_key);
    assert_eq!(client.next().await, first);

    let (second, second_key) = pair();
    world.write("a/b/cert.pem", &second);
    client.nothing_comes().await;
    let mut late = world.subscribe(&[&name(&chain, &key)]).await;
    assert_eq!(late.next().await, first, "the last good one is served");
    world.write("a/b/key.pem", &second_key);
    assert_eq!(client.next().await, second);
    assert_eq!(late.next().await, second);

    world.write("a/b/key.pem", "-----BEGIN");
    fs::remove_file(&chain).unwrap();
    client.nothing_comes().await;
    world.end().await;
}

#[tokio::test]
async fn mounted_certificates_follow_their_links() {
    let world = World::start(Duration::from_secs(3600)).await;
    let versions = [pair(), pair()];
    for (version, (chain, key)) in ["..v1", "..v2"].into_iter().zip(&versions) {
        world.write(&format!("certs/{version}/cert-chain.pem"), chain);
        world.write(&format!("certs/{version}/key.pem"), key);
        world.write(&format!("certs/{version}/root-cert.pem"), chain);
    }
    symlink("..v1", world.at("certs/..data")).unwrap();
    for file in ["cert-chain.pem", "key.pem", "root-cert.pem"] {
        symlink(format!("..data/{file}"), world.at("certs").join(file)).unwrap();
    }
    let mut default = world.subscribe(&["default"]).await;
    let mut root = world.subscribe(&["ROOTCA"]).await;
    assert_eq!(default.next().await, versions[0].0);
    assert_eq!(root.next().await, versions[0].0);
    symlink("..v2", world.at("certs/..tmp")).unwrap();
    fs::rename(world.at("certs/..tmp"), world.at("certs/..data")).unwrap();
    assert_eq!(default.next().await, versions[1].0);
    assert_eq!(root.next().await, versions[1].0);
    world.end().await;
}

#[tokio::test]
async fn what_no_event_tells_is_found_by_looking() {
    let world = World::start(Duration::from_millis(100)).await;
    let (first, second) = (pair().0, pair().0);
    world.write("real/a/root.pem", &first);
    world.write("next/a/root.pem", &second);
    // Two directories above the file: nobody watches there.
    symlink("real", world.at("top")).unwrap();
    let path = world.at("top/a/root.pem");
    let mut client = world
        .subscribe(&[&format!("file-root:{}", path.display())])
        .await;
    assert_eq!(client.next().await, first);
    symlink("next", world.at("top.new")).unwrap();
    fs::rename(world.at("top.new"), world.at("top")).unwrap();
    assert_eq!(client.next().await, second);
    world.end().await;
}

#[tokio::test]
async fn a_single_question_is_answered_once() {
    let world = World::start(Duration::from_secs(3600)).await;
    let roots = pair().0;
    world.write("root.pem", &roots);
    let mut client = world.client().await;
    let ask = |name: String| DiscoveryRequest {
        resource_names: vec![name],
        ..DiscoveryRequest::default()
    };
    let name = format!("file-root:{}", world.at("root.pem").display());
    let response = client.fetch_secrets(ask(name)).await.unwrap().into_inner();
    assert_eq!(content(&response.resources[0].value), roots);
    let refused = client
        .fetch_secrets(ask("kubernetes://other".to_owned()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
    drop(client);
    world.end().await;
}
