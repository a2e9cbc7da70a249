//! Everything that Envoy can see.
//!
//! ```text
//! Mesh ─► inputs ─► translate ─► encode ─► snapshot (layers) ─► fanout (diffs, groups) ─► protocol ─► server ─► Envoy
//!                     (pure)     (bytes)    (the one publisher)                          (no I/O)    (gRPC)
//! ```
//!
//! This crate knows no platform: what it serves comes from [`pilothouse_core::mesh::Mesh`] alone.
//!
//! # Embedding
//!
//! A store that registries write to, a publisher that turns its meshes into snapshots, and a server that brings proxies to
//! them. Each runs as a task of the caller's; `examples/custom-adapter` has a complete program.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use pilothouse_core::registry::{Need, Registry};
//! use pilothouse_core::store::{self, Store};
//! use pilothouse_core::supervisor::{self, Supervisor};
//! use pilothouse_xds::metrics::Metrics;
//! use pilothouse_xds::publisher::Publisher;
//! use pilothouse_xds::refusals::Refusals;
//! use pilothouse_xds::server::{Context, Server};
//! use tokio_util::sync::CancellationToken;
//!
//! async fn serve(registry: Arc<dyn Registry>, stop: CancellationToken) -> Result<(), Box<dyn std::error::Error>> {
//!     let settings = store::Settings { checks: vec![pilothouse_xds::patch::check], ..Default::default() };
//!     let (store, handle) = Store::new(settings);
//!     let registries = Supervisor::new([(registry, Need::Required)], &handle, supervisor::Settings::default());
//!     let metrics = Metrics::new(&mut prometheus_client::registry::Registry::default(), "1.0");
//!     let (publisher, hub) =
//!         Publisher::new(&handle, Default::default(), metrics.clone());
//!     let mut server = Server::new(Context {
//!         source: Arc::new(hub),
//!         observer: Arc::new(Refusals::new(handle)),
//!         fanout: Arc::default(),
//!         metrics: Arc::new(metrics),
//!         limits: Default::default(),
//!         settings: Default::default(),
//!     });
//!     server.listen("127.0.0.1:15010".parse()?)?;
//!     let end = CancellationToken::new();
//!     tokio::select! {
//!         () = store.run(end.clone()) => Err("the store has ended".into()),
//!         ended = registries.run(end.clone()) => Ok(ended?),
//!         ended = publisher.run(end.clone()) => Ok(ended?),
//!         () = server.run(stop, Duration::from_secs(10)) => Ok(()),
//!     }
//! }
//! ```

pub mod bootstrap;
pub mod conflicts;
pub mod encode;
pub mod evaluate;
pub mod extensions;
pub mod fanout;
pub mod hub;
pub mod inputs;
pub mod json;
pub mod metrics;
pub mod name_table;
pub mod names;
pub mod patch;
pub mod protocol;
pub mod publisher;
pub mod refusals;
pub mod rehearsal;
pub mod resource;
pub mod selection;
pub mod server;
pub mod snapshot;
pub mod translate;
pub mod view;

#[cfg(test)]
mod sample;
