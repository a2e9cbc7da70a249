//! The registry Kubernetes: what the API server of a cluster holds, as values of the mesh, for as long as it runs.
//!
//! ```text
//! API server ──client──► watch (a list and its changes, per kind) ──convert──► objects ──cluster──► Tx ──► store
//! ```
//!
//! - `client` finds the API server, and asks no more of it than it may.
//! - `config` says what is read of a cluster, `kinds` what that is called there.
//! - `watch` follows one resource, whatever its server does.
//! - `cluster` is the registry: which kinds are followed, and what becomes of their objects.
//! - `clusters` runs further clusters, as secrets describe them; `mesh_config` follows the mesh-wide settings.
//!
//! The crate knows nothing of xDS, and it holds no last good version of anything: the store does.

mod client;
mod cluster;
mod clusters;
mod config;
mod kinds;
mod mesh_config;
mod status;
pub mod watch;

pub use client::{Access, AccessError};
pub use cluster::{KubernetesRegistry, MeshConfigs};
pub use clusters::{ClustersSettings, LABEL as CLUSTER_LABEL, MakeRegistry, run_clusters};
pub use config::{KubernetesConfig, Reads};
pub use mesh_config::{MeshConfigMap, MeshConfigNews};
pub use status::{StatusSettings, StatusWriter, Writes};
