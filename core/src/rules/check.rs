//! Checks of rules: every problem of an object at once, one file per kind.
//!
//! They follow Istio's validation, so that what a mesh has accepted is accepted here, and refuse besides what Envoy would
//! refuse. A check looks at one object alone; what depends on others is found when rules are resolved.

mod export_to;
mod labels;
mod mesh_config;
mod name;
mod service_entry;
mod workload_entry;

use super::RuleSpec;
use super::at::Report;
use crate::registry::{Meta, Problem};

pub(super) use mesh_config::check as mesh_config;

/// All that is wrong with a rule. One with an error among them must not be used.
pub fn check(meta: &Meta, spec: &RuleSpec) -> Vec<Problem> {
    let report = Report::default();
    let at = report.root("spec");
    match spec {
        RuleSpec::ServiceEntry(entry) => service_entry::check(&at, meta, entry),
        RuleSpec::WorkloadEntry(entry) => workload_entry::check(&at, entry),
    }
    report.finish()
}
