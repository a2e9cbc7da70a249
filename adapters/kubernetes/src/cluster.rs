//! One cluster as a registry: a follower for each kind, and one place where what they tell becomes transactions.
//!
//! ```text
//! nodes, namespaces ──┐ first
//! services, pods, … ──┼─► follower each ──news──► batch ──Tx──► store
//! kinds of rules ─────┘     (convert)                └──► what is known of their status
//! ```
//!
//! - Nodes and namespaces come first: where things are and what is read at all, so that nothing is computed twice.
//! - What is ready at once goes into one transaction, in the order in which it came; nothing waits for more.
//! - Which namespaces are read follows from the mesh config and from their labels. When it changes, the kinds that belong to
//!   namespaces are listed anew, each in one transaction; until then everything stays.
//! - The set of a kind is called as kubectl calls the kind.

mod batch;
mod convert;
mod followed;
mod follower;
mod run;
mod selected;
mod served;

use std::sync::Arc;

use async_trait::async_trait;
use kube::Client;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::registry::{Registry, RegistryId, RunError, Updates};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::KubernetesConfig;
use crate::status::{Known, StatusSettings, StatusWriter};
use crate::watch::Settings;
use run::Run;

/// The settings of the mesh as they change; `None` as long as they are not known.
pub type MeshConfigs = watch::Receiver<Option<Arc<MeshConfig>>>;

/// What the API server of one cluster holds.
pub struct KubernetesRegistry {
    id: RegistryId,
    config: KubernetesConfig,
    client: Client,
    meshes: MeshConfigs,
    settings: Settings,
    known: Known,
}

impl KubernetesRegistry {
    /// A registry that asks `client`. Nothing is asked before `meshes` has settings: they say what is read.
    pub fn new(config: KubernetesConfig, client: Client, meshes: MeshConfigs) -> Self {
        Self {
            id: config.id(),
            config,
            client,
            meshes,
            settings: Settings::default(),
            known: Known::default(),
        }
    }

    /// The same, as patient as these say.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Who writes the status of the objects that this reads.
    pub fn status_writer(&self, settings: StatusSettings) -> StatusWriter {
        StatusWriter::new(
            self.client.clone(),
            self.id.clone(),
            self.known.clone(),
            settings,
        )
    }
}

#[async_trait]
impl Registry for KubernetesRegistry {
    fn id(&self) -> &RegistryId {
        &self.id
    }

    async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError> {
        let mut meshes = self.meshes.clone();
        let begun = async {
            let first = meshes.wait_for(Option::is_some).await?.clone();
            let mesh = first.unwrap_or_default();
            Run::new(self, updates, mesh, meshes.clone()).run().await
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            ended = begun => ended,
        }
    }
}
