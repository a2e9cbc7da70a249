//! Everything that Envoy can see.
//!
//! ```text
//! Mesh ─► inputs ─► translate ─► encode ─► snapshot (layers) ─► fanout (diffs, groups) ─► protocol ─► server ─► Envoy
//!                     (pure)     (bytes)    (the one publisher)                          (no I/O)    (gRPC)
//! ```
//!
//! This crate knows no platform: what it serves comes from [`pilothouse_core::mesh::Mesh`] alone.

pub mod bootstrap;
pub mod encode;
pub mod fanout;
pub mod hub;
pub mod inputs;
pub mod json;
pub mod metrics;
pub mod names;
pub mod protocol;
pub mod publisher;
pub mod refusals;
pub mod resource;
pub mod selection;
pub mod server;
pub mod snapshot;
pub mod translate;
pub mod view;

#[cfg(test)]
mod sample;
