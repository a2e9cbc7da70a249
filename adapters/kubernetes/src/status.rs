//! What discovery writes to the cluster: the status of rule objects, and what its replicas tell each other for that.
//!
//! ```text
//! every replica:   core::status ──verdicts──► reports (a ConfigMap each)
//! the holder of    ├─ conditions ─┐
//! the lease:       ├─ addresses  ─┼─ writer ──patch──► PATCH .../status
//!                  └─ known ◄─────┘  (pace)      ◄── what the watches see of it
//! ```
//!
//! Serving proxies never waits for any of it: what cannot be written is told in the log and tried again, ever later.

mod addresses;
mod api;
mod conditions;
mod election;
mod known;
mod lease;
mod pace;
mod patch;
mod reports;
#[cfg(test)]
mod tests;
mod verdicts;
mod writer;

use std::collections::BTreeMap;
use std::time::Duration;

use pilothouse_core::registry::RegistryId;
use pilothouse_core::store::StoreHandle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use addresses::kept;
use api::Api;
pub(crate) use known::{Entry, Known, Place};
use lease::{Leadership, Lease};
use reports::Reports;
use writer::Writer;

/// How long a request may take: less than the time between the end of one holder and the beginning of the next.
const REQUEST: Duration = Duration::from_secs(4);

/// What of the status of objects is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writes {
    /// All of it; conditions only of objects that have none of another controller.
    #[default]
    Auto,
    /// All of it, beside what other controllers write.
    On,
    /// Nothing.
    Off,
}

/// How status is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSettings {
    /// What is written at all.
    pub writes: Writes,
    /// The namespace of the lease and of what replicas tell each other.
    pub namespace: String,
    /// The lease: one for those replicas that write the same status.
    pub lease: String,
    /// The name of this replica: that of its pod, if it is one. No two are called alike.
    pub replica: String,
    /// The UID of that pod.
    pub pod_uid: Option<String>,
    /// How many objects are written in a second at most.
    pub per_second: u32,
}

impl StatusSettings {
    /// Settings with what is usual for everything else.
    pub fn new(namespace: &str, replica: &str) -> Self {
        Self {
            writes: Writes::Auto,
            namespace: namespace.to_owned(),
            lease: "pilothouse-status".to_owned(),
            replica: replica.to_owned(),
            pod_uid: None,
            per_second: 5,
        }
    }
}

/// Writes the status of the objects of one registry, which makes it.
pub struct StatusWriter {
    client: kube::Client,
    registry: RegistryId,
    known: Known,
    settings: StatusSettings,
}

impl StatusWriter {
    /// Of the objects of `registry`, as far as the registry has made them `known`.
    pub(crate) fn new(
        client: kube::Client,
        registry: RegistryId,
        known: Known,
        settings: StatusSettings,
    ) -> Self {
        Self {
            client,
            registry,
            known,
            settings,
        }
    }

    /// Writes until `stop`.
    pub async fn run(self, store: StoreHandle, stop: CancellationToken) {
        let Self {
            client,
            registry,
            known,
            settings,
        } = self;
        if settings.writes == Writes::Off {
            return stop.cancelled().await;
        }
        let api = Api::new(client, REQUEST);
        let (tell_leading, leading) = Leadership::new();
        let lease = Lease {
            namespace: settings.namespace.clone(),
            name: settings.lease,
            me: lease::identity(&settings.replica),
            times: election::Times::default(),
        };
        let reports = Reports {
            api: api.clone(),
            registry: registry.clone(),
            namespace: settings.namespace,
            replica: settings.replica,
            pod_uid: settings.pod_uid,
        };
        let (tell_others, others) = watch::channel(BTreeMap::new());
        let writer = Writer::new(
            api.clone(),
            registry,
            known,
            settings.writes,
            settings.per_second,
        );
        let status = store.status().clone();
        tokio::join!(
            lease.contend(api, tell_leading, stop.clone()),
            reports.publish(status, stop.clone()),
            reports.gather(leading.clone(), tell_others, stop.clone()),
            writer.run(store, leading, others, stop),
        );
    }
}
