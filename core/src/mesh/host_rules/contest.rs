//! Which `VirtualService`s for one host are not heard by sidecars that see them, because another one counts.

use std::collections::{BTreeMap, BTreeSet};

use super::routing::{counting, seen};
use super::virtuals::virtual_service;
use crate::mesh::{ExportTo, Mesh};
use crate::model::{Host, NamespaceName, Visibility};
use crate::registry::ObjectKey;
use crate::rules::HostKind;

/// A rule that is not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unheard {
    /// It.
    pub(crate) rule: ObjectKey,
    /// The oldest of those that count in its place.
    pub(crate) to: ObjectKey,
    /// Whether there are clients for whom it counts.
    pub(crate) in_part: bool,
}

impl Mesh {
    /// The rules for a host as it is written that some sidecars see and do not follow.
    pub(crate) fn unheard(&self, host: &Host) -> Vec<Unheard> {
        let rules: Vec<_> = self
            .all_rules_of_host(HostKind::Virtual, host)
            .filter_map(virtual_service)
            .collect();
        if rules.len() < 2 {
            return Vec::new();
        }
        // Clients of a namespace that no rule names see what all clients see.
        let mut clients: BTreeSet<Option<NamespaceName>> = [None].into();
        if let ExportTo::Some { namespaces, .. } = &self.config().default_virtual_service_export_to
        {
            clients.extend(namespaces.iter().cloned().map(Some));
        }
        for rule in &rules {
            clients.insert(Some(rule.key.namespace.clone()));
            if let Some(Visibility::Namespaces(namespaces)) = &rule.export_to {
                clients.extend(namespaces.iter().cloned().map(Some));
            }
        }
        let mut heard = BTreeSet::new();
        let mut lost: BTreeMap<&ObjectKey, _> = BTreeMap::new();
        for client in &clients {
            let seen = seen(self, client.as_ref(), host);
            let counting = counting(self.config().virtual_service_merge, &seen);
            let Some(oldest) = counting.first() else {
                continue;
            };
            for rule in seen {
                if counting.iter().any(|other| other.key == rule.key) {
                    heard.insert(&rule.key);
                } else {
                    let winner = lost.entry(&rule.key).or_insert(*oldest);
                    if oldest.age() < winner.age() {
                        *winner = *oldest;
                    }
                }
            }
        }
        let lost = lost.into_iter();
        lost.map(|(rule, winner)| Unheard {
            rule: rule.clone(),
            to: winner.key.clone(),
            in_part: heard.contains(rule),
        })
        .collect()
    }
}
