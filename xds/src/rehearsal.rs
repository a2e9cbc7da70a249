//! What proxies would get of other objects: a store and a publisher of their own, run for a moment.
//!
//! ```text
//! Objects ─ put, delete ─► Objects
//!    └─ snapshots ─► before ──┐      └─ snapshots ─► after
//!                             └──────► Differences ◄──┘ ─► who gets what else
//! ```
//!
//! Nothing here reaches a proxy. Both sides are made in the same way from nothing, so that what differs between them is what the
//! change does, and never what the history of a store has left.

mod differences;
mod objects;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::{Closed, Need, Object, RegistryId, SetId};
use pilothouse_core::status::Status;
use pilothouse_core::store::{GuardSettings, Settings, Store, StoreHandle};
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::publisher::{Publisher, PublisherError};
use crate::server::{Attachment, NotReady, Source};
use crate::snapshot::Snapshot;

pub use differences::Differences;
pub use objects::Objects;

/// What proxies would get is not known: a defect of this program.
#[derive(Debug, Error)]
pub enum RehearsalError {
    /// The store of the rehearsal has ended.
    #[error("the store of the rehearsal has ended")]
    Store,
    /// Its publisher has ended.
    #[error("the publisher of the rehearsal has ended")]
    Publisher(#[source] Option<PublisherError>),
    /// Its hub takes nobody.
    #[error("the rehearsal takes no proxies")]
    Hub(#[from] NotReady),
}

impl From<Closed> for RehearsalError {
    fn from(_: Closed) -> Self {
        Self::Store
    }
}

/// A mesh, and what proxies get of it.
#[derive(Debug)]
pub struct Published {
    /// What is to be said about its objects, conflicts in what is published included.
    pub status: Status,
    /// What each proxy gets, in the order in which they were given.
    pub snapshots: Vec<Arc<Snapshot>>,
}

/// What each of `proxies` gets of these objects, in their order.
///
/// It takes as long as a first publication, and works in the task that awaits it.
///
/// # Errors
/// A defect of this program.
pub async fn snapshots(
    objects: &Objects,
    config: &Arc<MeshConfig>,
    proxies: &[Arc<Proxy>],
) -> Result<Vec<Arc<Snapshot>>, RehearsalError> {
    let settings = Settings {
        guard: GuardSettings {
            enabled: false,
            ..GuardSettings::default()
        },
        ..settings()
    };
    let write = async |handle: &StoreHandle| write(handle, objects, config).await;
    let published = Box::pin(published(settings, proxies, write)).await?;
    Ok(published.snapshots)
}

/// Discovery's settings of a store, as far as they say what is used.
pub fn settings() -> Settings {
    Settings {
        checks: vec![crate::patch::check],
        ..Settings::default()
    }
}

/// What each of `proxies` gets of the registries that `write` opens, writes and declares synced.
///
/// # Errors
/// A defect of this program.
pub async fn published(
    settings: Settings,
    proxies: &[Arc<Proxy>],
    write: impl AsyncFnOnce(&StoreHandle) -> Result<(), Closed>,
) -> Result<Published, RehearsalError> {
    let (store, handle) = Store::new(settings);
    let metrics = Metrics::new(&mut Registry::default(), "");
    let (publisher, hub) = Publisher::new(&handle, Default::default(), metrics);
    let stop = CancellationToken::new();
    let published = async {
        write(&handle).await?;
        // The answer comes after everything before it is published.
        handle.registries().await?;
        let snapshots = taken(&hub, proxies).await?;
        let status = handle.status().get();
        Ok(Published { status, snapshots })
    };
    tokio::select! {
        biased;
        published = published => published,
        ended = publisher.run(stop.clone()) => Err(RehearsalError::Publisher(ended.err())),
        () = store.run(stop) => Err(RehearsalError::Store),
    }
}

async fn write(
    handle: &StoreHandle,
    objects: &Objects,
    config: &Arc<MeshConfig>,
) -> Result<(), Closed> {
    handle.set_mesh_config(Arc::clone(config));
    let set = SetId::new("all");
    // All are known before the first has delivered, so that nobody is ready in between.
    let all: BTreeMap<&RegistryId, _> = objects
        .registries()
        .map(|(id, objects)| (id, (handle.updates(id, Need::Required), objects)))
        .collect();
    for (updates, objects) in all.into_values() {
        let mut tx = updates.begin();
        tx.replace(set.clone(), objects.map(Object::clone).collect());
        tx.commit().await?;
        updates.synced().await?;
    }
    Ok(())
}

/// Everybody takes a seat, and waits for the first snapshot.
async fn taken(hub: &Hub, proxies: &[Arc<Proxy>]) -> Result<Vec<Arc<Snapshot>>, RehearsalError> {
    let mut ready = hub.readiness();
    let waited = ready.wait_for(|ready| *ready).await;
    waited.map_err(|_| RehearsalError::Publisher(None))?;
    let seats: Result<Vec<_>, _> = proxies
        .iter()
        .map(|proxy| hub.connect(Arc::clone(proxy)))
        .collect();
    let seats = seats?;
    let mut snapshots = Vec::with_capacity(seats.len());
    for seat in &seats {
        snapshots.push(first(&**seat).await);
    }
    Ok(snapshots)
}

async fn first(seat: &dyn Attachment) -> Arc<Snapshot> {
    let snapshot = poll_fn(|context| {
        seat.register(context.waker());
        seat.current().map_or(Poll::Pending, Poll::Ready)
    });
    snapshot.await
}
