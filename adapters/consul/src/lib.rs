//! Consul as a registry: services, health and rules from a catalog.
//!
//! [`client`] speaks with Consul and knows nothing of a mesh. [`map`] says what its answers mean.

pub mod client;
pub mod map;
