//! `DestinationRule`s for one host of one namespace: whose subsets and policies do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Join;
use crate::mesh::{Rule, Source};
use crate::model::{Host, NamespaceName};
use crate::registry::ObjectKey;
use crate::rules::resolve::Destination;
use crate::rules::{HostKind, Resolved};
use crate::status::{Contest, Lost};

/// Who has been told what, by the host that it is about.
pub(super) type Told = BTreeMap<(NamespaceName, Host), BTreeSet<(Source, Contest)>>;

impl Join {
    /// Tells the authors of all rules for the host of this one what of them does not count, and takes back what does.
    pub(super) fn report_destination_conflicts(&mut self, rule: &Rule) {
        let Some(Resolved::Destination(changed)) = &rule.resolved else {
            return;
        };
        let (host, namespace) = (&changed.host, &changed.key.namespace);
        let rules: Vec<_> = self
            .mesh
            .rules_of_host(HostKind::Destination, host, namespace)
            .iter()
            .filter_map(|rule| match &rule.resolved {
                Some(Resolved::Destination(resolved)) => Some((&rule.source, resolved)),
                _ => None,
            })
            .collect();
        let selectors: BTreeSet<_> = rules
            .iter()
            .map(|(_, rule)| rule.selector.clone())
            .collect();
        let mut told = BTreeSet::new();
        for selector in selectors {
            let same = rules.iter().map(|(_, rule)| *rule);
            let same = same.filter(|rule| rule.selector == selector);
            for dropped in Destination::merge(same).1 {
                let source = |key: &ObjectKey| rules.iter().find(|(_, rule)| rule.key == *key);
                let (Some((of, _)), Some((to, _))) = (source(&dropped.rule), source(&dropped.to))
                else {
                    continue;
                };
                let why = match &dropped.subset {
                    Some(subset) => format!(
                        "{} has a subset {subset} of {host}: of several, that of the oldest rule counts",
                        dropped.to
                    ),
                    None => format!(
                        "{} has a trafficPolicy for {host}: of several, that of the oldest rule counts",
                        dropped.to
                    ),
                };
                let over = Contest::Destination(host.clone(), dropped.subset.clone());
                let lost = Lost {
                    over: over.clone(),
                    to: (*to).clone(),
                    at: None,
                    why: why.into(),
                };
                self.status.lost(of, lost);
                told.insert(((*of).clone(), over));
            }
        }
        let at = (namespace.clone(), host.clone());
        let before = self.rules.told.remove(&at).unwrap_or_default();
        for (source, over) in before.difference(&told) {
            self.status.not_lost(source, over);
        }
        if !told.is_empty() {
            self.rules.told.insert(at, told);
        }
    }
}
