//! `ServiceEntry`.

/// Placeholder until its fields are written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceEntry {}
