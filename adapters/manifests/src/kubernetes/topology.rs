//! Labels that say where something is and how it is reached.

use pilothouse_core::model::{Labels, Locality, NetworkId, TlsMode};

/// Which network a pod, or a namespace, is on.
pub(super) const NETWORK: &str = "topology.istio.io/network";
/// Where a pod is, in one label.
const LOCALITY: &str = "istio-locality";
/// Whether a pod's proxy takes mutual TLS.
const TLS_MODE: &str = "security.istio.io/tlsMode";

/// Labels of nodes, each with what it was called before Kubernetes 1.17.
const REGION: [&str; 2] = [
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/region",
];
const ZONE: [&str; 2] = [
    "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/zone",
];
const SUB_ZONE: [&str; 1] = ["topology.istio.io/subzone"];

/// Where a node is.
pub(super) fn of_node(labels: &Labels) -> Locality {
    let first = |names: &[&str]| names.iter().find_map(|name| labels.get(name));
    Locality::new(
        first(&REGION).unwrap_or_default(),
        first(&ZONE).unwrap_or_default(),
        first(&SUB_ZONE).unwrap_or_default(),
    )
}

/// Where a pod says that it is. Values of labels have no slashes: dots stand for them, unless there are any.
pub(super) fn of_pod(labels: &Labels) -> Locality {
    let text = labels.get(LOCALITY).unwrap_or_default();
    if text.contains('/') {
        Locality::parse(text)
    } else {
        Locality::parse(&text.replace('.', "/"))
    }
}

/// The network that a pod says it is on.
pub(super) fn network(labels: &Labels) -> NetworkId {
    labels.get(NETWORK).map(Into::into).unwrap_or_default()
}

/// What a pod's proxy takes.
pub(super) fn tls_mode(labels: &Labels) -> TlsMode {
    match labels.get(TLS_MODE) {
        Some("istio") => TlsMode::Istio,
        _ => TlsMode::Disabled,
    }
}
