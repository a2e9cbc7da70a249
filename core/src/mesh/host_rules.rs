//! Rules that are looked up by host: indices, and what of them a client's namespace sees of a host.

mod contest;
mod delegates;
mod destination;
mod merge;
mod names;
mod routing;
#[cfg(test)]
mod tests;
mod virtuals;

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync as Map;

use super::{ExportTo, Mesh, Rule};
use crate::model::{Host, Labels, NamespaceName, Service, Visibility};
use crate::registry::{Kind, ObjectKey};
use crate::rules::{HostKind, Reads, Resolved};

pub use destination::Destinations;
use names::Names;
pub use routing::Routing;

/// A kind of rules, the host that they are for as it is written, and their namespace.
type OfHost = (HostKind, Host, NamespaceName);

/// The rules in force, by what they are looked up by.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Index {
    /// By kind, host as written, and namespace; the oldest first.
    hosts: Map<OfHost, Arc<[Arc<Rule>]>>,
    /// The rules that depend on a host without being for it.
    referring: Map<Host, Arc<BTreeSet<ObjectKey>>>,
    /// Those that are for some clients of their namespace only.
    selecting: Map<(NamespaceName, ObjectKey), Labels>,
    /// The hosts of each namespace's rules.
    owned: Map<NamespaceName, Arc<Names>>,
    /// The hosts of rules that only some namespaces see.
    hidden: Arc<Names>,
    /// The hosts of rules that leave it to mesh config who sees them.
    unstated: Arc<Names>,
    /// How many rules and services depend on what of a client.
    reads: Map<Reads, usize>,
    /// `VirtualService`s by what else they are looked up by.
    virtuals: virtuals::Virtuals,
}

impl Index {
    pub(super) fn insert(&mut self, rule: &Arc<Rule>) {
        let (Some(resolved), key) = (&rule.resolved, &rule.meta.key) else {
            return;
        };
        let hosts = resolved.host_kind().into_iter();
        for (kind, host) in hosts.flat_map(|kind| {
            unique(resolved.hosts())
                .into_iter()
                .map(move |host| (kind, host))
        }) {
            let at = (kind, host, key.namespace.clone());
            let mut all = self
                .hosts
                .get(&at)
                .map_or_else(Vec::new, |all| all.to_vec());
            all.push(rule.clone());
            all.sort_by(|a, b| age(a).cmp(&age(b)));
            self.hosts.insert_mut(at, all.into());
        }
        self.count(rule, Names::insert);
        for host in unique(resolved.refers_to()) {
            let mut all = self.referring(&host);
            all.insert(key.clone());
            self.referring.insert_mut(host, Arc::new(all));
        }
        if let Some(labels) = resolved.selector() {
            self.selecting
                .insert_mut((key.namespace.clone(), key.clone()), labels.clone());
        }
        for reads in unique(resolved.reads()) {
            self.read(reads);
        }
        self.virtuals.insert(rule);
    }

    /// Somebody depends on this of a client.
    pub(super) fn read(&mut self, of: Reads) {
        let count = self.reads.get(&of).copied().unwrap_or(0);
        self.reads.insert_mut(of, count + 1);
    }

    /// Somebody does not any more.
    pub(super) fn unread(&mut self, of: &Reads) {
        match self.reads.get(of).copied().unwrap_or(0) {
            0 | 1 => {
                self.reads.remove_mut(of);
            }
            count => self.reads.insert_mut(of.clone(), count - 1),
        }
    }

    pub(super) fn remove(&mut self, rule: &Rule) {
        let (Some(resolved), key) = (&rule.resolved, &rule.meta.key) else {
            return;
        };
        let hosts = resolved.host_kind().into_iter();
        for (kind, host) in hosts.flat_map(|kind| {
            unique(resolved.hosts())
                .into_iter()
                .map(move |host| (kind, host))
        }) {
            let at = (kind, host, key.namespace.clone());
            let all = self.hosts.get(&at).into_iter().flat_map(|all| all.iter());
            let others: Arc<[_]> = all
                .filter(|other| other.meta.key != *key)
                .cloned()
                .collect();
            if others.is_empty() {
                self.hosts.remove_mut(&at);
            } else {
                self.hosts.insert_mut(at, others);
            }
        }
        self.count(rule, Names::remove);
        for host in unique(resolved.refers_to()) {
            let mut all = self.referring(&host);
            all.remove(key);
            if all.is_empty() {
                self.referring.remove_mut(&host);
            } else {
                self.referring.insert_mut(host, Arc::new(all));
            }
        }
        self.selecting
            .remove_mut(&(key.namespace.clone(), key.clone()));
        for reads in unique(resolved.reads()) {
            self.unread(&reads);
        }
        self.virtuals.remove(rule);
    }

