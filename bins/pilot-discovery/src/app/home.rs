//! The cluster of Kubernetes that has the rules, and the clusters that it describes.

use std::sync::Arc;

use anyhow::Result;
use pilothouse_core::readiness::Guard;
use pilothouse_core::registry::Registry;
use pilothouse_core::store::StoreHandle;
use pilothouse_kubernetes::{
    Access, ClustersSettings, KubernetesConfig, KubernetesRegistry, MeshConfigs, Reads,
    run_clusters,
};
use tokio_util::sync::CancellationToken;

use crate::config::{Clusters, Source};

/// See the [module](self).
pub(super) struct Home {
    config: KubernetesConfig,
    access: Access,
    client: kube::Client,
}

impl Home {
    /// The one among these sources; `None` if Kubernetes is none of them.
    ///
    /// # Errors
    /// Nothing says where its API server is, or what does is wrong.
    pub(super) async fn find(sources: &[Source]) -> Result<Option<Self>> {
        for source in sources {
            if let Source::Kubernetes { config, access } = source {
                return Ok(Some(Self {
                    config: (**config).clone(),
                    access: (**access).clone(),
                    client: access.client().await?,
                }));
            }
        }
        Ok(None)
    }

    pub(super) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    pub(super) fn registry(&self, meshes: MeshConfigs) -> Arc<KubernetesRegistry> {
        let registry = KubernetesRegistry::new(self.config.clone(), self.client(), meshes);
        Arc::new(registry)
    }

    /// Runs the clusters that it describes, until `stop`.
    pub(super) async fn run_clusters(
        self,
        clusters: Clusters,
        meshes: MeshConfigs,
        store: StoreHandle,
        waiting: Guard,
        stop: CancellationToken,
    ) {
        let Self {
            config,
            access,
            client,
        } = self;
        let settings = ClustersSettings {
            namespace: clusters.namespace.into(),
            own: config.cluster.clone(),
            access,
            patience: clusters.patience,
        };
        let make = move |client, cluster: &str| -> Arc<dyn Registry> {
            let config = KubernetesConfig {
                cluster: cluster.to_owned(),
                reads: Reads::Platform,
                ..config.clone()
            };
            Arc::new(KubernetesRegistry::new(config, client, meshes.clone()))
        };
        run_clusters(client, settings, &make, &store, waiting, stop).await;
    }
}
