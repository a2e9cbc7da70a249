//! The contract of registries, on a real cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pilothouse_consul::client::{Client, Consistency, ConsulApi, Instance, Query, Settings};
use pilothouse_consul::{ConsulConfig, ConsulRegistry};
use pilothouse_core::model::{Host, ServiceKey};
use pilothouse_core::registry::Registry;
use pilothouse_core::registry::contract::{Fixture, PORT, SERVICES, World, every_check};
use pilothouse_tests::consul::{Binary, Cluster};
use serde_json::json;

use super::setting::Wire;
use crate::world::{SOON, Scratch};

/// The registry reaches the cluster over a wire that can be cut.
struct OnCluster {
    cluster: Cluster,
    wire: Wire,
    /// A client that nothing cuts off.
    direct: Client,
    registered: BTreeMap<String, (&'static str, Ipv4Addr)>,
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
        let direct = client(cluster.address());
        // Its own servers are a service, too, and are to be there from the beginning.
        let formed = async {
            while servers(&direct).await < 3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, formed).await.unwrap();
        Self {
            direct,
            cluster,
            wire,
            registered: BTreeMap::new(),
            _dir: dir,
        }
    }
}

#[async_trait]
impl Fixture for OnCluster {
    fn registry(&self) -> Arc<dyn Registry> {
        let client = client(self.wire.address());
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
        // An instance that moves keeps its id: then nobody sees it at both places.
        let mut wanted = BTreeMap::new();
        for (service, ips) in &world.services {
            for (at, ip) in ips.iter().enumerate() {
                wanted.insert(format!("{service}-{at}"), (*service, *ip));
            }
        }
        for (id, (service, ip)) in &wanted {
            if self.registered.get(id) != Some(&(*service, *ip)) {
                let definition = json!({
                    "id": id, "name": service, "address": ip.to_string(), "port": PORT, "meta": {"protocol": "http"},
                });
                self.cluster.register(definition).await.unwrap();
            }
        }
        for id in self
            .registered
            .keys()
            .filter(|id| !wanted.contains_key(*id))
        {
            self.cluster.deregister(id).await.unwrap();
        }
        self.registered = wanted;
        // What an agent is told reaches the catalog a moment later.
        let shown = async {
            while !shows(&self.direct, world).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, shown).await.unwrap();
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

/// As the registry asks: a server may know less than its leader for a moment.
fn as_it_asks() -> Query {
    Query {
        consistency: Consistency::Stale,
        ..Query::default()
    }
}

/// How many of Consul's own servers are healthy, as the first of them knows.
async fn servers(client: &Client) -> usize {
    let found = client.health("consul", &as_it_asks()).await.unwrap().value;
    let passes = |instance: &&Instance| {
        instance
            .checks
            .iter()
            .all(|check| check.status == "passing")
    };
    found.iter().filter(passes).count()
}

/// Whether the catalog is like this.
async fn shows(client: &Client, world: &World) -> bool {
    for service in SERVICES {
        let found = client.health(service, &as_it_asks()).await.unwrap();
        let addresses = found.value.iter().map(|one| &one.service.address);
        let ips: BTreeSet<Ipv4Addr> = addresses.filter_map(|ip| ip.parse().ok()).collect();
        if ips != world.services.get(service).cloned().unwrap_or_default() {
            return false;
        }
    }
    true
}

fn client(address: SocketAddr) -> Client {
    Client::new(Settings {
        address: address.to_string().parse().unwrap(),
        ..Settings::default()
    })
}

#[tokio::test]
async fn the_contract_holds_on_a_real_cluster() {
    every_check(async || OnCluster::new().await).await.unwrap();
}
