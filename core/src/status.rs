//! What is to be said to authors about their objects: rejections, lost conflicts, refusals by proxies.
//!
//! It is a value with a revision: whoever writes it to a platform, prints it or serves it takes the current one and waits
//! for the next. An object that is not mentioned is accepted and nothing is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use rpds::RedBlackTreeMapSync as Map;
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Serialize, Serializer};
use tokio::sync::watch;

use crate::mesh::Source;
use crate::model::{ClusterId, Host, Labels, ServiceKey, WorkloadKey};
use crate::registry::{Origin, Problem, RegistryId, SetId};
use crate::rules::{self, RuleKind};

/// Of how many sets of a registry that cannot be read at the same time the log tells.
const TOLD: usize = 10;

/// The status of everything at one moment. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Status {
    revision: u64,
    objects: Map<Source, Arc<ObjectStatus>>,
    sets: Map<(RegistryId, Option<SetId>), Arc<SetStatus>>,
}

/// What is to be said about one object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ObjectStatus {
    /// Its current text is not used, by the set that holds it.
    pub rejected: BTreeMap<SetId, Rejected>,
    /// It is used; its author should look at this.
    pub warnings: BTreeSet<Problem>,
    /// It is used; what it refers to is missing, or does not go with it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub references: BTreeSet<Problem>,
    /// It is used, and this of it changes nothing for the proxies that are connected.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ineffective: BTreeSet<Problem>,
    /// It is read and checked, and nothing here carries it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_supported: Option<NotSupported>,
    /// What it would declare is declared by another that goes first.
    pub lost: Vec<Lost>,
    /// Proxies refuse what was made from it, by the type of resource.
    pub refused: BTreeMap<Arc<str>, Refused>,
}

/// That objects of a kind are not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotSupported {
    /// What that means for its author.
    pub why: Arc<str>,
    /// Whether the mesh lets through what the object should keep out.
    pub unprotected: bool,
}

/// A version of an object that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Where it stands.
    pub at: Origin,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Whether an earlier version stays in force.
    pub earlier_in_force: bool,
}

/// A competition that an object has lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lost {
    /// What it was about.
    pub over: Contest,
    /// The winner.
    pub to: Source,
    /// Where the loser stands, if that says more than the object's name.
    pub at: Option<Origin>,
    /// The rule that decided.
    pub why: Arc<str>,
}

/// What objects compete for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Contest {
    /// To be the one object of its name, against a copy in another set of the same registry. The copy in this set lost.
    Copy(SetId),
    /// To be the one object of its name, against a copy in this same set.
    Twice(SetId),
    /// To be the one object of its name, against one of another registry.
    Name,
    /// To declare a service.
    Service(ServiceKey),
    /// To say what clients of a host do: for a subset, or for the whole service where there is none.
    Destination(Host, Option<Arc<str>>),
    /// To say how sidecars route what is for a host, as rules write it.
    Routing(Host),
    /// To declare a workload.
    Workload(ClusterId, WorkloadKey),
    /// To be the service that connections to an address and port lead to, where nothing else tells services apart.
    Connections(ServiceKey),
    /// To have a part of it, such as `spec.servers[0]`, in effect on a router.
    Server(Arc<str>),
    /// To be the one rule of its kind for workloads of its namespace: for those with these labels, or for all.
    Workloads(Option<Labels>),
}

impl Contest {
    /// Whether who loses it is out of force as a whole.
    pub fn is_for_the_whole(&self) -> bool {
        // Who lost against a copy of itself is the copy. A rule may have lost in part. A service that some connections do not lead to is there all the same.
        !matches!(
            self,
            Self::Copy(_)
                | Self::Twice(_)
                | Self::Connections(_)
                | Self::Server(_)
                | Self::Workloads(Some(_))
                | Self::Destination(..)
                | Self::Routing(_)
        )
    }
}

/// Resources of one type that proxies refuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// What the last proxy that refused said.
    pub message: Arc<str>,
    /// Who refuses.
    pub proxies: BTreeSet<Arc<str>>,
}

/// What is to be said about a set, or about a registry as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SetStatus {
    /// Why it cannot be read; what was read before stays.
    pub failing: Option<Arc<str>>,
    /// Places in it where something stands of which not even the name can be read.
    pub unreadable: Vec<Rejected>,
}

impl Status {
    /// Grows with every change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What is to be said about an object; `None`: it is accepted.
    pub fn object(&self, source: &Source) -> Option<&Arc<ObjectStatus>> {
        self.objects.get(source)
    }

