//! The kinds of objects that are read of a cluster: what they are called there, and who reads them.

use pilothouse_core::rules::{RuleKind, kinds};
use pilothouse_manifests::kubernetes;

use crate::config::Reads;

/// Pods that have run to their end are no workloads: the server need not send them. One that ends leaves the selection, and is told
/// of as if it was deleted.
const RUNNING: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Kubernetes' own kinds that are read here, in the order in which they are begun with; the older form of endpoints repeats the newer.
const OWN: [kubernetes::Kind; 5] = [
    kubernetes::Kind::Node,
    kubernetes::Kind::Namespace,
    kubernetes::Kind::Service,
    kubernetes::Kind::EndpointSlice,
    kubernetes::Kind::Pod,
];

/// What kinds of rules are called in paths.
const PLURALS: &[(&str, &str)] = &[
    ("AuthorizationPolicy", "authorizationpolicies"),
    ("DestinationRule", "destinationrules"),
    ("EnvoyFilter", "envoyfilters"),
    ("Gateway", "gateways"),
    ("Ingress", "ingresses"),
    ("IngressClass", "ingressclasses"),
    ("PeerAuthentication", "peerauthentications"),
    ("ProxyConfig", "proxyconfigs"),
    ("RequestAuthentication", "requestauthentications"),
    ("ServiceEntry", "serviceentries"),
    ("Sidecar", "sidecars"),
    ("Telemetry", "telemetries"),
    ("TrafficExtension", "trafficextensions"),
    ("VirtualService", "virtualservices"),
    ("WasmPlugin", "wasmplugins"),
    ("WorkloadEntry", "workloadentries"),
    ("WorkloadGroup", "workloadgroups"),
];

/// Who reads the objects of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reader {
    /// One of Kubernetes' own kinds.
    Own(kubernetes::Kind),
    /// A kind of rule.
    Rule(&'static RuleKind),
}

/// A kind of objects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Who reads them.
    pub(crate) reader: Reader,
    /// What one is called, such as `VirtualService`.
    pub(crate) name: &'static str,
    /// Their group; empty for the core group.
    pub(crate) group: &'static str,
    /// The versions that are read, the preferred one first.
    pub(crate) versions: &'static [&'static str],
    /// What they are called in paths, such as `virtualservices`.
    pub(crate) plural: &'static str,
    /// Whether they belong to namespaces.
    pub(crate) namespaced: bool,
    /// Whether their metadata says all that is read.
    pub(crate) metadata_only: bool,
    /// Which of them are read.
    pub(crate) fields: Option<&'static str>,
}

impl Kind {
    /// Whether every server has it: if one does not, that is a failure and not an answer.
    pub(crate) fn is_built_in(&self) -> bool {
        matches!(self.reader, Reader::Own(_))
    }

    /// Whether the others' objects mean more once this kind is known.
    pub(crate) fn comes_first(&self) -> bool {
        let first = [kubernetes::Kind::Node, kubernetes::Kind::Namespace];
        matches!(self.reader, Reader::Own(own) if first.contains(&own))
    }

    /// Whether the status of its objects is ours to write.
    pub(crate) fn has_our_status(&self) -> bool {
        matches!(self.reader, Reader::Rule(rule) if !rule.is_of_kubernetes())
    }

    fn own(own: kubernetes::Kind) -> Self {
        let (group, versions, plural): (_, &'static [&'static str], _) = match own {
            kubernetes::Kind::Namespace => ("", &["v1"], "namespaces"),
            kubernetes::Kind::Node => ("", &["v1"], "nodes"),
            kubernetes::Kind::Service => ("", &["v1"], "services"),
            kubernetes::Kind::EndpointSlice => ("discovery.k8s.io", &["v1"], "endpointslices"),
            kubernetes::Kind::Endpoints => ("", &["v1"], "endpoints"),
            kubernetes::Kind::Pod => ("", &["v1"], "pods"),
        };
        Self {
            reader: Reader::Own(own),
            name: own.as_str(),
            group,
            versions,
            plural,
            namespaced: own.is_namespaced(),
            metadata_only: !own.is_namespaced(),
            fields: (own == kubernetes::Kind::Pod).then_some(RUNNING),
        }
    }

    fn rule(rule: &'static RuleKind) -> Option<Self> {
        let (_, plural) = PLURALS.iter().find(|(name, _)| *name == rule.name)?;
        Some(Self {
            reader: Reader::Rule(rule),
            name: rule.name,
            group: rule.group,
            versions: rule.versions,
            plural,
            namespaced: !rule.is_cluster_scoped(),
            metadata_only: false,
            fields: None,
        })
    }
}

/// The kinds that are read of a cluster.
pub(crate) fn of(reads: Reads) -> Vec<Kind> {
    let own = OWN.into_iter().filter(|own| {
        // Namespaces say which of the rest is read.
        reads.platform() || *own == kubernetes::Kind::Namespace
    });
    let rules = kinds().iter().filter(|_| reads.rules());
    own.map(Kind::own)
        .chain(rules.filter_map(Kind::rule))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(reads: Reads) -> Vec<&'static str> {
        of(reads).iter().map(|kind| kind.plural).collect()
    }

    #[test]
    fn every_kind_of_rule_has_a_name_in_paths() {
        let read: BTreeSet<_> = of(Reads::Rules).iter().map(|kind| kind.name).collect();
        let mut expected: BTreeSet<_> = kinds().iter().map(|rule| rule.name).collect();
        expected.insert("Namespace");
        assert_eq!(read, expected);
        assert_eq!(PLURALS.len(), kinds().len());
    }

    #[test]
    fn names_are_unique_within_a_group() {
        let all = of(Reads::Everything);
        let unique: BTreeSet<_> = all.iter().map(|kind| (kind.group, kind.plural)).collect();
        assert_eq!(unique.len(), all.len());
    }

    #[test]
    fn other_clusters_are_read_without_rules() {
        let platform = ["nodes", "namespaces", "services", "endpointslices", "pods"];
        assert_eq!(names(Reads::Platform), platform);
        assert!(names(Reads::Everything).starts_with(&platform));
        assert!(names(Reads::Everything).contains(&"virtualservices"));
        assert_eq!(names(Reads::Rules).first(), Some(&"namespaces"));
        assert!(!names(Reads::Rules).contains(&"pods"));
    }

    #[test]
    fn what_belongs_to_no_namespace() {
        let all = of(Reads::Everything);
        let global = all.iter().filter(|kind| !kind.namespaced);
        let global: Vec<_> = global.map(|kind| kind.name).collect();
        assert_eq!(global, ["Node", "Namespace", "IngressClass"]);
    }
}
