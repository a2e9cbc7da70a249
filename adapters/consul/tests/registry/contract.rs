//! The contract of registries, on an agent over HTTP.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use pilothouse_consul::client::Settings;
use pilothouse_consul::{ConsulConfig, ConsulRegistry};
use pilothouse_core::model::{Host, ServiceKey};
use pilothouse_core::registry::Registry;
use pilothouse_core::registry::contract::{Fixture, PORT, World, every_check};
use serde_json::Value;

use crate::agent::{Agent, Fault, instance};

struct OnAgent {
    agent: Agent,
    held: usize,
}

impl OnAgent {
    async fn new(held: usize) -> Self {
        Self {
            agent: Agent::start().await,
            held,
        }
    }

    fn set(&self, world: &World, spoilt: Option<&str>) {
        self.agent.change(|catalog| {
            catalog.services.retain(|name, _| name == "consul");
            for (name, ips) in &world.services {
                let one = |ip: &Ipv4Addr| instance(name, &ip.to_string(), PORT);
                let all: Vec<Value> = ips.iter().map(one).collect();
                catalog.services.insert((*name).into(), all);
            }
            catalog
                .faults
                .retain(|path, _| !path.starts_with("/v1/health/service/"));
            if let Some(name) = spoilt {
                let path = format!("/v1/health/service/{name}");
                catalog
                    .faults
                    .insert(path, Fault::Status(500, "rpc error making call: EOF"));
            }
        });
    }
}

#[async_trait]
impl Fixture for OnAgent {
    fn registry(&self) -> Arc<dyn Registry> {
        let config = ConsulConfig {
            held: self.held,
            ..ConsulConfig::default()
        };
        let client = self.agent.client(Settings::default());
        Arc::new(ConsulRegistry::new(config, Arc::new(client)))
    }

    fn key(&self, service: &str) -> ServiceKey {
        ServiceKey {
            namespace: "default".into(),
            host: Host::new(&format!("{service}.service.consul")).unwrap(),
        }
    }

    async fn apply(&mut self, world: &World) {
        self.set(world, None);
    }

    async fn break_source(&mut self) {
        self.agent.behave(|catalog| {
            catalog
                .faults
                .insert("/".into(), Fault::Status(500, "No cluster leader"));
        });
    }

    async fn heal_source(&mut self) {
        self.agent.behave(|catalog| catalog.faults.remove("/"));
    }

    async fn apply_spoilt(&mut self, world: &World, spoilt: &str) -> bool {
        self.set(world, Some(spoilt));
        true
    }
}

#[tokio::test]
async fn the_contract_holds_with_an_open_query_for_each_service() {
    every_check(async || OnAgent::new(8).await).await.unwrap();
}

#[tokio::test]
async fn the_contract_holds_without_open_queries() {
    every_check(async || OnAgent::new(0).await).await.unwrap();
}