    /// All objects about which something is to be said.
    pub fn objects(&self) -> impl Iterator<Item = (&Source, &Arc<ObjectStatus>)> {
        self.objects.iter()
    }

    /// The objects that should keep something out and that nothing carries out, those among them that cannot even be used.
    pub fn unprotected(&self) -> impl Iterator<Item = &Source> {
        let is_one = |(source, status): &(&Source, &Arc<ObjectStatus>)| {
            let protects =
                || rules::kind_of(source.object.kind.as_str()).is_some_and(RuleKind::protects);
            let in_force = status
                .not_supported
                .as_ref()
                .is_some_and(|what| what.unprotected);
            in_force || (!status.rejected.is_empty() && protects())
        };
        self.objects().filter(is_one).map(|(source, _)| source)
    }

    /// All sets about which something is to be said; without a set, the registry as a whole.
    pub fn sets(&self) -> impl Iterator<Item = (&RegistryId, Option<&SetId>, &Arc<SetStatus>)> {
        self.sets
            .iter()
            .map(|((registry, set), status)| (registry, set.as_ref(), status))
    }
}

impl ObjectStatus {
    /// Whether its current text is in use, as far as this process decides.
    pub fn is_accepted(&self) -> bool {
        let real = |lost: &Lost| lost.over.is_for_the_whole();
        self.rejected.is_empty() && self.not_supported.is_none() && !self.lost.iter().any(real)
    }

    /// Why it is accepted or not, as the reason of a condition.
    pub fn reason(&self) -> &'static str {
        if !self.rejected.is_empty() {
            "Invalid"
        } else if self.not_supported.is_some() {
            "NotSupported"
        } else if self.is_accepted() {
            "Accepted"
        } else {
            "Conflicted"
        }
    }
}

impl NotSupported {
    /// Of objects of this kind; `None` where they are carried out.
    pub fn of(kind: &RuleKind) -> Option<Self> {
        if kind.is_carried_out() {
            return None;
        }
        let name = kind.name;
        let why = if kind.protects() {
            format!("{name} is read and not enforced: the mesh is as open as without it")
        } else {
            format!("{name} is read and not supported: it has no effect")
        };
        Some(Self {
            why: why.into(),
            unprotected: kind.protects(),
        })
    }
}

impl Lost {
    /// Lost against an object of the same name in another registry.
    pub(crate) fn name(to: &Source) -> Self {
        let why = "of one object in several registries the oldest counts, then the first registry by name";
        Self {
            over: Contest::Name,
            to: to.clone(),
            at: None,
            why: why.into(),
        }
    }
}

/// The current [`Status`], and the way to add to it. Clones share it.
#[derive(Debug, Clone)]
pub struct StatusHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    status: Mutex<Status>,
    revision: watch::Sender<u64>,
}

