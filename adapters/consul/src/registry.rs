//! The registry: one datacenter of one Consul.

use std::sync::Arc;

use async_trait::async_trait;
use pilothouse_core::registry::{Registry, RegistryId, RunError, Updates};
use tokio_util::sync::CancellationToken;

use crate::client::{ConsulApi, Error};
use crate::config::ConsulConfig;
use crate::map::Naming;
use crate::watch;

/// A datacenter's catalog, and the rules in its key-value store.
#[derive(Debug)]
pub struct ConsulRegistry {
    id: RegistryId,
    config: Arc<ConsulConfig>,
    api: Arc<dyn ConsulApi>,
}

impl ConsulRegistry {
    /// A registry that asks `api`.
    pub fn new(config: ConsulConfig, api: Arc<dyn ConsulApi>) -> Self {
        Self {
            id: config.id(),
            config: Arc::new(config),
            api,
        }
    }

    /// How things are called: for that the agent's own datacenter has to be known.
    async fn naming(&self) -> Result<Naming, Error> {
        let config = &self.config;
        // They come by distance, and nothing is as near as the agent's own.
        let own = self
            .api
            .datacenters()
            .await?
            .into_iter()
            .next()
            .unwrap_or_default();
        let is_local = config.datacenter.is_empty() || config.datacenter == own;
        let (datacenter, cluster) = match is_local {
            true => (own, &config.cluster),
            false => (config.datacenter.clone(), &config.datacenter),
        };
        Ok(Naming {
            domain: config.domain.clone(),
            datacenter,
            is_local,
            cluster: cluster.as_str().into(),
            namespace: config.namespace.clone(),
            wan: config.wan,
            trust_domain: config.trust_domain.clone(),
        })
    }
}

#[async_trait]
impl Registry for ConsulRegistry {
    fn id(&self) -> &RegistryId {
        &self.id
    }

    async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError> {
        let naming = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            naming = self.naming() => naming?,
        };
        let (api, config) = (self.api.clone(), self.config.clone());
        Ok(watch::watch(api, config, Arc::new(naming), updates, stop).await?)
    }
}
