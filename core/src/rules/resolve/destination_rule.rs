//! `DestinationRule` → what holds for a host, and the merge of several objects for one host.

mod blocks;
mod merge;
mod policy;

use std::sync::Arc;

use jiff::Timestamp;

use super::host_name;
use super::service_entry::visibility;
use crate::model::{Host, Labels, Visibility};
use crate::registry::{Meta, ObjectKey};
use crate::rules::spec;

pub(super) use blocks::connection_pool;
pub use merge::{Destination, DroppedSubset, SubsetOf};
pub use policy::{
    Algorithm, Area, Blocks, ConnectionPool, FileTls, HashBy, Keepalive, LoadBalancer, LocalityLb,
    OutlierDetection, Policy, ProxyProtocol, RetryBudget, Table, Tls, Tunnel, Warmup,
};

/// A checked rule, with names completed and defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DestinationRule {
    /// Which object it is.
    pub key: ObjectKey,
    /// When it was made; absent counts as oldest.
    pub created: Option<Timestamp>,
    /// The service, or a wildcard for several.
    pub host: Host,
    /// The clients that it is for; `None`: all.
    pub selector: Option<Labels>,
    /// Who sees it; `None`: what mesh config says.
    pub export_to: Option<Visibility>,
    /// What holds for the whole service.
    pub policy: Option<Arc<Policy>>,
    /// Parts of its endpoints.
    pub subsets: Vec<Arc<Subset>>,
}

/// A part of a service's endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subset {
    /// What routes call it.
    pub name: Arc<str>,
    /// The endpoints that have all of these labels.
    pub labels: Labels,
    /// What holds for it in place of the whole service's, block by block.
    pub policy: Option<Arc<Policy>>,
}

/// What a checked rule means; `None` where its host is no name of a host.
pub fn destination_rule(meta: &Meta, spec: &spec::DestinationRule) -> Option<DestinationRule> {
    let subset = |subset: &spec::destination_rule::Subset| {
        Arc::new(Subset {
            name: subset.name.as_str().into(),
            labels: subset.labels.clone(),
            policy: subset.traffic_policy.as_ref().map(blocks::policy),
        })
    };
    let selector = spec.workload_selector.as_ref();
    Some(DestinationRule {
        key: meta.key.clone(),
        created: meta.created,
        host: host_name(&spec.host, meta)?,
        selector: selector.map(|selector| selector.match_labels.clone()),
        export_to: visibility(&spec.export_to, &meta.key.namespace),
        policy: spec.traffic_policy.as_ref().map(blocks::policy),
        subsets: spec.subsets.iter().map(subset).collect(),
    })
}

impl DestinationRule {
    /// Its place among rules for one host of one namespace: age (absent is oldest), then name.
    pub fn age(&self) -> (Option<Timestamp>, &str) {
        (self.created, &self.key.name)
    }

    /// Whether any of it depends on where the client is.
    pub fn reads_locality(&self) -> bool {
        self.blocks().any(|blocks| {
            let balancer = blocks.load_balancer.as_ref();
            blocks.outlier_detection.is_some()
                || balancer.is_some_and(|balancer| balancer.locality.is_some())
        })
    }

    /// The client's labels that some of it depends on.
    pub fn reads_labels(&self) -> impl Iterator<Item = &Arc<str>> {
        let balancers = self
            .blocks()
            .filter_map(|blocks| blocks.load_balancer.as_ref());
        let priorities = balancers.filter_map(|balancer| match &balancer.locality {
            Some(LocalityLb::Priority(labels)) => Some(labels),
            _ => None,
        });
        priorities.flatten().map(|(key, _)| key)
    }

    fn blocks(&self) -> impl Iterator<Item = &Blocks> {
        let subsets = self
            .subsets
            .iter()
            .filter_map(|subset| subset.policy.as_ref());
        self.policy
            .iter()
            .chain(subsets)
            .flat_map(|policy| policy.all())
    }
}
