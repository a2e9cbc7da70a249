//! The mesh as plain values.
//!
//! Platform adapters implement [`Registry`](registry::Registry) and write [`Object`](registry::Object)s;
//! the [`store`] joins, checks and merges them; the result is a [`Mesh`](mesh::Mesh): immutable, shared by `Arc`,
//! and the only thing that anything after this crate reads.
//!
//! ```text
//! Registry ──Tx──► store (shard, join, merge, guard) ──► Mesh + touched keys ──► whoever serves it
//! ```
//!
//! This crate contains no I/O, no Envoy type and no Kubernetes type.

pub mod analysis;
pub mod debounce;
pub mod mesh;
pub mod model;
pub mod readiness;
pub mod registry;
pub mod rules;
pub mod status;
pub mod store;
pub mod supervisor;
