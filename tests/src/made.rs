//! What the control plane makes of objects, in this process: its store and its publisher, run for a moment.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use pilothouse_core::mesh::MeshConfig;
use pilothouse_core::model::Proxy;
use pilothouse_core::registry::{Need, RegistryId, SetId};
use pilothouse_core::status::Status;
use pilothouse_core::store::{self, Store, StoreHandle};
use pilothouse_static::File;
use pilothouse_xds::hub::Hub;
use pilothouse_xds::metrics::Metrics;
use pilothouse_xds::publisher::Publisher;
use pilothouse_xds::resource::ResourceType;
use pilothouse_xds::server::Source;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

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
    runtime.block_on(Box::pin(make(files, config, proxies)))
}

async fn make(files: &[File], config: MeshConfig, proxies: &[Proxy]) -> Result<Made> {
    let settings = store::Settings {
        checks: vec![pilothouse_xds::patch::check],
        ..store::Settings::default()
    };
    let (store, handle) = Store::new(settings);
    let metrics = Metrics::new(&mut Registry::default(), "");
    let (publisher, hub) = Publisher::new(&handle, Default::default(), metrics);
    let stop = CancellationToken::new();
    let published = async {
        write(&handle, files, config).await?;
        let mut contents = Vec::new();
        for proxy in proxies {
            contents.push(first(&hub, proxy.clone()).await?);
        }
        let status = handle.status().get();
        Ok(Made { status, contents })
    };
    tokio::select! {
        biased;
        made = published => made,
        ended = publisher.run(stop.clone()) => {
            Err(ended.err().map_or_else(|| anyhow!("the publisher has ended"), Into::into))
        }
        () = store.run(stop) => Err(anyhow!("the store has ended")),
    }
}

/// Writes the files as the registry of a directory does, and waits until they are in force.
async fn write(handle: &StoreHandle, files: &[File], config: MeshConfig) -> Result<()> {
    handle.set_mesh_config(Arc::new(config));
    let updates = handle.updates(&RegistryId::new("Static", "test"), Need::Required);
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

/// The first that a proxy gets.
async fn first(hub: &Hub, proxy: Proxy) -> Result<Contents> {
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
    let snapshot = snapshot.await;
    let of = |kind: ResourceType| {
        let all = snapshot.set(kind).iter();
        all.map(move |resource| ((kind, resource.name.to_string()), resource.body.clone()))
            .collect::<Vec<_>>()
    };
    Ok(ResourceType::ALL.into_iter().flat_map(of).collect())
}
