//! From checked rules to services, endpoints and workloads. Pure functions, one file per kind.

mod endpoint;
mod mesh_config;
mod service_entry;
mod workload_entry;

pub use endpoint::endpoint_of;
pub use mesh_config::mesh_config;
pub use service_entry::services;
pub use workload_entry::workload;

#[cfg(test)]
mod tests;