impl StatusHandle {
    /// Nothing is to be said yet.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                status: Mutex::default(),
                revision: watch::channel(0).0,
            }),
        }
    }

    /// The status of everything.
    pub fn get(&self) -> Status {
        self.shared.status.lock().clone()
    }

    /// Revisions as they come.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.shared.revision.subscribe()
    }

    /// States that `proxy` refuses a resource of this type that was made from `source`.
    pub fn nacked(&self, source: &Source, proxy: &str, type_url: &str, message: &str) {
        let mut news = false;
        self.edit(source, |status| {
            let fresh = || Refused {
                message: message.into(),
                proxies: BTreeSet::new(),
            };
            let known = status.refused.contains_key(type_url);
            let refused = status.refused.entry(type_url.into()).or_insert_with(fresh);
            news = !known || *refused.message != *message;
            if news {
                refused.message = message.into();
            }
            refused.proxies.insert(proxy.into()) || news
        });
        if news {
            tracing::warn!(target: "model", registry = %source.registry, object = %source.object, proxy, type_url, message, "refused by a proxy");
        }
    }

    /// States that `proxy` holds what was made from `source` for this type.
    pub fn acked(&self, source: &Source, proxy: &str, type_url: &str) {
        self.edit(source, |status| {
            let Some(refused) = status.refused.get_mut(type_url) else {
                return false;
            };
            let changed = refused.proxies.remove(proxy);
            if refused.proxies.is_empty() {
                status.refused.remove(type_url);
            }
            changed
        });
    }

    /// States that `proxy` is gone, and its refusals with it.
    pub fn disconnected(&self, proxy: &str) {
        let refusing = |status: &ObjectStatus| {
            status
                .refused
                .values()
                .any(|refused| refused.proxies.contains(proxy))
        };
        let status = self.get();
        for (source, status) in status.objects().filter(|(_, status)| refusing(status)) {
            for type_url in status.refused.keys() {
                self.acked(source, proxy, type_url);
            }
        }
    }

    /// States which contests over [connections](Contest::Connections) the services of an object have lost: these and no others.
    pub fn connections_lost(&self, source: &Source, lost: Vec<Lost>) {
        let mut news = Vec::new();
        self.edit(source, |status| {
            let is_one =
                |lost: &Lost| matches!(lost.over, Contest::Connections(_) | Contest::Server(_));
            let (before, others): (Vec<_>, Vec<_>) = std::mem::take(&mut status.lost)
                .into_iter()
                .partition(is_one);
            let known = |new: &&Lost| {
                before
                    .iter()
                    .any(|old| (&old.over, &old.to) == (&new.over, &new.to))
            };
            news.extend(lost.iter().filter(|new| !known(new)).cloned());
            status.lost = others.into_iter().chain(lost.iter().cloned()).collect();
            status.lost.sort();
            let after = status.lost.iter().filter(|lost| is_one(lost));
            !before.iter().eq(after)
        });
        for Lost { over, to, why, .. } in news {
            tracing::warn!(target: "model", registry = %source.registry, object = %source.object, ?over, winner = %to.object, winner_registry = %to.registry, %why, "conflict lost");
        }
    }

    /// States what of an object changes nothing for the proxies that are connected: this and nothing else.
    pub fn ineffective(&self, source: &Source, problems: BTreeSet<Problem>) {
        let mut news = Vec::new();
        self.edit(source, |status| {
            news.extend(problems.difference(&status.ineffective).cloned());
            let changed = status.ineffective != problems;
            status.ineffective = problems;
            changed
        });
        if !news.is_empty() {
            let problems: Vec<_> = news.iter().map(ToString::to_string).collect();
            tracing::warn!(target: "model", registry = %source.registry, object = %source.object, problems = problems.join("; "), "without effect");
        }
    }

    /// Says that the text of an object in `set` is rejected, or with `None` that it is not.
    pub(crate) fn rejected(&self, source: &Source, set: &SetId, rejected: Option<Rejected>) {
        let logged = rejected.clone();
        let changed = self.edit(source, |status| {
            let before = match rejected {
                Some(rejected) => status.rejected.insert(set.clone(), rejected),
                None => status.rejected.remove(set),
            };
            before.as_ref() != status.rejected.get(set)
        });
        if let (true, Some(rejected)) = (changed, logged) {
            let problems: Vec<_> = rejected.problems.iter().map(ToString::to_string).collect();
            tracing::warn!(
                target: "model",
                registry = %source.registry,
                object = %source.object,
                at = %rejected.at,
                problems = problems.join("; "),
                earlier_in_force = rejected.earlier_in_force,
                "rejected",
            );
        }
    }

    /// Says that an object is in force whose kind is not carried out, or with `None` that it is not.
    pub(crate) fn not_supported(&self, source: &Source, what: Option<NotSupported>) {
        let logged = what.clone();
        let changed = self.edit(source, |status| {
            let changed = status.not_supported != what;
            status.not_supported = what;
            changed
        });
        if let (true, Some(NotSupported { why, .. })) = (changed, logged) {
            tracing::warn!(target: "model", registry = %source.registry, object = %source.object, %why, "not supported");
        }
    }

    /// Says what is doubtful about the version of an object that is in use.
    pub(crate) fn warnings(&self, source: &Source, warnings: BTreeSet<Problem>) {
        self.edit(source, |status| {
            let changed = status.warnings != warnings;
            status.warnings = warnings;
            changed
        });
    }

    /// Says what is wrong with what the version of an object that is in use refers to.
    pub(crate) fn references(&self, source: &Source, references: BTreeSet<Problem>) {
        let logged = references.clone();
        let mut news = Vec::new();
        let changed = self.edit(source, |status| {
            news.extend(logged.difference(&status.references).cloned());
            let changed = status.references != references;
            status.references = references;
            changed
        });
        for problem in news.iter().filter(|_| changed) {
            tracing::warn!(target: "model", registry = %source.registry, object = %source.object, %problem, "refers to something in vain");
        }
    }

    /// Says that an object has lost a contest.
    pub(crate) fn lost(&self, source: &Source, lost: Lost) {
        let logged = lost.clone();
        let changed = self.edit(source, |status| {
            if status.lost.contains(&lost) {
                return false;
            }
            status.lost.retain(|other| other.over != lost.over);
            status.lost.push(lost);
            status.lost.sort();
            true
        });
        if changed {
            let Lost { over, to, at, why } = logged;
            let at = at.as_ref().map_or("", Origin::as_str);
            tracing::warn!(target: "model", registry = %source.registry, object = %source.object, at, ?over, winner = %to.object, winner_registry = %to.registry, %why, "conflict lost");
        }
    }

    /// Says that an object has not lost this contest.
    pub(crate) fn not_lost(&self, source: &Source, over: &Contest) {
        self.edit(source, |status| {
            let before = status.lost.len();
            status.lost.retain(|lost| lost.over != *over);
            status.lost.len() != before
        });
    }

    /// Says what is wrong with a set, or a registry as a whole.
    pub(crate) fn set(&self, registry: &RegistryId, set: Option<&SetId>, status: SetStatus) {
        let key = (registry.clone(), set.cloned());
        let mut all = self.shared.status.lock();
        let unchanged = match all.sets.get(&key) {
            Some(before) => **before == status,
            None => status == SetStatus::default(),
        };
        if unchanged {
            return;
        }
        if let Some(why) = &status.failing {
            let others = all
                .sets
                .iter()
                .filter(|((of, other), status)| {
                    of == registry && other.as_ref() != set && status.failing.is_some()
                })
                .take(TOLD)
                .count();
            // A source that is gone is one cause, however many sets it has.
            if others < TOLD {
                tracing::warn!(target: "model", %registry, set = set.map(SetId::as_str), %why, "cannot be read; what was read before stays");
            } else {
                tracing::debug!(target: "model", %registry, set = set.map(SetId::as_str), %why, "cannot be read; what was read before stays");
            }
            if others + 1 == TOLD {
                tracing::warn!(target: "model", %registry, "further sets of this registry that cannot be read are on the page /debug/registryz, and not told of here");
            }
        }
        for Rejected { at, problems, .. } in &status.unreadable {
            let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
            tracing::warn!(target: "model", %registry, set = set.map(SetId::as_str), %at, problems = problems.join("; "), "unreadable");
        }
        if status == SetStatus::default() {
            all.sets.remove_mut(&key);
        } else {
            all.sets.insert_mut(key, Arc::new(status));
        }
        self.next_revision(&mut all);
    }

    /// `change` says whether it changed anything.
    fn edit(&self, source: &Source, change: impl FnOnce(&mut ObjectStatus) -> bool) -> bool {
        let mut all = self.shared.status.lock();
        let status = match all.objects.get(source) {
            // Nearly always nothing is to be said, and nothing was.
            None => {
                let mut status = ObjectStatus::default();
                if !change(&mut status) {
                    return false;
                }
                Arc::new(status)
            }
            Some(status) => {
                let mut status = Arc::clone(status);
                if !change(Arc::make_mut(&mut status)) {
                    return false;
                }
                status
            }
        };
        if *status == ObjectStatus::default() {
            all.objects.remove_mut(source);
        } else {
            all.objects.insert_mut(source.clone(), status);
        }
        self.next_revision(&mut all);
        true
    }

    fn next_revision(&self, status: &mut Status) {
        status.revision += 1;
        self.shared.revision.send_replace(status.revision);
    }
}

