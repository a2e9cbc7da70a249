//! The contract of registries, on a real API server, which is ended and started again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::{Host, ServiceKey};
use pilothouse_core::registry::Registry;
use pilothouse_core::registry::contract::{Fixture, PORT, SERVICES, World, every_check};
use pilothouse_kubernetes::watch::Settings;
use pilothouse_kubernetes::{Access, KubernetesConfig, KubernetesRegistry};
use pilothouse_tests::kube::objects::Slice;
use pilothouse_tests::kube::{KubeCluster, Options};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::task::block_in_place;

/// A namespace of its own on a cluster that all checks share, one after the other.
struct OnCluster {
    cluster: OwnedMutexGuard<Shared>,
    namespace: String,
    client: kube::Client,
    meshes: watch::Sender<Option<Arc<MeshConfig>>>,
    stated: World,
    /// What was to be stated while there was nobody to take it.
    pending: Option<World>,
}

struct Shared {
    cluster: KubeCluster,
    checks: usize,
    up: bool,
}

impl OnCluster {
    async fn new(shared: &Arc<Mutex<Shared>>) -> Self {
        let mut shared = Arc::clone(shared).lock_owned().await;
        shared.start();
        shared.checks += 1;
        let namespace = format!("check-{}", shared.checks);
        shared.cluster.namespace(&namespace, &[]).await.unwrap();
        let access = Access {
            kubeconfig: Some(shared.cluster.kubeconfig()),
            ..Access::default()
        };
        Self {
            client: access.client().await.unwrap(),
            cluster: shared,
            namespace,
            meshes: watch::Sender::new(Some(Arc::default())),
            stated: World::default(),
            pending: None,
        }
    }

    fn service(&self, name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"ports": [{"name": "http", "port": PORT, "protocol": "TCP"}]},
        })
    }

    fn slice(&self, name: &str, ips: impl IntoIterator<Item = IpAddr>) -> Value {
        let slice = Slice {
            namespace: &self.namespace,
            service: name,
            suffix: "1",
            port: ("http", PORT),
            endpoints: ips.into_iter().map(|ip| (ip, true)).collect(),
        };
        slice.object()
    }

    async fn set(&mut self, world: &World) {
        let cluster = &self.cluster.cluster;
        for name in SERVICES {
            let (before, after) = (self.stated.services.get(name), world.services.get(name));
            if before == after {
                continue;
            }
            let Some(ips) = after else {
                cluster.delete(&self.slice(name, [])).await.unwrap();
                cluster.delete(&self.service(name)).await.unwrap();
                continue;
            };
            if before.is_none() {
                cluster.create(&self.service(name)).await.unwrap();
            }
            let ips = ips.iter().map(|ip| IpAddr::V4(*ip));
            cluster.write(&self.slice(name, ips)).await.unwrap();
        }
        self.stated = world.clone();
    }
}

impl Shared {
    /// On this thread: the harness waits in a way that no other could go on with.
    fn start(&mut self) {
        if !self.up {
            let starting = self.cluster.start_api_server();
            block_in_place(|| Handle::current().block_on(starting)).unwrap();
            self.up = true;
        }
    }
}

#[async_trait]
impl Fixture for OnCluster {
    fn registry(&self) -> Arc<dyn Registry> {
        let registry = KubernetesRegistry::new(
            KubernetesConfig::default(),
            self.client.clone(),
            self.meshes.subscribe(),
        );
        // The suite has less patience than a server that starts needs at times.
        Arc::new(registry.with_settings(Settings {
            retry: Duration::from_millis(250)..=Duration::from_secs(2),
            ..Settings::default()
        }))
    }

    fn key(&self, service: &str) -> ServiceKey {
        let namespace = &self.namespace;
        ServiceKey {
            namespace: namespace.as_str().into(),
            host: Host::new(&format!("{service}.{namespace}.svc.cluster.local")).unwrap(),
        }
    }

    async fn apply(&mut self, world: &World) {
        if self.cluster.up {
            self.set(world).await;
        } else {
            self.pending = Some(world.clone());
        }
    }

    async fn break_source(&mut self) {
        self.cluster.cluster.stop_api_server().unwrap();
        self.cluster.up = false;
    }

    async fn heal_source(&mut self) {
        self.cluster.start();
        if let Some(world) = self.pending.take() {
            self.set(&world).await;
        }
    }

    /// The server takes nothing that cannot be read; the scripted one does.
    async fn apply_spoilt(&mut self, _world: &World, _spoilt: &str) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    let Some(cluster) = KubeCluster::get(Options::default()).await else {
        return;
    };
    let shared = Arc::new(Mutex::new(Shared {
        cluster,
        checks: 0,
        up: true,
    }));
    let outcome = every_check(async || OnCluster::new(&shared).await).await;
    outcome.unwrap();
}
