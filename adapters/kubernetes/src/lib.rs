//! The registry Kubernetes: what the API server of a cluster holds, as values of the mesh, for as long as it runs.
//!
//! ```text
//! API server ──client──► watch (a list and its changes, per kind) ──convert──► objects ──cluster──► Tx ──► store
//! ```
//!
//! - `client` finds the API server, and asks no more of it than it may.
//! - `config` says what is read of a cluster.
//!
//! The crate knows nothing of xDS, and it holds no last good version of anything: the store does.

mod client;
mod config;
pub mod watch;

pub use client::{Access, AccessError};
pub use config::{KubernetesConfig, Reads};
