//! Clusters beside the one that has the rules: each described by a kubeconfig in a secret, added and removed while running.
//!
//! A secret with the label `istio/multiCluster=true`, in the namespace of the mesh, has a key per cluster: the cluster's name, with a
//! kubeconfig as its value. Each cluster is a registry of its own and runs under a supervisor of its own. One whose secret goes is
//! stopped, and what it held is removed; one whose kubeconfig changes is read with the new one, and what it held stays until
//! that has read everything. What cannot be reached holds up readiness for [`ClustersSettings::patience`], and nothing else.

mod running;
mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use pilothouse_core::readiness::Guard;
use pilothouse_core::registry::Registry;
use pilothouse_core::store::StoreHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::client::Access;
use crate::watch::{Event, Resource, Scope, Settings as WatchSettings, follow};
use running::Running;
use secret::{Secret, Wanted};

/// The label that secrets of clusters have.
pub const LABEL: &str = "istio/multiCluster=true";

/// How further clusters are found.
#[derive(Debug, Clone, PartialEq)]
pub struct ClustersSettings {
    /// The namespace of the secrets.
    pub namespace: Arc<str>,
    /// The name of the cluster that the secrets are in.
    pub own: String,
    /// How much each of them is asked.
    pub access: Access,
    /// For how long readiness waits for one, and for the secrets.
    pub patience: Duration,
}

/// Makes the registry of a cluster of this name.
pub type MakeRegistry = dyn Fn(kube::Client, &str) -> Arc<dyn Registry> + Send + Sync;

/// Runs the clusters that secrets describe until `stop`, then waits for them. `waiting` goes when the first list of secrets has been
/// carried out.
pub async fn run_clusters(
    client: kube::Client,
    settings: ClustersSettings,
    make: &MakeRegistry,
    store: &StoreHandle,
    waiting: Guard,
    stop: CancellationToken,
) {
    let resource = Resource {
        group: "",
        version: "v1".into(),
        plural: "secrets",
        kind: "Secret",
        metadata_only: false,
    };
    let scope = Scope {
        namespace: Some(Arc::clone(&settings.namespace)),
        labels: Some(LABEL.to_owned()),
        fields: None,
    };
    let watch = WatchSettings::default();
    let events = follow(client, resource, scope, &watch, |raw| Secret::read(&raw));
    let mut events = std::pin::pin!(events);
    let mut secrets = Secrets::default();
    let mut running = Running::new(make, &settings, store);
    let mut waiting = Some(waiting);
    let patience = Instant::now() + settings.patience;
    loop {
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep_until(patience), if waiting.is_some() => {
                if let Some(waiting) = waiting.take() {
                    tracing::warn!(target: "kube", namespace = %settings.namespace, "the secrets of further clusters cannot be read: ready without them");
                    waiting.give_up("the secrets of further clusters cannot be read");
                }
                continue;
            }
            event = events.next() => event,
        };
        let Some(event) = event else { break };
        if secrets.take(event) {
            let mut wanted = Wanted::by(secrets.all.values(), &settings.own);
            secrets.complain(std::mem::take(&mut wanted.wrong));
            running.become_these(wanted).await;
            drop(waiting.take());
        }
    }
    if let Some(waiting) = waiting {
        waiting.abandon();
    }
    running.stop().await;
}

/// The secrets as they are known.
#[derive(Default)]
struct Secrets {
    all: BTreeMap<Arc<str>, Secret>,
    /// What has been said to be wrong.
    said: BTreeSet<String>,
}

impl Secrets {
    /// Whether something may be different.
    fn take(&mut self, event: Event<Secret>) -> bool {
        match event {
            Event::Listed(all) => {
                let named = all
                    .into_iter()
                    .map(|secret| (Arc::clone(&secret.name), secret));
                self.all = named.collect();
            }
            Event::Applied(secret) => drop(self.all.insert(Arc::clone(&secret.name), secret)),
            Event::Deleted(metadata) => drop(self.all.remove(metadata.name.as_str())),
            Event::Absent => self.all.clear(),
            // Said by the watch; what is known stays.
            Event::Failing(_) | Event::Unreadable(_) | Event::Recovered => return false,
        }
        true
    }

    /// Says what is wrong, once.
    fn complain(&mut self, wrong: Vec<String>) {
        for problem in &wrong {
            if !self.said.contains(problem) {
                tracing::error!(target: "kube", problem, "a cluster of a secret is not read");
            }
        }
        self.said = wrong.into_iter().collect();
    }
}
