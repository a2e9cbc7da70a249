//! Everything that Envoy can see.
//!
//! ```text
//! Mesh ─► inputs ─► translate ─► encode ─► snapshot (layers) ─► fanout (diffs, groups) ─► protocol ─► server ─► Envoy
//!                     (pure)     (bytes)    (the one publisher)                          (no I/O)    (gRPC)
//! ```
//!
//! This crate knows no platform: what it serves comes from [`pilothouse_core::mesh::Mesh`] alone.

pub mod fanout;
pub mod json;
pub mod protocol;
pub mod resource;
pub mod snapshot;
