//! The end of a pass: what nothing uses any longer is removed, when what replaces it is with the client.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::pass::Step;
use super::plan::Removals;
use super::stream::{Mode, Service, Stream};
use crate::fanout::Has;
use crate::resource::{Name, ResourceType};
use crate::snapshot::Snapshot;

impl Stream {
    /// Removes clusters and routes that nothing uses any longer.
    pub(super) fn remove(&mut self, target: &Snapshot, now: Instant) -> Step {
        let pins = self.pins(target);
        // Routes first: what is pinned of them pins clusters.
        for resource_type in [ResourceType::Route, ResourceType::Cluster] {
            if !self.channel(resource_type).subscription.active() {
                continue;
            }
            let goal = self.goal(resource_type, target, target);
            let in_use = |name: &Name| pins.has(resource_type, name);
            let held = &self.channel(resource_type).held;
            let leaving = held
                .exceptions
                .iter()
                .filter(|e| !e.has.is_nothing() && goal.get(e.name.as_str()).is_none());
            let leaving: Vec<_> = leaving.filter(|e| !in_use(&e.name)).collect();
            if leaving.is_empty() {
                continue;
            }
            let reported = leaving.iter().any(|e| matches!(e.has, Has::Version(_)));
            if !self.replaced(reported, now) {
                return Step::Busy;
            }
            let plan = self.plan(&goal, &[], false, Removals::Now(&in_use));
            if self.mode == Mode::Sotw && resource_type == ResourceType::Route {
                // What has no name any longer is of no use to a client, and cannot be taken away.
                self.adopt(&goal, plan);
                continue;
            }
            if plan.removed.is_empty() {
                continue;
            }
            match self.send_in_window(&goal, plan, false, now) {
                Step::Done => {}
                step => return step,
            }
        }
        Step::Done
    }

    /// Whether the client has what replaces that which is to be removed, or has had the time for it.
    pub(super) fn replaced(&mut self, reported: bool, now: Instant) -> bool {
        let gate = self.settings.gate;
        let unasked = |t| !self.channel(t).subscription.asked();
        let users = [ResourceType::Listener, ResourceType::Route];
        if reported
            && self.service == Service::Ads
            && users.into_iter().any(unasked)
            && let Some(started) = self.started
            && now < started + gate
        {
            // The client has come back with listeners of which it has yet to tell.
            self.wake_at(started + gate);
            return false;
        }
        // A listener that goes replaces something, too; a route that goes does not.
        let routes = &self.channel(ResourceType::Route).open;
        let answered = self.channel(ResourceType::Listener).open.is_empty()
            && routes.iter().all(|open| open.upserts.is_empty());
        if answered && self.routes_are_asked_for() {
            return true;
        }
        let Some(pass) = &mut self.pass else {
            return true;
        };
        if pass.leave {
            return true;
        }
        let until = *pass.leaving.get_or_insert(now) + gate;
        if now < until {
            self.wake_at(until);
            return false;
        }
        pass.leave = true;
        self.removal_timeouts += 1;
        true
    }

    /// Whether the client asks for all routes that the listeners sent in this pass name.
    pub(super) fn routes_are_asked_for(&self) -> bool {
        let routes = &self.channel(ResourceType::Route).subscription;
        let Some(pass) = self.pass.as_ref().filter(|_| routes.active()) else {
            return true;
        };
        let interest = routes.interest();
        let listeners = pass.listeners.iter().flat_map(|(_, segments)| segments);
        let mut named = listeners.flat_map(|segment| segment.routes());
        named.all(|name| {
            interest.contains(name.as_str()) || pass.target.routes.get(name.as_str()).is_none()
        })
    }

    /// What old versions use that the client keeps because it has rejected the newer ones.
    pub(super) fn pins(&self, target: &Snapshot) -> Pins {
        let mut pins = Pins::default();
        for exception in &*self.channel(ResourceType::Listener).held.exceptions {
            pins.add(&exception.has);
        }
        for exception in &*self.channel(ResourceType::Route).held.exceptions {
            let name = &exception.name;
            if pins.has(ResourceType::Route, name) || target.routes.get(name.as_str()).is_some() {
                pins.add(&exception.has);
            }
        }
        pins
    }
}

/// Names that are in use though no resource of the target uses them.
#[derive(Default)]
pub(super) struct Pins {
    /// It is not known what is used.
    everything: bool,
    clusters: BTreeSet<Name>,
    routes: BTreeSet<Name>,
}

impl Pins {
    fn add(&mut self, has: &Has) {
        match has {
            Has::Nothing | Has::Unsure(None) => {}
            Has::Version(_) => self.everything = true,
            Has::Item(item) | Has::Unsure(Some(item)) | Has::Perhaps(item) => {
                let uses = &item.resource.uses;
                self.clusters.extend(uses.clusters.iter().cloned());
                self.routes.extend(uses.routes.iter().cloned());
            }
        }
    }

    fn has(&self, resource_type: ResourceType, name: &Name) -> bool {
        let names = match resource_type {
            ResourceType::Cluster => &self.clusters,
            _ => &self.routes,
        };
        self.everything || names.contains(name)
    }
}
