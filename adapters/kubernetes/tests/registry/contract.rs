//! The contract of registries, on the scripted server: streamed lists, and by pages of one.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::ServiceKey;
use pilothouse_core::registry::Registry;
use pilothouse_core::registry::contract::{Fixture, SERVICES, World, every_check};
use pilothouse_kubernetes::watch::{Settings, StreamingLists};
use pilothouse_kubernetes::{KubernetesConfig, KubernetesRegistry};
use tokio::sync::watch;

use crate::fake::Fake;
use crate::running::{key, service, slice};

const SERVICE: &str = "services";
const SLICE: &str = "endpointslices.discovery.k8s.io";

struct OnFake {
    fake: Fake,
    settings: fn() -> Settings,
    meshes: watch::Sender<Option<Arc<MeshConfig>>>,
    stated: World,
}

impl OnFake {
    fn new(settings: fn() -> Settings) -> Self {
        Self {
            fake: Fake::new(),
            settings,
            meshes: watch::Sender::new(Some(Arc::default())),
            stated: World::default(),
        }
    }

    fn set(&mut self, world: &World, spoilt: Option<&str>) {
        for name in SERVICES {
            let ips = world.services.get(name);
            let unspoilt = Some(name) != spoilt;
            let slice_name = format!("{name}-1");
            if let Some(ips) = ips {
                if !self.stated.services.contains_key(name) {
                    self.fake.put(SERVICE, service(name));
                }
                if self.stated.services.get(name) != Some(ips) || !unspoilt {
                    let ips: Vec<_> = ips.iter().map(Ipv4Addr::to_string).collect();
                    let endpoints: Vec<_> = ips.iter().map(|ip| (ip.as_str(), true)).collect();
                    let mut slice = slice(name, &endpoints);
                    if !unspoilt {
                        slice["endpoints"] = "none".into();
                    }
                    self.fake.put(SLICE, slice);
                }
            } else if self.stated.services.contains_key(name) {
                self.fake.remove(SLICE, "shop", &slice_name);
                self.fake.remove(SERVICE, "shop", name);
            }
        }
        self.stated = world.clone();
        if let Some(name) = spoilt {
            self.stated.services.remove(name);
        }
    }
}

#[async_trait]
impl Fixture for OnFake {
    fn registry(&self) -> Arc<dyn Registry> {
        let registry = KubernetesRegistry::new(
            KubernetesConfig::default(),
            self.fake.client(),
            self.meshes.subscribe(),
        );
        Arc::new(registry.with_settings((self.settings)()))
    }

    fn key(&self, service: &str) -> ServiceKey {
        key(service)
    }

    async fn apply(&mut self, world: &World) {
        self.set(world, None);
    }

    async fn break_source(&mut self) {
        self.fake.change(|cluster| {
            cluster.down = true;
            cluster.cut();
        });
    }

    async fn heal_source(&mut self) {
        self.fake.heal();
    }

    async fn apply_spoilt(&mut self, world: &World, spoilt: &str) -> bool {
        self.set(world, Some(spoilt));
        true
    }
}

#[tokio::test]
async fn the_contract_holds_with_streamed_lists() {
    let fixture = async || OnFake::new(Settings::default);
    every_check(fixture).await.unwrap();
}

#[tokio::test]
async fn the_contract_holds_with_lists_by_pages() {
    let settings = || Settings {
        page: 1,
        streaming: StreamingLists::never(),
        ..Settings::default()
    };
    let fixture = async || OnFake::new(settings);
    every_check(fixture).await.unwrap();
}
