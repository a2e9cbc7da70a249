//! Which `VirtualService`s for one host are not heard by sidecars that see them, because another one counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::routing::counts;
use super::virtuals::virtual_service;
use crate::mesh::{ExportTo, Mesh};
use crate::model::{Host, NamespaceName, Visibility};
use crate::registry::ObjectKey;
use crate::rules::HostKind;
use crate::rules::resolve::VirtualService;

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
        let merge = self.config().virtual_service_merge;
        let mut tally = Tally::default();
        for seen in self.seen_by_clients(host) {
            let Some(oldest) = seen.first() else {
                continue;
            };
            for rule in &seen {
                if counts(merge, oldest, rule) {
                    tally.heard.insert(&rule.key);
                } else {
                    let winner = tally.lost.entry(&rule.key).or_insert(*oldest);
                    if oldest.age() < winner.age() {
                        *winner = *oldest;
                    }
                }
            }
        }
        let lost = tally.lost.iter();
        lost.map(|(rule, winner)| Unheard {
            rule: ObjectKey::clone(rule),
            to: winner.key.clone(),
            in_part: tally.heard.contains(rule),
        })
        .collect()
    }

    /// The rules for a host as it is written that clients see, the oldest first, for all that do not see the same: clients of
    /// a namespace that no rule names see what all clients see.
    fn seen_by_clients(&self, host: &Host) -> Vec<Vec<&Arc<VirtualService>>> {
        let rules = self.all_rules_of_host(HostKind::Virtual, host);
        let rules: Vec<_> = rules.filter_map(virtual_service).collect();
        if rules.len() < 2 {
            return Vec::new();
        }
        let mut public = Vec::new();
        let mut by_client: BTreeMap<&NamespaceName, Vec<_>> = BTreeMap::new();
        for rule in rules {
            let own = &rule.key.namespace;
            let default = &self.config().default_virtual_service_export_to;
            let clients: BTreeSet<&NamespaceName> = match (&rule.export_to, default) {
                (Some(Visibility::Public), _) | (None, ExportTo::All) => {
                    public.push(rule);
                    continue;
                }
                (Some(Visibility::Namespaces(namespaces)), _) => namespaces.iter().collect(),
                (
                    None,
                    ExportTo::Some {
                        own: too,
                        namespaces,
                    },
                ) => namespaces.iter().chain(too.then_some(own)).collect(),
            };
            for client in clients {
                by_client.entry(client).or_default().push(rule);
            }
        }
        let some = by_client.into_values();
        let some = some.map(|own| own.into_iter().chain(public.iter().copied()).collect());
        let mut all: Vec<Vec<_>> = some.chain([public.clone()]).collect();
        for seen in &mut all {
            seen.sort_by(|a, b| a.age().cmp(&b.age()));
        }
        all
    }
}

/// How rules fare with some clients or others.
#[derive(Default)]
struct Tally<'a> {
    heard: BTreeSet<&'a ObjectKey>,
    lost: BTreeMap<&'a ObjectKey, &'a Arc<VirtualService>>,
}
