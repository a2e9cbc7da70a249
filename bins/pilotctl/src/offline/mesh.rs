//! What discovery would make of files: its store and its publisher, run for a moment.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context, Result, anyhow};
use pilothouse_core::mesh::{Mesh, MeshConfig};
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::{Need, RegistryId, SetId};
use pilothouse_core::status::Status;
use pilothouse_core::store::{self, Store, StoreHandle};
use pilothouse_static::File;
use pilothouse_xds::hub::Hub;
use pilothouse_xds::metrics::Metrics;
use pilothouse_xds::publisher::Publisher;
use pilothouse_xds::server::Source;
use pilothouse_xds::snapshot::Snapshot;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

/// What is to be said about the objects of `files` as a mesh.
///
/// # Errors
/// A defect of this program.
pub(super) async fn status(files: &[File], config: MeshConfig, cluster: &str) -> Result<Status> {
    let (store, handle) = Store::new(settings());
    let stop = CancellationToken::new();
    let written = async {
        write(&handle, files, config, cluster).await?;
        Ok(handle.status().get())
    };
    tokio::select! {
        biased;
        status = written => status,
        () = store.run(stop) => Err(anyhow!("the store has ended")),
    }
}

/// The same, and the mesh.
///
/// # Errors
/// A defect of this program.
pub(super) async fn mesh(
    files: &[File],
    config: MeshConfig,
    cluster: &str,
) -> Result<(Status, Arc<Mesh>)> {
    let (store, handle) = Store::new(settings());
    let stop = CancellationToken::new();
    let written = async {
        write(&handle, files, config, cluster).await?;
        let mesh = handle.subscribe().mesh().clone();
        Ok((handle.status().get(), mesh))
    };
    tokio::select! {
        biased;
        made = written => made,
        () = store.run(stop) => Err(anyhow!("the store has ended")),
    }
}

/// The same, and what a proxy gets of that mesh.
///
/// # Errors
/// A defect of this program.
pub(super) async fn snapshot(
    files: &[File],
    config: MeshConfig,
    cluster: &str,
    proxy: Proxy,
) -> Result<(Status, Arc<Snapshot>)> {
    let (store, handle) = Store::new(settings());
    let metrics = Metrics::new(&mut Registry::default(), "");
    let (publisher, hub) = Publisher::new(&handle, Default::default(), metrics);
    let stop = CancellationToken::new();
    let published = async {
        write(&handle, files, config, cluster).await?;
        let snapshot = first_snapshot(&hub, proxy).await?;
        // Conflicts of what is published are told before it is.
        Ok((handle.status().get(), snapshot))
    };
    tokio::select! {
        biased;
        published = published => published,
        ended = publisher.run(stop.clone()) => Err(ended.err().map_or_else(|| anyhow!("the publisher has ended"), Into::into)),
        () = store.run(stop) => Err(anyhow!("the store has ended")),
    }
}

/// Discovery's, as far as they say what is used.
fn settings() -> store::Settings {
    store::Settings {
        checks: vec![pilothouse_xds::patch::check],
        ..store::Settings::default()
    }
}

/// Writes the files as the registry of a directory does, and waits until they are in force.
async fn write(
    handle: &StoreHandle,
    files: &[File],
    config: MeshConfig,
    cluster: &str,
) -> Result<()> {
    handle.set_mesh_config(Arc::new(config));
    let updates = handle.updates(&RegistryId::new("Static", cluster), Need::Required);
    let mut tx = updates.begin();
    for file in files {
        let set = SetId::new(file.name.as_str());
        tx.replace(set.clone(), file.objects.clone());
        for finding in &file.findings {
            let problems = finding.problems.clone();
            tx.reject(&set, finding.key.clone(), finding.at.clone(), problems);
        }
    }
    tx.commit().await?;
    updates.synced().await?;
    // The answer comes after everything before it is published.
    handle.registries().await?;
    Ok(())
}

async fn first_snapshot(hub: &Hub, proxy: Proxy) -> Result<Arc<Snapshot>> {
    let mut ready = hub.readiness();
    ready
        .wait_for(|ready| *ready)
        .await
        .context("the publisher has ended")?;
    let seat = hub.connect(Arc::new(proxy))?;
    let snapshot = poll_fn(|context| {
        seat.register(context.waker());
        seat.current().map_or(Poll::Pending, Poll::Ready)
    });
    Ok(snapshot.await)
}
