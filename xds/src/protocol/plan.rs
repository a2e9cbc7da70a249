//! What can be sent of one type: the way from what a client holds to what it is to have, less what has to wait.
//!
//! Where nothing is special about the client, all of it is looked up by pointers and shared. A client of which the lists of
//! exceptions say something gets a plan of its own, in proportion to what differs.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::held::Held;
use super::refusal::Refusals;
use crate::fanout::{
    Content, Diff, Exception, Fanout, Fresh, Has, Interest, Item, NameSet, Segment, field, find,
};
use crate::resource::{Name, Resource, ResourceType, Uses, Version};

/// What a plan is made from.
pub(super) struct Inputs<'a> {
    pub(super) shared: &'a Fanout,
    pub(super) held: &'a Held,
    pub(super) goal: &'a Content,
    pub(super) interest: &'a Interest,
    /// Names that are to be answered though they may not exist.
    pub(super) asked: &'a [Arc<NameSet>],
    /// Names that are to be answered though they do not exist any longer.
    pub(super) due: &'a [Arc<NameSet>],
    pub(super) refusals: &'a Refusals,
    /// Whether what is tried out next may be sent.
    pub(super) trial: bool,
    /// Clusters that the client does not have yet.
    pub(super) unready: &'a [Arc<Fresh>],
    /// Load assignments: clusters of which the client has something else than the goal says.
    pub(super) clusters: &'a [Exception],
    pub(super) removals: Removals<'a>,
}

/// What becomes of resources that the goal does not have.
#[derive(Clone, Copy)]
pub(super) enum Removals<'a> {
    /// They are kept.
    Keep,
    /// They are removed unless something waits: what replaces them must come in the same response.
    WithLast,
    /// They are removed unless they are still in use.
    Now(&'a dyn Fn(&Name) -> bool),
}

/// What can be sent, and what the client holds then.
pub(super) struct Plan {
    pub(super) upserts: Vec<Arc<Segment>>,
    pub(super) removed: Vec<Name>,
    /// Names that do not exist, which has to be said.
    pub(super) absent: Vec<Name>,
    pub(super) after: Held,
    /// The upserts of which the client has nothing.
    pub(super) fresh: Arc<Fresh>,
    /// What is not sent because it is being tried out, and of which the client has nothing.
    pub(super) suspended_fresh: Vec<Name>,
    /// Whether something waits for clusters.
    pub(super) withheld: bool,
    /// Whether something waits to be tried out.
    pub(super) suspended: bool,
    /// Whether it is the way of all clients that hold the same.
    pub(super) shared: bool,
}

impl Plan {
    /// Whether there is anything to say.
    pub(super) fn sends(&self) -> bool {
        !self.upserts.is_empty() || !self.removed.is_empty() || !self.absent.is_empty()
    }

    /// See the [module](self).
    pub(super) fn new(inputs: &Inputs<'_>) -> Self {
        let diff = inputs
            .shared
            .diff(inputs.held.base.as_ref(), inputs.goal, inputs.interest);
        let plain = inputs.held.exceptions.is_empty()
            && inputs.refusals.is_empty()
            && !inputs
                .clusters
                .iter()
                .any(|e| inputs.interest.contains(e.name.as_str()));
        let mut plan = if plain {
            Self::common(inputs, &diff)
        } else {
            Self::own(inputs, &diff)
        };
        plan.answer(inputs);
        plan
    }

    fn common(inputs: &Inputs<'_>, diff: &Arc<Diff>) -> Self {
        let resource_type = inputs.goal.resource_type;
        let (upserts, withheld) = if inputs.unready.is_empty() || diff.upserts.is_empty() {
            (diff.upserts.clone(), Arc::default())
        } else {
            let from = inputs.held.base.as_ref();
            let split = inputs
                .shared
                .split(diff, from, resource_type, inputs.unready);
            (split.free.clone(), split.withheld.clone())
        };
        let goes = match inputs.removals {
            Removals::Keep => false,
            Removals::WithLast => withheld.is_empty(),
            Removals::Now(in_use) => {
                let used = diff.removed.iter().any(|e| in_use(&e.name));
                if used {
                    return Self::own(inputs, diff);
                }
                true
            }
        };
        let removed = if goes { &*diff.removed } else { &[] };
        let removed = removed.iter().map(|e| e.name.clone()).collect();
        let exceptions = if goes {
            withheld.clone()
        } else {
            merged(&withheld, &diff.removed)
        };
        Self {
            upserts,
            removed,
            absent: Vec::new(),
            after: Held {
                base: Some(inputs.goal.clone()),
                exceptions,
            },
            fresh: diff.fresh.clone(),
            suspended_fresh: Vec::new(),
            withheld: !withheld.is_empty(),
            suspended: false,
            shared: true,
        }
    }

    fn own(inputs: &Inputs<'_>, diff: &Diff) -> Self {
        let mut own = Own::default();
        for name in concerned(inputs, diff) {
            own.consider(inputs, name);
        }
        let waits = own.withheld || own.suspended;
        let mut removed = Vec::new();
        for (name, has) in own.gone {
            let stays = match inputs.removals {
                Removals::Keep => true,
                Removals::WithLast => waits,
                Removals::Now(in_use) => in_use(&name),
            };
            if stays {
                own.exceptions.push(Exception { name, has });
            } else {
                removed.push(name);
            }
        }
        own.exceptions.sort_by(|a, b| a.name.cmp(&b.name));
        let upserts = if own.upserts.is_empty() {
            Vec::new()
        } else {
            vec![
                inputs
                    .shared
                    .segment(inputs.goal.resource_type, own.upserts),
            ]
        };
        Self {
            upserts,
            removed,
            absent: Vec::new(),
            after: Held {
                base: Some(inputs.goal.clone()),
                exceptions: own.exceptions.into(),
            },
            fresh: Arc::new(Fresh::new(own.fresh)),
            suspended_fresh: own.suspended_fresh,
            withheld: own.withheld,
            suspended: own.suspended,
            shared: false,
        }
    }

