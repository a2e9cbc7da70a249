//! Kinds that stand beside services and rules in every folder of manifests, and mean nothing to a mesh.

/// Groups of Kubernetes that have nothing for a mesh.
const GROUPS: [&str; 16] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Kinds of the group without a name.
const CORE: [&str; 11] = [
    "ConfigMap",
    "Event",
    "LimitRange",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PodTemplate",
    "ReplicationController",
    "ResourceQuota",
    "Secret",
    "ServiceAccount",
    "Status",
];

/// Kinds of groups that have others, too.
const OTHERS: [(&str, &str); 3] = [
    ("networking.k8s.io", "NetworkPolicy"),
    ("networking.k8s.io", "ServiceCIDR"),
    ("kustomize.config.k8s.io", "Kustomization"),
];

/// Whether objects of this kind are well known, and none of a mesh's business.
pub fn is_of_no_concern(api_version: &str, kind: &str) -> bool {
    match api_version.split_once('/') {
        None => CORE.contains(&kind),
        Some((group, _)) => GROUPS.contains(&group) || OTHERS.contains(&(group, kind)),
    }
}
