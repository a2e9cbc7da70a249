//! The kinds of rules: what they are called, and which reader reads them.

use std::sync::Arc;

use serde_json::Value;

use super::RuleSpec;
use super::at::At;
use super::spec::Decode;

const NETWORKING: &str = "networking.istio.io";
const NETWORKING_VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const KUBERNETES: &str = "networking.k8s.io";
const KUBERNETES_VERSIONS: &[&str] = &["v1"];
const SECURITY: &str = "security.istio.io";
const SECURITY_VERSIONS: &[&str] = &["v1", "v1beta1"];
const EXTENSIONS: &str = "extensions.istio.io";
const EXTENSIONS_VERSIONS: &[&str] = &["v1alpha1"];
const TELEMETRY: &str = "telemetry.istio.io";
const TELEMETRY_VERSIONS: &[&str] = &["v1", "v1alpha1"];

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

impl RuleKind {
    /// Whether its objects are carried out. Those of other kinds are read and checked, and have no effect.
    pub fn is_carried_out(&self) -> bool {
        self.group != SECURITY && self.group != EXTENSIONS
    }

    /// Whether it is one of Kubernetes' own, which is there without being defined, and whose status is not for us to write.
    pub fn is_of_kubernetes(&self) -> bool {
        self.group == KUBERNETES
    }

    /// Whether its objects belong to no namespace.
    pub fn is_cluster_scoped(&self) -> bool {
        self.name == "IngressClass"
    }

    /// Whether a mesh without its objects lets through what its author wants to keep out.
    pub fn protects(&self) -> bool {
        self.group == SECURITY
    }
}

const KINDS: &[RuleKind] = &[
    RuleKind {
        name: "AuthorizationPolicy",
        group: SECURITY,
        versions: SECURITY_VERSIONS,
        read: |value, at| RuleSpec::AuthorizationPolicy(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "DestinationRule",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::DestinationRule(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "EnvoyFilter",
        group: NETWORKING,
        versions: &["v1alpha3", "v1beta1", "v1"],
        read: |value, at| RuleSpec::EnvoyFilter(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "Gateway",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::Gateway(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "Ingress",
        group: KUBERNETES,
        versions: KUBERNETES_VERSIONS,
        read: |value, at| RuleSpec::Ingress(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "IngressClass",
        group: KUBERNETES,
        versions: KUBERNETES_VERSIONS,
        read: |value, at| RuleSpec::IngressClass(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "PeerAuthentication",
        group: SECURITY,
        versions: SECURITY_VERSIONS,
        read: |value, at| RuleSpec::PeerAuthentication(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "ProxyConfig",
        group: NETWORKING,
        versions: &["v1beta1", "v1", "v1alpha3"],
        read: |value, at| RuleSpec::ProxyConfig(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "RequestAuthentication",
        group: SECURITY,
        versions: SECURITY_VERSIONS,
        read: |value, at| RuleSpec::RequestAuthentication(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "ServiceEntry",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::ServiceEntry(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "Sidecar",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::Sidecar(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "Telemetry",
        group: TELEMETRY,
        versions: TELEMETRY_VERSIONS,
        read: |value, at| RuleSpec::Telemetry(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "TrafficExtension",
        group: EXTENSIONS,
        versions: EXTENSIONS_VERSIONS,
        read: |value, at| RuleSpec::TrafficExtension(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "WasmPlugin",
        group: EXTENSIONS,
        versions: EXTENSIONS_VERSIONS,
        read: |value, at| RuleSpec::WasmPlugin(Arc::new(Decode::decode(value, at))),
    },
    RuleKind {
        name: "VirtualService",
        group: NETWORKING,
        versions: NETWORKING_VERSIONS,
        read: |value, at| RuleSpec::VirtualService(Arc::new(Decode::decode(value, at))),
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

/// For tests: the preferred version of the kind of this name.
#[cfg(test)]
pub(super) fn api_version(kind: &str) -> String {
    let found = KINDS.iter().find(|known| known.name == kind);
    found.map_or_else(
        || "networking.istio.io/v1".to_owned(),
        |kind| format!("{}/{}", kind.group, kind.versions[0]),
    )
}

/// All kinds of rules.
pub fn kinds() -> &'static [RuleKind] {
    KINDS
}

/// The kind whose objects are called so.
pub(crate) fn kind_of(name: &str) -> Option<&'static RuleKind> {
    KINDS.iter().find(|known| known.name == name)
}

/// The kind that an object of this `apiVersion` and `kind` has, whatever the version of its group.
pub fn kind(api_version: &str, kind: &str) -> Option<&'static RuleKind> {
    let (group, _) = api_version.split_once('/')?;
    KINDS
        .iter()
        .find(|known| known.name == kind && known.group == group)
}
