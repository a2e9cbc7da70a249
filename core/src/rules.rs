//! Rules: as written ([`spec`]), checked ([`check`]), resolved into what the mesh is made of ([`resolve`]).

pub mod check;
pub mod resolve;
pub mod spec;

use std::sync::Arc;

/// A rule as its author wrote it.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleSpec {
    /// A service that no platform declares.
    ServiceEntry(Arc<spec::ServiceEntry>),
    /// A workload that no platform declares.
    WorkloadEntry(Arc<spec::WorkloadEntry>),
}
