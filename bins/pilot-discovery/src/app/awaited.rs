//! The registry of a directory that nobody has named and that may not be there yet. The process lives, and is not ready: taking
//! no directory for an empty one would empty every proxy when a volume is not mounted.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use pilothouse_core::registry::{Registry, RegistryId, RunError, Updates};
use pilothouse_static::{StaticConfig, StaticRegistry};
use thiserror::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the directory is there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A static registry as soon as its directory is there.
#[derive(Debug)]
pub(super) struct Awaited {
    id: RegistryId,
    config: StaticConfig,
    registry: OnceLock<StaticRegistry>,
}

/// The directory is not there.
#[derive(Debug, Error)]
#[error(
    "{0}; create it and put the YAML of the mesh into it, or name another directory with --config-dir"
)]
struct Absent(String);

impl Awaited {
    pub(super) fn new(config: StaticConfig) -> Self {
        Self {
            id: RegistryId::new("Static", &config.cluster),
            config,
            registry: OnceLock::new(),
        }
    }
}

#[async_trait]
impl Registry for Awaited {
    fn id(&self) -> &RegistryId {
        &self.id
    }

    async fn run(&self, updates: Updates, stop: CancellationToken) -> Result<(), RunError> {
        match stop.run_until_cancelled(self.found(&updates)).await {
            Some(registry) => registry.run(updates, stop).await,
            None => Ok(()),
        }
    }
}

impl Awaited {
    /// Waits for the directory, for as long as it takes.
    async fn found(&self, updates: &Updates) -> &StaticRegistry {
        let mut told = false;
        loop {
            if let Some(registry) = self.registry.get() {
                return registry;
            }
            match StaticRegistry::new(self.config.clone()) {
                Ok(found) => return self.registry.get_or_init(|| found),
                Err(error) => {
                    let absent = Absent(error.to_string());
                    if !told {
                        tracing::warn!(%absent, "waiting for the configuration directory");
                        updates.failing(None, &absent);
                        told = true;
                    }
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use pilothouse_core::readiness::Readiness;
    use pilothouse_core::registry::Need;
    use pilothouse_core::store::{Settings, Store};
    use pilothouse_core::supervisor::{self, Supervisor};
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn a_directory_that_appears_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let readiness = Readiness::new();
        let (store, handle) = Store::new(Settings {
            readiness: readiness.clone(),
            ..Settings::default()
        });
        let registry: Arc<dyn Registry> = Arc::new(Awaited::new(StaticConfig::new(&path, "a")));
        let supervisor = Supervisor::new(
            [(registry, Need::Required)],
            &handle,
            supervisor::Settings::default(),
        );
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(store.run(stop.clone()));
        let ending = stop.clone();
        running.spawn(async move { supervisor.run(ending).await.unwrap() });
        let soon = Duration::from_millis(100);
        assert!(tokio::time::timeout(soon, readiness.ready()).await.is_err());
        fs::create_dir(&path).unwrap();
        readiness.ready().await;
        stop.cancel();
        running.join_all().await;
    }
}