    /// Changes how often the hosts of a rule are counted.
    fn count(&mut self, rule: &Rule, change: fn(&mut Names, &Host)) {
        let Some(resolved) = &rule.resolved else {
            return;
        };
        let hosts = unique(resolved.hosts());
        let namespace = &rule.meta.key.namespace;
        let mut owned = self
            .owned
            .get(namespace)
            .map_or_else(Names::default, |names| Names::clone(names));
        for host in &hosts {
            change(&mut owned, host);
        }
        if owned.is_empty() {
            self.owned.remove_mut(namespace);
        } else {
            self.owned.insert_mut(namespace.clone(), Arc::new(owned));
        }
        let names = match resolved.export_to() {
            Some(Visibility::Public) => return,
            Some(Visibility::Namespaces(_)) => &mut self.hidden,
            None => &mut self.unstated,
        };
        let names = Arc::make_mut(names);
        hosts.iter().for_each(|host| change(names, host));
    }

    fn referring(&self, host: &Host) -> BTreeSet<ObjectKey> {
        self.referring
            .get(host)
            .map(|all| BTreeSet::clone(all))
            .unwrap_or_default()
    }
}

fn unique<T: Ord>(all: Vec<T>) -> BTreeSet<T> {
    all.into_iter().collect()
}

fn age(rule: &Rule) -> impl Ord + '_ {
    let key = &rule.meta.key;
    (rule.meta.created, &key.name, &key.namespace)
}

/// What rules say of a host, to the clients of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRules {
    /// What clients do once they have chosen the host.
    pub destinations: Destinations,
    /// How requests and connections to the host are routed by sidecars; `None`: to the service of that name.
    pub routing: Option<Arc<Routing>>,
}

impl Mesh {
    /// What rules say of a host to clients in `namespace`; for `None`, to those of all namespaces that have nothing of their
    /// own. `service` is what such clients mean by the host; where it is none, there are no destinations. `None` where there is nothing to say.
    pub fn host_rules(
        &self,
        namespace: Option<&NamespaceName>,
        host: &Host,
        service: Option<&Service>,
    ) -> Option<HostRules> {
        if self.host_rules.hosts.is_empty() {
            return None;
        }
        let found = HostRules {
            destinations: service.map_or_else(Destinations::default, |service| {
                destination::look_up(self, namespace, host, &service.key.namespace)
            }),
            routing: routing::look_up(self, namespace, host).map(Arc::new),
        };
        (found != HostRules::default()).then_some(found)
    }

    /// Whether rules may say something else of a host to clients in `namespace` than to those that have nothing of their own,
    /// as long as both mean the same service by it.
    pub fn host_rules_may_differ(&self, namespace: &NamespaceName, host: &Host) -> bool {
        let index = &self.host_rules;
        let of = |names: &Arc<Names>| names.cover(host);
        index.owned.get(namespace).is_some_and(of)
            || self.reads(&Reads::SourceNamespace(namespace.clone()))
            || of(&index.hidden)
            || !self.shows_unstated() && of(&index.unstated)
    }

    /// Whether everybody sees rules that do not say who does.
    fn shows_unstated(&self) -> bool {
        let config = self.config();
        config.default_destination_rule_export_to == ExportTo::All
            && config.default_virtual_service_export_to == ExportTo::All
    }

    /// The rules of this kind and namespace that are for this very host as it is written, wildcards by their own name: the
    /// oldest first.
    pub fn rules_of_host(
        &self,
        kind: HostKind,
        host: &Host,
        namespace: &NamespaceName,
    ) -> &[Arc<Rule>] {
        let at = (kind, host.clone(), namespace.clone());
        self.host_rules.hosts.get(&at).map_or(&[], |rules| rules)
    }

