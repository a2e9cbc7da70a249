//! From checked rules to services, endpoints and workloads. Pure functions, one file per kind.

mod destination_rule;
mod endpoint;
pub mod envoy_filter;
mod gateway;
mod host_name;
mod ingress;
mod mesh_config;
mod proxy_config;
mod service_entry;
mod sidecar;
mod telemetry;
mod virtual_service;
mod workload_entry;

pub use destination_rule::{
    Algorithm, Area, Blocks, ConnectionPool, Destination, DestinationRule, DroppedSubset, FileTls,
    HashBy, Keepalive, LoadBalancer, LocalityLb, OutlierDetection, Policy, ProxyProtocol,
    RetryBudget, Subset, SubsetOf, Table, Tls, Tunnel, Warmup, destination_rule,
};
pub use endpoint::endpoint_of;
pub use envoy_filter::{EnvoyFilter, current_filter_name};
pub use gateway::{
    Bind, ClientCertificate, Gateway, Security, Server, ServerCertificate, ServerHost, Termination,
    gateway,
};
pub use host_name::host_name;
pub(crate) use ingress::{CONTROLLER, PathType, ingress_path};
pub use ingress::{Ingress as IngressRoutes, IngressClass, NamedClass, ingress, ingress_class};
pub use mesh_config::mesh_config;
pub use proxy_config::{ProxyStart, proxy_start};
pub use service_entry::services;
pub use sidecar::{
    DefaultEndpoint, Egress, EgressBind, EgressListener, Elsewhere, Imported, Imports, Ingress,
    IngressListener, Owner, Sidecar, sidecar,
};
pub use telemetry::{
    Counted, Effective, LogProvider, Logs, Metric, MetricsOf, MetricsOverride, Part, Spans,
    TagOverride, Telemetry, TelemetrySide, TracingOf, effective, effective_rules, telemetry,
};
pub use virtual_service::{
    Abort, Backoff, BodyBytes, Cors, Delay, DelegateRef, DirectResponse, Fault, GatewayRef,
    HeaderMatch, HeaderOperations, HttpAction, HttpMatch, HttpRoute, HttpTarget, L4Match, L4Target,
    Mirror, Operations, Place, Redirect, RedirectPort, Retries, Rewrite, StringMatch, Target,
    TcpRoute, TlsMatch, TlsRoute, UriRewrite, VirtualService, virtual_service,
};
pub(crate) use virtual_service::{CLAIMS, bytes, delegated, grpc_status};
pub use workload_entry::workload;

#[cfg(test)]
mod tests;
