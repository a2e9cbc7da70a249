//! Rules as written: the public API, one file per kind.
//!
//! Types here hold what the author wrote, right or wrong, as far as it has the right shape: texts as texts, numbers unchecked.
//! They are read by the rules of protobuf's JSON form: field names in camel or snake case, enum values by name or number,
//! durations as `"1.5s"`, numbers also as texts, `null` for what is absent. Unlike serde's derive, the reader goes on after
//! a problem, so that an author sees all of them at once.

mod decode;
pub mod destination_rule;
mod mesh_config;
mod scalar;
mod service_entry;
mod suggest;
mod workload_entry;

pub(crate) use decode::{Decode, Fields, object};
pub use destination_rule::DestinationRule;
pub use mesh_config::{
    AccessLogEncoding, InboundTrafficMode, InboundTrafficPolicy, MeshConfig, OutboundTrafficMode,
    OutboundTrafficPolicy, ProxyConfig,
};
pub use scalar::Double;
use scalar::seconds_of;
pub(crate) use scalar::{excerpt, one_of};
pub use service_entry::{Location, Resolution, ServiceEntry, ServicePort, WorkloadSelector};
pub(crate) use suggest::closest;
pub use workload_entry::WorkloadEntry;
