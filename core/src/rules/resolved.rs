//! What a rule that speaks of hosts means, made once when it comes into force.

use std::sync::Arc;

use super::RuleSpec;
use super::resolve::{self, DestinationRule};
use crate::model::{Host, Labels, Visibility};
use crate::registry::Meta;

/// The kinds of rules that are looked up by host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostKind {
    /// What clients do once they have chosen a service.
    Destination,
    /// Which service they choose.
    Virtual,
}

/// A rule as it is looked up: with names completed, defaults filled in and durations read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// A `DestinationRule`.
    Destination(Arc<DestinationRule>),
}

/// What of a client a rule may depend on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reads {
    /// Where it is.
    Locality,
    /// The value of one of its labels.
    Label(Arc<str>),
}

impl Resolved {
    /// What a checked rule means; `None` for one that does not speak of hosts.
    pub fn of(meta: &Meta, spec: &RuleSpec) -> Option<Self> {
        match spec {
            RuleSpec::DestinationRule(spec) => resolve::destination_rule(meta, spec)
                .map(Arc::new)
                .map(Self::Destination),
            RuleSpec::ServiceEntry(_) | RuleSpec::WorkloadEntry(_) => None,
        }
    }

    /// How it is looked up.
    pub fn kind(&self) -> HostKind {
        match self {
            Self::Destination(_) => HostKind::Destination,
        }
    }

    /// The hosts that it is for, wildcards among them.
    pub fn hosts(&self) -> Vec<Host> {
        match self {
            Self::Destination(rule) => vec![rule.host.clone()],
        }
    }

    /// The hosts on which it depends without being for them: what is made for its own hosts is made from these, too.
    pub fn refers_to(&self) -> Vec<Host> {
        match self {
            Self::Destination(_) => Vec::new(),
        }
    }

    /// Who sees it; `None`: what mesh config says.
    pub fn export_to(&self) -> Option<&Visibility> {
        match self {
            Self::Destination(rule) => rule.export_to.as_ref(),
        }
    }

    /// The clients that it is for, within its own namespace; `None`: all.
    pub fn selector(&self) -> Option<&Labels> {
        match self {
            Self::Destination(rule) => rule.selector.as_ref(),
        }
    }

    /// What of a client it depends on.
    pub fn reads(&self) -> Vec<Reads> {
        match self {
            Self::Destination(rule) => {
                let locality = rule.reads_locality().then_some(Reads::Locality);
                let labels = rule.reads_labels().cloned().map(Reads::Label);
                locality.into_iter().chain(labels).collect()
            }
        }
    }
}
