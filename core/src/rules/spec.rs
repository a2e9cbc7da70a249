//! Rules as written: the public API, one file per kind.
//!
//! Types here hold what the author wrote, right or wrong, as far as it has the right shape: texts as texts, numbers unchecked.
//! They are read by the rules of protobuf's JSON form: field names in camel or snake case, enum values by name or number,
//! durations as `"1.5s"`, numbers also as texts, `null` for what is absent. Unlike serde's derive, the reader goes on after
//! a problem, so that an author sees all of them at once.

pub mod authorization_policy;
mod decode;
pub mod destination_rule;
pub mod envoy_filter;
mod extension;
pub mod gateway;
pub mod ingress;
pub mod mesh_config;
pub mod peer_authentication;
pub mod proxy_config;
pub mod request_authentication;
mod scalar;
mod service_entry;
pub mod sidecar;
mod suggest;
mod target_ref;
pub mod telemetry;
pub mod virtual_service;
mod workload_entry;
pub mod workload_group;

pub use authorization_policy::AuthorizationPolicy;
pub(crate) use decode::{Decode, Fields, object};
pub use destination_rule::DestinationRule;
pub use envoy_filter::EnvoyFilter;
pub use extension::ProxyExtension;
pub use gateway::Gateway;
pub use ingress::{Ingress, IngressClass};
pub use mesh_config::{
    AccessLogEncoding, InboundTrafficMode, InboundTrafficPolicy, MeshConfig, OutboundTrafficMode,
    OutboundTrafficPolicy, ProxyConfig,
};
pub use peer_authentication::PeerAuthentication;
pub use proxy_config::ProxyConfigRule;
pub use request_authentication::RequestAuthentication;
pub use scalar::Double;
use scalar::seconds_of;
pub(crate) use scalar::{excerpt, one_of};
pub use service_entry::{Location, Resolution, ServiceEntry, ServicePort, WorkloadSelector};
pub use sidecar::Sidecar;
pub(crate) use suggest::closest;
pub use target_ref::TargetRef;
pub use telemetry::Telemetry;
pub use virtual_service::VirtualService;
pub use workload_entry::WorkloadEntry;
pub use workload_group::WorkloadGroup;
