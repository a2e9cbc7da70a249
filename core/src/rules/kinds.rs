//! The kinds of rules: what they are called, and which reader reads them.

use std::sync::Arc;

use serde_json::Value;

use super::RuleSpec;
use super::at::At;
use super::spec::Decode;

const NETWORKING: &str = "networking.istio.io";
const NETWORKING_VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];

/// A kind of rule.
#[derive(Debug)]
pub struct RuleKind {
    /// Such as `ServiceEntry`.
    pub name: &'static str,
    /// Such as `networking.istio.io`.
    pub group: &'static str,
    /// The versions of the group that it may be written in, the preferred one first. They all read alike.
    pub versions: &'static [&'static str],
    pub(super) read: fn(&Value, &At<'_>) -> RuleSpec,
}

const KINDS: &[RuleKind] = &[
    RuleKind {
        name: "DestinationRule",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::DestinationRule(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "ServiceEntry",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::ServiceEntry(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "WorkloadEntry",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::WorkloadEntry(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "WorkloadGroup",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::WorkloadGroup(Arc::new(Decode::decode(value, at))),
    },
];

/// All kinds of rules.
pub fn kinds() -> &'static [RuleKind] {
    KINDS
}

/// The kind that an object of this `apiVersion` and `kind` has, whatever the version of its group.
pub fn kind(api_version: &str, kind: &str) -> Option<&'static RuleKind> {
    let (group, _) = api_version.split_once('/')?;
    KINDS
        .iter()
        .find(|known| known.name == kind && known.group == group)
}
