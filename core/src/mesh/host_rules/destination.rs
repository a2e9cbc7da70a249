//! Which `DestinationRule` holds for a host: the client's namespace goes first, then the service's, then the root namespace.
//! In each, the most specific host; what is found first hides everything later.

use std::sync::Arc;

use super::{sees, spellings};
use crate::mesh::{Mesh, Rule};
use crate::model::{Host, NamespaceName};
use crate::registry::ObjectKey;
use crate::rules::resolve::{Destination, DestinationRule};
use crate::rules::{HostKind, Resolved};

/// What clients of a host do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destinations {
    /// What holds for clients for which nothing else does.
    pub general: Option<Arc<Destination>>,
    /// What holds for clients that a rule selects, each with all the rules of the same selector; the first that selects a
    /// client counts.
    pub selecting: Arc<[Arc<Destination>]>,
}

impl Destinations {
    /// What holds for a client that these rules select.
    pub fn of(&self, selected: &[ObjectKey]) -> Option<&Arc<Destination>> {
        let selects = |destination: &&Arc<Destination>| {
            let mut rules = destination.rules.iter();
            rules.any(|rule| selected.binary_search(rule).is_ok())
        };
        self.selecting
            .iter()
            .find(selects)
            .or(self.general.as_ref())
    }

    /// All that holds for one client or another.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Destination>> {
        self.selecting.iter().chain(&self.general)
    }
}

pub(super) fn look_up(
    mesh: &Mesh,
    namespace: Option<&NamespaceName>,
    host: &Host,
    of_service: &NamespaceName,
) -> Destinations {
    let root = &mesh.config().root_namespace;
    let spellings: Vec<Host> = spellings(host).collect();
    let mut selecting = Vec::new();
    let mut general = None;
    if let Some(own) = namespace {
        let (these, all) = within(mesh, own, &spellings, |rule| {
            // What the root namespace says to everybody is no word of its own clients'.
            own != root || !is_seen(mesh, None, rule)
        });
        (selecting, general) = (these, all);
    }
    for owner in [of_service, root] {
        if general.is_some() {
            break;
        }
        general = within(mesh, owner, &spellings, |rule| {
            rule.selector.is_none() && is_seen(mesh, namespace, rule)
        })
        .1;
    }
    Destinations {
        general,
        selecting: selecting.into(),
    }
}

fn is_seen(mesh: &Mesh, namespace: Option<&NamespaceName>, rule: &DestinationRule) -> bool {
    sees(
        namespace,
        &rule.key.namespace,
        rule.export_to.as_ref(),
        &mesh.config().default_destination_rule_export_to,
    )
}

/// The most specific rules of a namespace: those that select clients, and what holds for the others.
fn within(
    mesh: &Mesh,
    owner: &NamespaceName,
    spellings: &[Host],
    counts: impl Fn(&DestinationRule) -> bool,
) -> (Vec<Arc<Destination>>, Option<Arc<Destination>>) {
    let mut selecting = Vec::new();
    for host in spellings {
        let rules = mesh.rules_of_host(HostKind::Destination, host, owner);
        let rules: Vec<_> = rules
            .iter()
            .filter_map(destination)
            .filter(|rule| counts(rule))
            .collect();
        let mut selectors: Vec<_> = Vec::new();
        for rule in &rules {
            if rule.selector.is_some() && !selectors.contains(&&rule.selector) {
                selectors.push(&rule.selector);
            }
        }
        for selector in selectors {
            let same = rules
                .iter()
                .copied()
                .filter(|rule| rule.selector == *selector);
            selecting.extend(Destination::merge(same).0.map(Arc::new));
        }
        let general = rules.iter().copied().filter(|rule| rule.selector.is_none());
        if let (Some(general), _) = Destination::merge(general) {
            return (selecting, Some(Arc::new(general)));
        }
    }
    (selecting, None)
}

fn destination(rule: &Arc<Rule>) -> Option<&Arc<DestinationRule>> {
    match &rule.resolved {
        Some(Resolved::Destination(rule)) => Some(rule),
        _ => None,
    }
}
