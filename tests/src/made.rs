//! What the control plane makes of objects, in this process: its store and its publisher, run for a moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::{Need, RegistryId};
use pilothouse_core::status::Status;
use pilothouse_core::store::StoreHandle;
use pilothouse_static::{File, write_files};
use pilothouse_xds::rehearsal::{self, Published};
use pilothouse_xds::resource::ResourceType;
use pilothouse_xds::snapshot::Snapshot;

/// What a proxy gets: the bytes of each resource by its type and name.
pub type Contents = BTreeMap<(ResourceType, String), Bytes>;

/// What came of objects.
#[derive(Debug)]
pub struct Made {
    /// What is to be said of them.
    pub status: Status,
    /// What each proxy gets, in the order in which they were given.
    pub contents: Vec<Contents>,
}

/// Makes it; each file is a set of one registry, and they are written in their order.
///
/// # Errors
/// A defect of the control plane: whatever the files say, something is served.
pub fn made(files: &[File], config: MeshConfig, proxies: &[Proxy]) -> Result<Made> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("starting a runtime")?;
    runtime.block_on(make(files, config, proxies))
}

async fn make(files: &[File], config: MeshConfig, proxies: &[Proxy]) -> Result<Made> {
    let proxies: Vec<_> = proxies.iter().cloned().map(Arc::new).collect();
    let write = async |handle: &StoreHandle| {
        handle.set_mesh_config(Arc::new(config));
        let updates = handle.updates(&RegistryId::new("Static", "test"), Need::Required);
        write_files(files, &updates).await
    };
    let Published { status, snapshots } =
        Box::pin(rehearsal::published(rehearsal::settings(), &proxies, write)).await?;
    let contents = snapshots
        .iter()
        .map(|snapshot| contents(snapshot))
        .collect();
    Ok(Made { status, contents })
}

fn contents(snapshot: &Snapshot) -> Contents {
    let of = |kind: ResourceType| {
        let all = snapshot.set(kind).iter();
        all.map(move |resource| ((kind, resource.name.to_string()), resource.body.clone()))
    };
    ResourceType::ALL.into_iter().flat_map(of).collect()
}