    /// Adds what has to be said about names that do not exist.
    fn answer(&mut self, inputs: &Inputs<'_>) {
        let mut absent: Vec<Name> = Vec::new();
        let asked = inputs.asked.iter().map(|names| (names, false));
        let due = inputs.due.iter().map(|names| (names, true));
        for (names, whatever) in asked.chain(due) {
            let missing = inputs.shared.absent(inputs.goal, names);
            let unknown = missing.iter().filter(|name| {
                inputs.interest.contains(name.as_str())
                    && (whatever || inputs.held.has(name.as_str()).is_nothing())
                    && self.upserts.iter().all(|s| s.get(name.as_str()).is_none())
            });
            absent.extend(unknown.cloned());
        }
        absent.sort_unstable();
        absent.dedup();
        if inputs.goal.resource_type != ResourceType::Endpoint {
            self.absent = absent;
        } else if !absent.is_empty() {
            // Told that there is no assignment, Envoy would wait for one; with an empty one its cluster is ready.
            let items = absent.iter().map(empty_assignment).collect();
            let segment = inputs.shared.segment(ResourceType::Endpoint, items);
            self.upserts.push(segment);
            self.after.forget(&absent);
        }
    }
}

/// What is found out, name by name, for a plan of a client's own.
#[derive(Default)]
struct Own {
    upserts: Vec<Item>,
    exceptions: Vec<Exception>,
    gone: Vec<(Name, Has)>,
    fresh: Vec<Name>,
    suspended_fresh: Vec<Name>,
    withheld: bool,
    suspended: bool,
}

impl Own {
    fn consider(&mut self, inputs: &Inputs<'_>, name: &Name) {
        let has = inputs.held.has(name.as_str());
        let said = inputs.goal.get(name.as_str());
        let said_version = said.as_ref().map(|item| item.version);
        let next = match said.or_else(|| leaving(inputs, name)) {
            Some(item) if has.version() == Some(item.version) => has,
            Some(item) => {
                if self.may_send(inputs, &item, &has) {
                    if has.may_be_nothing() {
                        self.fresh.push(name.clone());
                    }
                    self.upserts.push(item.clone());
                    Has::Item(item)
                } else {
                    has
                }
            }
            None if has.is_nothing() => return,
            None => {
                self.gone.push((name.clone(), has));
                return;
            }
        };
        if next.version() != said_version {
            let name = name.clone();
            self.exceptions.push(Exception { name, has: next });
        }
    }

    fn may_send(&mut self, inputs: &Inputs<'_>, item: &Item, has: &Has) -> bool {
        if inputs.refusals.refuses(item) {
            return false;
        }
        if inputs.refusals.suspends(item, inputs.trial) {
            self.suspended = true;
            if has.may_be_nothing() {
                self.suspended_fresh.push(item.name().clone());
            }
            return false;
        }
        let waits = Fresh::meets(inputs.unready, item);
        self.withheld |= waits;
        !waits
    }
}

/// All names of which something may have to be said, sorted.
fn concerned<'a>(inputs: &'a Inputs<'_>, diff: &'a Diff) -> Vec<&'a Name> {
    let mut names: Vec<&Name> = diff.items().map(Item::name).collect();
    names.extend(diff.removed.iter().map(|e| &e.name));
    names.extend(inputs.held.exceptions.iter().map(|e| &e.name));
    names.extend(inputs.clusters.iter().map(|e| &e.name));
    names.retain(|name| inputs.interest.contains(name.as_str()));
    names.sort_unstable();
    names.dedup();
    names
}

/// The load assignment of a cluster that the client is to lose, and has as long as something uses it.
fn leaving(inputs: &Inputs<'_>, name: &Name) -> Option<Item> {
    let version = find(inputs.clusters, name.as_str())?.version()?;
    let resource = inputs.goal.set.get(name.as_str())?.clone();
    let version = resource.version.and(version);
    Some(Item { resource, version })
}

fn merged(a: &Arc<[Exception]>, b: &Arc<[Exception]>) -> Arc<[Exception]> {
    if a.is_empty() {
        return b.clone();
    }
    if b.is_empty() {
        return a.clone();
    }
    let mut both: Vec<_> = a.iter().chain(b.iter()).cloned().collect();
    both.sort_by(|a, b| a.name.cmp(&b.name));
    both.into()
}

/// A `ClusterLoadAssignment` that has nothing but the name of its cluster, in an `Any`.
fn empty_assignment(name: &Name) -> Item {
    let mut assignment = BytesMut::new();
    field(1, name.as_str().as_bytes(), &mut assignment);
    let mut any = BytesMut::new();
    field(1, ResourceType::Endpoint.url().as_bytes(), &mut any);
    field(2, &assignment, &mut any);
    let body: Bytes = any.freeze();
    let version = Version::of(&body);
    let resource = Resource {
        name: name.clone(),
        version,
        body,
        uses: Uses::default(),
        causes: Arc::default(),
    };
    Item {
        resource: Arc::new(resource),
        version,
    }
}
