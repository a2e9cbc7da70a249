//! The contract of registries, on a real cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use pilothouse_consul::client::{Client, Settings};
use pilothouse_consul::{ConsulConfig, ConsulRegistry};
use pilothouse_core::model::{Host, ServiceKey};
use pilothouse_core::registry::Registry;
use pilothouse_core::registry::contract::{Fixture, PORT, World, every_check};
use pilothouse_tests::consul::{Binary, Cluster};
use serde_json::json;

use super::setting::Wire;
use crate::world::Scratch;

/// The registry reaches the cluster over a wire that can be cut.
struct OnCluster {
    cluster: Cluster,
    wire: Wire,
    registered: BTreeSet<String>,
    _dir: Scratch,
}

impl OnCluster {
    async fn new() -> Self {
        let dir = Scratch::new();
        let binary = Binary::find().unwrap();
        let cluster = Cluster::start(&binary, "dc1", json!({}), dir.path())
            .await
            .unwrap();
        let wire = Wire::to(cluster.address()).await;
        Self {
            cluster,
            wire,
            registered: BTreeSet::new(),
            _dir: dir,
        }
    }
}

#[async_trait]
impl Fixture for OnCluster {
    fn registry(&self) -> Arc<dyn Registry> {
        let client = Client::new(Settings {
            address: self.wire.address().to_string().parse().unwrap(),
            ..Settings::default()
        });
        Arc::new(ConsulRegistry::new(
            ConsulConfig::default(),
            Arc::new(client),
        ))
    }

    fn key(&self, service: &str) -> ServiceKey {
        ServiceKey {
            namespace: "default".into(),
            host: Host::new(&format!("{service}.service.consul")).unwrap(),
        }
    }

    async fn apply(&mut self, world: &World) {
        let mut wanted = BTreeSet::new();
        for (service, ips) in &world.services {
            for ip in ips {
                let id = format!("{service}-{ip}");
                let definition = json!({"id": id, "name": service, "address": ip.to_string(), "port": PORT, "meta": {"protocol": "http"}});
                if !self.registered.contains(&id) {
                    self.cluster.register(definition).await.unwrap();
                }
                wanted.insert(id);
            }
        }
        for id in self.registered.difference(&wanted) {
            self.cluster.deregister(id).await.unwrap();
        }
        self.registered = wanted;
    }

    async fn break_source(&mut self) {
        self.wire.cut(true);
    }

    async fn heal_source(&mut self) {
        self.wire.cut(false);
    }

    async fn apply_spoilt(&mut self, _: &World, _: &str) -> bool {
        // One query alone cannot be made to fail: the scripted agent does that.
        false
    }
}

#[tokio::test]
async fn the_contract_holds_on_a_real_cluster() {
    every_check(async || OnCluster::new().await).await.unwrap();
}
