//! What discovery would make of files: its store and its publisher, run for a moment.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use pilothouse_core::mesh::{Mesh, MeshConfig};
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::{Closed, Need, RegistryId};
use pilothouse_core::status::Status;
use pilothouse_core::store::{Store, StoreHandle};
use pilothouse_static::{File, write_files};
use pilothouse_xds::rehearsal::{self, Published};
use pilothouse_xds::snapshot::Snapshot;
use tokio_util::sync::CancellationToken;

/// The objects of `files` as a mesh, and what is to be said about them.
///
/// # Errors
/// A defect of this program.
pub(super) async fn mesh(
    files: &[File],
    config: MeshConfig,
    cluster: &str,
) -> Result<(Status, Arc<Mesh>)> {
    let (store, handle) = Store::new(rehearsal::settings());
    let stop = CancellationToken::new();
    let written = async {
        write(&handle, files, config, cluster).await?;
        // The answer comes after everything before it is published.
        handle.registries().await?;
        let mesh = handle.subscribe().mesh().clone();
        Ok((handle.status().get(), mesh))
    };
    tokio::select! {
        biased;
        made = written => made,
        () = store.run(stop) => Err(anyhow!("the store has ended")),
    }
}

/// What a proxy gets of that mesh, and what is to be said about the objects, conflicts in what is published included.
///
/// # Errors
/// A defect of this program.
pub(super) async fn snapshot(
    files: &[File],
    config: MeshConfig,
    cluster: &str,
    proxy: Proxy,
) -> Result<(Status, Arc<Snapshot>)> {
    let write = async |handle: &StoreHandle| write(handle, files, config, cluster).await;
    let proxies = [Arc::new(proxy)];
    let published = rehearsal::published(rehearsal::settings(), &proxies, write);
    let Published { status, snapshots } = Box::pin(published).await?;
    let snapshot = snapshots.into_iter().next();
    let snapshot = snapshot.ok_or_else(|| anyhow!("nothing is published"))?;
    Ok((status, snapshot))
}

/// Writes the files as the registry of a directory does.
async fn write(
    handle: &StoreHandle,
    files: &[File],
    config: MeshConfig,
    cluster: &str,
) -> Result<(), Closed> {
    handle.set_mesh_config(Arc::new(config));
    let updates = handle.updates(&RegistryId::new("Static", cluster), Need::Required);
    write_files(files, &updates).await
}
