//! Consul as a registry: services with their health, and rules in the key-value store.
//!
//! ```text
//! agent ──client──► answers ──watch──► believed and new? ──map──► objects ──Tx──► store
//! ```
//!
//! - [`client`] speaks with Consul and knows nothing of a mesh.
//! - [`map`] says what answers mean in the mesh.
//! - `watch` asks again and again, and decides what is believed.
//!
//! The crate knows nothing of xDS, and it holds no last good version of anything: the store does.

pub mod client;
mod config;
pub mod map;
mod registry;
mod watch;

pub use config::{ConsulConfig, RULES};
pub use registry::ConsulRegistry;