    /// The rules of this kind and of whatever namespace that are for this very host as it is written, by namespace and age.
    pub fn all_rules_of_host<'a, 'h>(
        &'a self,
        kind: HostKind,
        host: &'h Host,
    ) -> impl Iterator<Item = &'a Arc<Rule>> + use<'a, 'h> {
        let from = (kind, host.clone(), NamespaceName::default());
        let all = self.host_rules.hosts.range(from..);
        all.take_while(move |((k, h, _), _)| *k == kind && h == host)
            .flat_map(|(_, rules)| rules.iter())
    }

    /// The hosts that rules of this kind are for, as they are written.
    pub fn hosts_of_rules(&self, kind: HostKind) -> impl Iterator<Item = &Host> {
        let all = self.host_rules.hosts.keys();
        let mut hosts = all
            .filter(move |(k, ..)| *k == kind)
            .map(|(_, host, _)| host);
        let mut last = None;
        std::iter::from_fn(move || {
            let next = hosts.find(|host| last != Some(*host))?;
            last = Some(next);
            Some(next)
        })
    }

    /// The hosts in what is made of which a rule has a part: those that it is for, by way of wildcards and of rules that
    /// delegate to it, too.
    pub fn hosts_concerned(&self, rule: &Resolved) -> BTreeSet<Host> {
        let mut concerned = BTreeSet::new();
        let mut hosts = rule.hosts();
        if let Resolved::Virtual(delegate) = rule {
            let roots = self.delegating_to(&delegate.key);
            let roots = roots.filter_map(|root| root.resolved.as_ref());
            hosts.extend(roots.flat_map(Resolved::hosts));
        }
        for host in hosts {
            if host.is_wildcard() {
                let others = self.hosts().chain(self.hosts_of_rules(HostKind::Virtual));
                concerned.extend(others.filter(|other| host.covers(other)).cloned());
            }
            concerned.insert(host);
        }
        concerned
    }

    /// The hosts in what is made of which `host` has a part because a rule refers to it.
    pub fn hosts_referring(&self, host: &Host) -> BTreeSet<Host> {
        let rules = self.host_rules.referring.get(host).into_iter();
        rules
            .flat_map(|keys| keys.iter())
            .filter_map(|key| self.rule(key)?.resolved.as_ref())
            .flat_map(|rule| self.hosts_concerned(rule))
            .collect()
    }

    /// Whether any rule depends on this of its clients.
    pub fn reads(&self, of: &Reads) -> bool {
        self.host_rules.reads.contains_key(of)
    }

    /// All that rules depend on of their clients.
    pub fn all_reads(&self) -> impl Iterator<Item = &Reads> {
        self.host_rules.reads.keys()
    }

    /// The rules that are for some clients of `namespace` only, and for one with these labels.
    pub fn rules_selecting<'a>(
        &'a self,
        namespace: &'a NamespaceName,
        labels: &'a Labels,
    ) -> impl Iterator<Item = &'a ObjectKey> {
        let first = ObjectKey::new(Kind::new(""), NamespaceName::default(), "");
        let all = self
            .host_rules
            .selecting
            .range((namespace.clone(), first)..);
        all.take_while(move |((n, _), _)| n == namespace)
            .filter(|(_, selector)| labels.selected_by(selector))
            .map(|((_, key), _)| key)
    }
}

/// Whether clients in `namespace` see what `owner` exports like this; for `None`, whether all do.
fn sees(
    namespace: Option<&NamespaceName>,
    owner: &NamespaceName,
    export_to: Option<&Visibility>,
    default: &ExportTo,
) -> bool {
    match (namespace, export_to) {
        (Some(namespace), Some(visibility)) => visibility.includes(namespace),
        (Some(namespace), None) => default.includes(namespace, owner),
        (None, Some(visibility)) => *visibility == Visibility::Public,
        (None, None) => *default == ExportTo::All,
    }
}

/// `host`, and the wildcards that cover it, from narrow to wide.
pub fn spellings(host: &Host) -> impl Iterator<Item = Host> + '_ {
    let text = host.as_str();
    let own = text.strip_prefix("*.").map_or(text, |rest| rest);
    let dots = own.match_indices('.').map(|(at, _)| &own[at + 1..]);
    // A wildcard is covered by itself, and by those of what is behind its own name.
    let wider = dots
        .map(|rest| format!("*.{rest}"))
        .chain(std::iter::once("*".to_owned()))
        .filter_map(|text| Host::new(&text).ok());
    std::iter::once(host.clone()).chain(wider.filter(move |wider| wider != host))
}
