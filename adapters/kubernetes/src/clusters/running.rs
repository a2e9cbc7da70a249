//! The clusters that run: started, restarted with other credentials, and removed.

use std::collections::BTreeMap;

use pilothouse_core::registry::{Need, RegistryId};
use pilothouse_core::store::StoreHandle;
use pilothouse_core::supervisor::{self, Supervisor};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::secret::{Described, Wanted};
use super::{ClustersSettings, MakeRegistry};
use crate::config::PROVIDER;

/// See the [module](self).
pub(super) struct Running<'a> {
    make: &'a MakeRegistry,
    settings: &'a ClustersSettings,
    store: &'a StoreHandle,
    clusters: BTreeMap<String, One>,
}

impl<'a> Running<'a> {
    pub(super) fn new(
        make: &'a MakeRegistry,
        settings: &'a ClustersSettings,
        store: &'a StoreHandle,
    ) -> Self {
        Self {
            make,
            settings,
            store,
            clusters: BTreeMap::new(),
        }
    }

    /// Makes these run, and no others; what runs and cannot be replaced goes on.
    pub(super) async fn become_these(&mut self, wanted: Wanted) {
        let Wanted {
            clusters: mut wanted,
            unusable,
            ..
        } = wanted;
        let mut kept = BTreeMap::new();
        for (name, one) in std::mem::take(&mut self.clusters) {
            match wanted.get(&name) {
                Some(described) if described.kubeconfig == one.described.kubeconfig => {
                    wanted.remove(&name);
                    kept.insert(name, one);
                }
                Some(_) => {
                    // What it held stays: the same registry runs again at once.
                    one.end().await;
                }
                None if unusable.contains(&name) => drop(kept.insert(name, one)),
                None => {
                    tracing::info!(target: "kube", cluster = name, "a cluster is read no more: its secret is gone");
                    let id = one.id.clone();
                    one.end().await;
                    let shard = self.store.updates(&id, self.need());
                    // A store that is gone holds nothing of it either.
                    let _ = shard.close().await;
                }
            }
        }
        self.clusters = kept;
        for (name, described) in wanted {
            let one = self.start(&name, described).await;
            self.clusters.insert(name, one);
        }
    }

    /// Stops all of them. What they held stays.
    pub(super) async fn stop(self) {
        for one in self.clusters.values() {
            one.stop.cancel();
        }
        for one in self.clusters.into_values() {
            one.end().await;
        }
    }

    fn need(&self) -> Need {
        Need::Optional(self.settings.patience)
    }

    async fn start(&self, name: &str, described: Described) -> One {
        let mut one = One {
            id: RegistryId::new(PROVIDER, name),
            stop: CancellationToken::new(),
            task: JoinSet::new(),
            described,
        };
        let Described { by, kubeconfig } = &one.described;
        let from = format!("secret {}/{by}, cluster {name}", self.settings.namespace);
        let client = match self.settings.access.client_of_text(kubeconfig, &from).await {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(target: "kube", %error, "a cluster of a secret is not read");
                self.store
                    .updates(&one.id, self.need())
                    .failing(None, &error);
                return one;
            }
        };
        tracing::info!(target: "kube", cluster = name, %from, "a further cluster");
        let registries = [((self.make)(client, name), self.need())];
        let supervisor = Supervisor::new(registries, self.store, supervisor::Settings::default());
        let stopping = one.stop.clone();
        one.task.spawn(async move {
            if let Err(overdue) = supervisor.run(stopping).await {
                tracing::warn!(target: "kube", %overdue, "a cluster");
            }
        });
        one
    }
}

/// One that runs, or that would if its kubeconfig could be used.
struct One {
    id: RegistryId,
    described: Described,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl One {
    async fn end(mut self) {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
