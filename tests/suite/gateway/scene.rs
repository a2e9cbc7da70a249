//! Discovery, a router with an Envoy, and what is asked of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use pilot_agent::sds::{Sds, Settings};
use pilothouse_tests::backend::Backend;
use pilothouse_tests::envoy::{Binary, Envoy};
use pilothouse_tests::http;
use pilothouse_tests::sidecar::Sidecar;
use pilothouse_tests::wait::eventually;
use pilothouse_xds::bootstrap::Variant;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::rules::Object;
use crate::destination_rule::tls::agent;
use crate::world::{SOON, Scratch, World};

/// See the [module](self).
pub(super) struct Scene {
    pub(super) world: World,
    router: Sidecar,
    envoy: Envoy,
    _running: JoinSet<()>,
    /// Where the agent is. It goes last.
    _scratch: Scratch,
}

impl Scene {
    /// A router that has everything that these objects say.
    pub(super) async fn start(binary: &Binary, variant: Variant, objects: &[Object]) -> Self {
        let files: Vec<_> = objects
            .iter()
            .map(|object| (object.file(), object.text()))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let scratch = Scratch::new();
        let socket = scratch.path().join("SDS");
        let mut running = JoinSet::new();
        running.spawn(secrets(socket.clone()).await);
        let world = World::start(&files).await;
        let router = Sidecar::new("router", "default")
            .router()
            .with("LABELS", json!({ "app": "edge" }))
            .variant(variant);
        let mut bootstrap = router.bootstrap(world.discovery.addresses().grpc).unwrap();
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
        clusters.unwrap().push(agent(&socket));
        let envoy = Envoy::start(binary, &router.id(), &bootstrap, world.dir())
            .await
            .unwrap();
        envoy.wait_ready(SOON).await.unwrap();
        world.synced(&router.id()).await.unwrap();
        Self {
            world,
            router,
            envoy,
            _running: running,
            _scratch: scratch,
        }
    }

    pub(super) fn write(&self, object: &Object) {
        let (file, text) = (object.file(), object.text());
        self.world.mesh.write(&file, &text).unwrap();
    }

    pub(super) fn remove(&self, kind: &str, name: &str) {
        self.world.mesh.remove(&super::file(kind, name)).unwrap();
    }

    /// Everything has been taken, and nothing was refused or deprecated.
    pub(super) async fn settled(&self) {
        self.world.synced(&self.router.id()).await.unwrap();
        self.envoy.wait_settled(SOON).await.unwrap();
    }

    /// The author of an object is told this.
    pub(super) async fn told(&self, kind: &str, name: &str, what: &str) {
        let told = async || {
            let lost = self.lost(kind, name).await?;
            ensure!(lost.contains(what), "{kind} {name} is told {lost}");
            Ok(())
        };
        eventually(&format!("{kind} {name} is told {what:?}"), SOON, told)
            .await
            .unwrap();
    }

    /// The author of an object is told of no conflict.
    pub(super) async fn not_told(&self, kind: &str, name: &str) {
        let untold = async || {
            let lost = self.lost(kind, name).await?;
            ensure!(lost.is_empty(), "{kind} {name} is told {lost}");
            Ok(())
        };
        eventually(&format!("{kind} {name} has what it says"), SOON, untold)
            .await
            .unwrap();
    }

    async fn lost(&self, kind: &str, name: &str) -> anyhow::Result<String> {
        let page = self.world.discovery.debug("/debug/configz").await?;
        Ok(find(&page, kind, name).unwrap_or_default())
    }
}

/// What a page says that an object has lost, wherever in it.
fn find(page: &serde_json::Value, kind: &str, name: &str) -> Option<String> {
    let mut open = vec![page];
    while let Some(value) = open.pop() {
        let is_it = [&value["object"], &value["of"]["object"], value]
            .iter()
            .any(|key| key["kind"] == kind && key["name"] == name);
        let lost = [&value["lost"], &value["status"]["lost"]];
        if let Some(lost) = lost
            .iter()
            .find_map(|lost| lost.as_array())
            .filter(|_| is_it)
        {
            let whys = lost.iter().filter_map(|one| one["why"].as_str());
            return Some(whys.collect::<Vec<_>>().join("\n"));
        }
        match value {
            serde_json::Value::Array(items) => open.extend(items),
            serde_json::Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    None
}

/// The agent's server of certificates.
async fn secrets(socket: PathBuf) -> impl Future<Output = ()> {
    let sds = Sds::bind(Settings {
        socket,
        mode: 0o600,
        mounted: None,
        poll: Duration::from_secs(3600),
    })
    .await
    .unwrap();
    async move {
        sds.run(CancellationToken::new()).await.ok();
    }
}

pub(super) async fn backends<const N: usize>(names: [&str; N]) -> [Backend; N] {
    let mut all = Vec::new();
    for name in names {
        all.push(Backend::start(name, [127, 0, 0, 1].into()).await.unwrap());
    }
    all.try_into().unwrap()
}

/// Waits until requests for a host are answered by this backend.
pub(super) async fn answers(via: SocketAddr, host: &str, body: &str) {
    answers_at(via, host, "/", body).await;
}

pub(super) async fn answers_at(via: SocketAddr, host: &str, path: &str, body: &str) {
    let asked = async || {
        let answer = http::get(via, host, path, SOON).await?;
        ensure!(answer.body == body, "it answers {answer:?}");
        Ok(())
    };
    eventually(&format!("{host}{path} answers {body:?}"), SOON, asked)
        .await
        .unwrap();
}

pub(super) async fn status(via: SocketAddr, host: &str, path: &str, status: u16) {
    let asked = async || {
        let answer = http::get(via, host, path, SOON).await?;
        ensure!(answer.status == status, "it answers {answer:?}");
        Ok(())
    };
    eventually(&format!("{host}{path} answers {status}"), SOON, asked)
        .await
        .unwrap();
}

/// A path as objects have it.
pub(super) fn path(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    path.to_str()
        .context("a path that is no text")
        .unwrap()
        .to_owned()
}
