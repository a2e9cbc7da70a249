//! `VirtualService`s for one host: who is not heard by sidecars. And those that delegate: to whom in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::super::Join;
use crate::mesh::{MeshConfig, Rule, Source, VirtualServiceMerge};
use crate::model::Host;
use crate::registry::ObjectKey;
use crate::rules::{HostKind, Resolved};
use crate::status::{Contest, Lost};

/// Who has been told to be unheard, by host.
pub(super) type Unheard = BTreeMap<Host, BTreeSet<Source>>;

/// Of what somebody may have to be told.
#[derive(Debug, Default)]
pub(super) struct Due {
    hosts: BTreeSet<Host>,
    rules: BTreeSet<ObjectKey>,
}

impl Join {
    /// What authors may have to be told because a rule changed: those of all rules for its hosts, and of those that delegate
    /// to it.
    pub(super) fn note_routing(&mut self, before: Option<&Rule>, after: Option<&Rule>) {
        for rule in before.into_iter().chain(after) {
            if let Some(resolved @ Resolved::Virtual(_)) = &rule.resolved {
                self.rules.routing.hosts.extend(resolved.hosts());
                self.rules.routing.rules.insert(rule.meta.key.clone());
            }
        }
        if let Some(before) = before
            && after.is_none_or(|after| after.source != before.source)
        {
            self.status.references(&before.source, BTreeSet::new());
        }
    }

    /// Tells authors whether their rules are heard, and what became of what they delegate, as far as that may have changed.
    pub(in super::super) fn report_routing(&mut self) {
        let Due { hosts, rules } = mem::take(&mut self.rules.routing);
        for host in hosts {
            self.report_unheard(&host);
        }
        let roots = rules.iter().flat_map(|key| self.mesh.delegating_to(key));
        let roots: BTreeSet<_> = roots.map(|root| root.meta.key.clone()).collect();
        for key in rules.union(&roots) {
            if let Some(rule) = self.mesh.rule(key) {
                self.report_delegation(rule);
            }
        }
    }

    /// The same for all rules: mesh config decides about them otherwise than it did.
    pub(in super::super) fn report_all_routing(&mut self, before: &MeshConfig) {
        let decides = |config: &MeshConfig| {
            let exported = config.default_virtual_service_export_to.clone();
            (config.virtual_service_merge, exported)
        };
        if decides(before) == decides(self.mesh.config()) {
            return;
        }
        let hosts = self.mesh.hosts_of_rules(HostKind::Virtual);
        let hosts: Vec<_> = hosts.cloned().collect();
        for host in hosts {
            self.report_unheard(&host);
        }
        let rules: Vec<_> = self.mesh.rules().cloned().collect();
        for rule in rules {
            self.report_delegation(&rule);
        }
    }

    fn report_delegation(&self, rule: &Rule) {
        if let Some(Resolved::Virtual(resolved)) = &rule.resolved {
            let problems = self.mesh.delegation_problems(resolved);
            let problems = problems.into_iter().collect();
            self.status.references(&rule.source, problems);
        }
    }

    fn report_unheard(&mut self, host: &Host) {
        let over = Contest::Routing(host.clone());
        let merge = self.mesh.config().virtual_service_merge;
        let source = |key: &ObjectKey| self.mesh.rule(key).map(|rule| rule.source.clone());
        let mut told = BTreeSet::new();
        for unheard in self.mesh.unheard(host) {
            let (Some(of), Some(to)) = (source(&unheard.rule), source(&unheard.to)) else {
                continue;
            };
            let clients = match unheard.in_part {
                true => "some of the sidecars that see both",
                false => "sidecars",
            };
            let decided = match merge {
                VirtualServiceMerge::Off => "of several rules for one host the oldest counts",
                VirtualServiceMerge::Namespace => {
                    "of several namespaces' rules for one host those of the oldest's namespace count"
                }
            };
            let why = format!("{} says how {clients} route {host}: {decided}", unheard.to);
            let lost = Lost {
                over: over.clone(),
                to,
                at: None,
                why: why.into(),
            };
            self.status.lost(&of, lost);
            told.insert(of);
        }
        let before = self.rules.unheard.remove(host).unwrap_or_default();
        for source in before.difference(&told) {
            self.status.not_lost(source, &over);
        }
        if !told.is_empty() {
            self.rules.unheard.insert(host.clone(), told);
        }
    }
}
