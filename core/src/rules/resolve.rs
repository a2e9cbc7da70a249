//! From checked rules to services, endpoints and workloads. Pure functions, one file per kind.

mod destination_rule;
mod endpoint;
mod host_name;
mod mesh_config;
mod service_entry;
mod workload_entry;

pub use destination_rule::{
    Algorithm, Area, Blocks, ConnectionPool, Destination, DestinationRule, DroppedSubset, FileTls,
    HashBy, Keepalive, LoadBalancer, LocalityLb, OutlierDetection, Policy, ProxyProtocol,
    RetryBudget, Subset, SubsetOf, Table, Tls, Tunnel, Warmup, destination_rule,
};
pub use endpoint::endpoint_of;
pub use host_name::host_name;
pub use mesh_config::mesh_config;
pub use service_entry::services;
pub use workload_entry::workload;

#[cfg(test)]
mod tests;