impl Default for StatusHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_struct("Status", 3)?;
        all.serialize_field("revision", &self.revision)?;
        all.serialize_field(
            "objects",
            &List(|| {
                self.objects.iter().map(|(source, status)| ObjectEntry {
                    of: source,
                    accepted: status.is_accepted(),
                    reason: status.reason(),
                    status,
                })
            }),
        )?;
        all.serialize_field(
            "sets",
            &List(|| {
                self.sets
                    .iter()
                    .map(|(set, status)| Entry { of: set, status })
            }),
        )?;
        all.end()
    }
}

#[derive(Serialize)]
struct ObjectEntry<'a> {
    of: &'a Source,
    accepted: bool,
    reason: &'static str,
    status: &'a ObjectStatus,
}

#[derive(Serialize)]
struct Entry<'a, K, V> {
    of: &'a K,
    status: &'a V,
}

/// Map keys that are not text, as a list.
struct List<F>(F);

impl<I: Iterator<Item: Serialize>, F: Fn() -> I> Serialize for List<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            list.serialize_element(&item)?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Meta;

    fn source() -> Source {
        Source {
            registry: RegistryId::new("Static", "east"),
            object: Meta::new("ServiceEntry", "shop", "reviews").key,
        }
    }

    fn refused(handle: &StatusHandle) -> Vec<(String, Vec<String>)> {
        let status = handle.get();
        let Some(status) = status.object(&source()) else {
            return Vec::new();
        };
        let proxies = |refused: &Refused| refused.proxies.iter().map(ToString::to_string).collect();
        status
            .refused
            .values()
            .map(|refused| (refused.message.to_string(), proxies(refused)))
            .collect()
    }

    #[test]
    fn a_refusal_lasts_until_its_proxy_accepts_or_leaves() {
        let handle = StatusHandle::new();
        handle.nacked(&source(), "a", "cluster", "bad");
        handle.nacked(&source(), "b", "cluster", "bad");
        assert_eq!(
            refused(&handle),
            [("bad".into(), vec!["a".into(), "b".into()])]
        );
        handle.acked(&source(), "a", "cluster");
        assert_eq!(refused(&handle), [("bad".into(), vec!["b".into()])]);
        handle.disconnected("b");
        assert_eq!(refused(&handle), []);
        assert!(
            handle.get().object(&source()).is_none(),
            "nothing is left to say"
        );
    }

    #[test]
    fn contests_over_connections_are_replaced_as_a_whole() {
        let handle = StatusHandle::new();
        let key = |host: &str| ServiceKey {
            namespace: "shop".into(),
            host: Host::new(host).unwrap(),
        };
        let lost = |host: &str, why: &str| Lost {
            over: Contest::Connections(key(host)),
            to: source(),
            at: None,
            why: why.into(),
        };
        let name = Lost::name(&source());
        handle.lost(&source(), name.clone());
        handle.connections_lost(&source(), vec![lost("b", "1"), lost("a", "1")]);
        let all = |handle: &StatusHandle| handle.get().object(&source()).unwrap().lost.clone();
        assert_eq!(all(&handle), [name.clone(), lost("a", "1"), lost("b", "1")]);
        let revision = handle.get().revision();
        handle.connections_lost(&source(), vec![lost("b", "1"), lost("a", "1")]);
        assert_eq!(handle.get().revision(), revision, "nothing new was said");
        handle.connections_lost(&source(), vec![lost("a", "2")]);
        assert_eq!(all(&handle), [name.clone(), lost("a", "2")]);
        handle.connections_lost(&source(), vec![]);
        assert_eq!(all(&handle), [name]);
    }

    #[test]
    fn saying_the_same_again_is_no_revision() {
        let handle = StatusHandle::new();
        let at = Origin::new("a.yaml:1");
        let rejected = Rejected {
            at,
            problems: vec![Problem::error("spec", "bad")],
            earlier_in_force: true,
        };
        let set = SetId::new("a.yaml");
        handle.rejected(&source(), &set, Some(rejected.clone()));
        assert_eq!(handle.get().revision(), 1);
        handle.rejected(&source(), &set, Some(rejected));
        handle.acked(&source(), "a", "cluster");
        handle.set(&source().registry, Some(&set), SetStatus::default());
        assert_eq!(handle.get().revision(), 1);
        handle.rejected(&source(), &set, None);
        assert_eq!(*handle.revisions().borrow(), 2);
    }

    #[test]
    fn what_is_not_carried_out_is_not_accepted() {
        let handle = StatusHandle::new();
        let kind = |name| rules::kind("security.istio.io/v1", name).unwrap();
        let what = NotSupported::of(kind("PeerAuthentication"));
        handle.not_supported(&source(), what.clone());
        handle.not_supported(&source(), what);
        let status = handle.get();
        assert_eq!(status.revision(), 1, "it is said once");
        let status = status.object(&source()).unwrap();
        assert_eq!(
            (status.is_accepted(), status.reason()),
            (false, "NotSupported")
        );
        handle.not_supported(&source(), None);
        assert!(handle.get().object(&source()).is_none());
    }

    #[test]
    fn it_serialises_as_lists() {
        let handle = StatusHandle::new();
        handle.warnings(&source(), [Problem::warning("spec", "odd")].into());
        let json = serde_json::to_value(handle.get()).unwrap();
        assert_eq!(json["objects"][0]["of"]["object"]["name"], "reviews");
        assert_eq!(json["objects"][0]["accepted"], true);
        assert_eq!(json["objects"][0]["reason"], "Accepted");
        assert_eq!(json["objects"][0]["status"]["warnings"][0]["what"], "odd");
    }
}
