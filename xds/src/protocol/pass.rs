//! One pass: a stream is brought to one snapshot, type by type, and only then to the newest.
//!
//! The order is clusters, load assignments, listeners, routes, removals. Nothing is remembered of how far a pass has come: what
//! there is to send follows from what the client holds, so that requests, rejections and time-outs may come at any time.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::channel::Channel;
use super::plan::{Inputs, Plan, Removals};
use super::stream::{Mode, Service, Stream};
use super::{Response, sotw};
use crate::fanout::{Content, Fresh, Has, Interest, Segment};
use crate::resource::{Name, ResourceType};
use crate::snapshot::Snapshot;

/// What is remembered of a pass: times, and what its removals wait for.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) target: Arc<Snapshot>,
    /// When something first had to wait for clusters.
    withheld: Option<Instant>,
    /// Nothing waits for clusters any longer.
    open: bool,
    /// When removals first had to wait.
    leaving: Option<Instant>,
    /// Removals do not wait any longer.
    leave: bool,
    /// Listeners that were sent, by nonce: the routes that they name have to be with the client before removals.
    pub(super) listeners: Vec<(u64, Vec<Arc<Segment>>)>,
}

/// How it stands with a type, or with removals.
enum Step {
    Send(Response),
    /// There is nothing to do.
    Done,
    /// It has to wait for an answer.
    Busy,
    /// It has to wait for clusters.
    Withheld,
}

impl Pass {
    pub(super) fn new(target: Arc<Snapshot>) -> Self {
        Self {
            target,
            withheld: None,
            open: false,
            leaving: None,
            leave: false,
            listeners: Vec::new(),
        }
    }
}

impl Stream {
    /// The next response of the pass, or of those after it.
    pub(super) fn advance(&mut self, now: Instant) -> Option<Response> {
        self.deadline = None;
        loop {
            let newest = self.newest.clone()?;
            let pass = self.pass.get_or_insert_with(|| Pass::new(newest.clone()));
            let target = pass.target.clone();
            self.compare_reported(&target);
            let (mut busy, mut withheld) = (false, false);
            let mut unsent = Vec::new();
            for resource_type in ResourceType::ALL {
                let step = self.step(resource_type, &target, &newest, &mut unsent, now);
                let channel = self.channel_mut(resource_type);
                channel.pending = !matches!(step, Step::Done);
                match step {
                    Step::Send(response) => return Some(response),
                    Step::Done => {}
                    // Endpoints join at any time. Waiting for a moment without would be waiting for ever.
                    Step::Busy => busy |= resource_type != ResourceType::Endpoint,
                    Step::Withheld => withheld = true,
                }
            }
            if withheld && self.gate_expired(now) {
                continue;
            }
            if busy || withheld {
                return None;
            }
            match self.remove(&target, now) {
                Step::Send(response) => return Some(response),
                Step::Busy | Step::Withheld => return None,
                Step::Done => {}
            }
            if Arc::ptr_eq(&target, &newest) {
                self.settle();
                return None;
            }
            self.pass = Some(Pass::new(newest));
        }
    }

    /// Whether resources have waited long enough for their clusters.
    fn gate_expired(&mut self, now: Instant) -> bool {
        let gate = self.settings.gate;
        let Some(pass) = &mut self.pass else {
            return false;
        };
        let until = *pass.withheld.get_or_insert(now) + gate;
        if now < until {
            self.wake_at(until);
            return false;
        }
        pass.open = true;
        self.gate.waive();
        self.gate_timeouts += 1;
        true
    }

    /// Clusters that resources of this type have to wait for: those that are not ready, and those that could not be sent.
    fn unready(
        &mut self,
        resource_type: ResourceType,
        target: &Snapshot,
        unsent: &[Arc<Fresh>],
    ) -> Vec<Arc<Fresh>> {
        let waits = matches!(resource_type, ResourceType::Listener | ResourceType::Route);
        if !waits || self.pass.as_ref().is_some_and(|pass| pass.open) {
            return Vec::new();
        }
        let assignments = self.channel(ResourceType::Endpoint).subscription.active();
        let mut unready = self.gate.unready(assignments);
        unready.extend(unsent.iter().cloned());
        if self.awaits_clusters() && assignments {
            // An Envoy that comes back while a cluster warms asks for load assignments and listeners, and for clusters later.
            let clusters = self.goal(ResourceType::Cluster, target, target);
            let all = self.shared.diff(None, &clusters, &Interest::Wildcard);
            unready.push(all.fresh.clone());
        }
        unready
    }

    /// What the client is to have of a type.
    pub(super) fn goal(
        &self,
        resource_type: ResourceType,
        target: &Snapshot,
        newest: &Snapshot,
    ) -> Content {
        let (set, clusters) = match resource_type {
            ResourceType::Endpoint => {
                let bodies = newest.assignments.bodies.clone();
                let clusters = if self.channel(ResourceType::Cluster).subscription.active() {
                    // As sent to this client, which may not be what is to be sent next.
                    self.assigned
                        .as_ref()
                        .unwrap_or(&target.assignments.clusters)
                } else {
                    &newest.assignments.clusters
                };
                (bodies, Some(clusters.clone()))
            }
            other => (target.set(other).clone(), None),
        };
        Content {
            resource_type,
            set,
            clusters,
        }
    }

    fn plan(
        &self,
        goal: &Content,
        unready: &[Arc<Fresh>],
        trial: bool,
        removals: Removals<'_>,
    ) -> Plan {
        let channel = self.channel(goal.resource_type);
        let clusters = match goal.resource_type {
            ResourceType::Endpoint => &*self.channel(ResourceType::Cluster).held.exceptions,
            _ => &[],
        };
        let mut plan = Plan::new(&Inputs {
            shared: &self.shared,
            held: &channel.held,
            goal,
            interest: &channel.subscription.interest(),
            asked: &channel.asked,
            due: &channel.due,
            refusals: &channel.refusals,
            trial,
            unready,
            clusters,
            removals,
        });
        if self.mode == Mode::Sotw {
            // There is no way to say it.
            plan.absent.clear();
        }
        plan
    }

    fn step(
        &mut self,
        resource_type: ResourceType,
        target: &Snapshot,
        newest: &Snapshot,
        unsent: &mut Vec<Arc<Fresh>>,
        now: Instant,
    ) -> Step {
        let channel = self.channel(resource_type);
        if !channel.subscription.active() {
            return Step::Done;
        }
        let goal = self.goal(resource_type, target, newest);
        let asked = !channel.asked.is_empty() || !channel.due.is_empty() || channel.answer;
        let done = channel.held.is(&goal) && !asked;
        let leaving = resource_type == ResourceType::Endpoint
            && !self
                .channel(ResourceType::Cluster)
                .held
                .exceptions
                .is_empty();
        if done && !leaving {
            self.all_sent(&goal);
            return Step::Done;
        }
        let removals = match resource_type {
            // Load assignments go with their clusters.
            ResourceType::Cluster | ResourceType::Endpoint | ResourceType::Route => Removals::Keep,
            ResourceType::Listener => Removals::WithLast,
        };
        let unready = self.unready(resource_type, target, unsent);
        let plan = self.plan(&goal, &unready, false, removals);
        let channel = self.channel(resource_type);
        if resource_type == ResourceType::Cluster {
            // Whether they are sent is seen below; if so, what is unsent does not matter for this response.
            let suspended = Arc::new(Fresh::new(plan.suspended_fresh.clone()));
            unsent.extend(
                [suspended, plan.fresh.clone()]
                    .into_iter()
                    .filter(|f| !f.is_empty()),
            );
        }
        if plan.withheld && self.must_be_whole(channel) {
            return Step::Withheld;
        }
        if plan.sends() || channel.answer && !plan.withheld {
            return self.send_in_window(&goal, plan, false, now);
        }
        if plan.suspended {
            match self.try_next(&goal, &unready, removals, now) {
                Step::Done => {}
                step => return step,
            }
        }
        if plan.withheld {
            return Step::Withheld;
        }
        self.adopt(&goal, plan);
        self.all_sent(&goal);
        Step::Done
    }

    /// Whether a part of the state would take away from the client what it may have from another stream.
    fn must_be_whole(&self, channel: &Channel) -> bool {
        self.is_whole(channel.resource_type) && channel.held.base.is_none()
    }

    /// Sends the next of what may be the culprits of a rejection.
    fn try_next(
        &mut self,
        goal: &Content,
        unready: &[Arc<Fresh>],
        removals: Removals<'_>,
        now: Instant,
    ) -> Step {
        loop {
            let channel = self.channel(goal.resource_type);
            let refusals = &channel.refusals;
            // Not with anything else that could be rejected.
            if !channel.open.is_empty() || !refusals.has_suspects() {
                return Step::Done;
            }
            let next = refusals.next_trial(self.settings.trials_per_minute);
            if let Some(next) = next.filter(|next| now < *next) {
                // What is not suspected is not held up: the pass goes on without these.
                self.wake_at(next);
                return Step::Done;
            }
            let plan = self.plan(goal, unready, true, removals);
            if plan.sends() {
                return self.send_in_window(goal, plan, true, now);
            }
            if plan.withheld {
                return Step::Withheld;
            }
            // None of them is to be sent in this version any longer.
            self.channel_mut(goal.resource_type).refusals.clear_trial();
        }
    }

    fn send_in_window(&mut self, goal: &Content, plan: Plan, trial: bool, now: Instant) -> Step {
        let channel = self.channel(goal.resource_type);
        match channel.window(now, self.settings.ack_timeout) {
            Ok(()) => Step::Send(self.send(goal, plan, trial, now)),
            Err(until) => {
                self.wake_at(until);
                Step::Busy
            }
        }
    }

    /// Moves to the goal where that takes no response.
    fn adopt(&mut self, goal: &Content, plan: Plan) {
        if goal.resource_type == ResourceType::Cluster
            && let Some(pass) = &self.pass
        {
            self.assigned = Some(pass.target.assignments.clusters.clone());
        }
        let channel = self.channel_mut(goal.resource_type);
        channel.held = plan.after;
        channel.asked.clear();
        channel.due.clear();
    }

    /// Nothing is left to send of a type.
    fn all_sent(&mut self, goal: &Content) {
        if goal.resource_type != ResourceType::Endpoint {
            return;
        }
        let channel = self.channel(goal.resource_type);
        let interest = channel.subscription.interest();
        let open = channel.open.back().map(|open| open.nonce);
        let shared = self.shared.clone();
        self.gate
            .assignments_sent(open, |fresh| shared.coverage(fresh, &goal.set, &interest));
    }

    /// Removes clusters and routes that nothing uses any longer.
    fn remove(&mut self, target: &Snapshot, now: Instant) -> Step {
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
    fn replaced(&mut self, reported: bool, now: Instant) -> bool {
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
    fn routes_are_asked_for(&self) -> bool {
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
    fn pins(&self, target: &Snapshot) -> Pins {
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

    /// The response that a plan makes.
    fn send(&mut self, goal: &Content, plan: Plan, trial: bool, now: Instant) -> Response {
        let resource_type = goal.resource_type;
        match resource_type {
            ResourceType::Cluster => self.assignments_are_due(&plan),
            ResourceType::Listener => self.routes_are_due(&plan),
            ResourceType::Endpoint | ResourceType::Route => {}
        }
        let segments = if self.is_whole(resource_type) {
            let interest = self.channel(resource_type).subscription.interest();
            sotw::whole(&self.shared, &plan.after, &interest)
        } else {
            plan.upserts.clone()
        };
        self.respond(goal, plan, segments, trial, now)
    }
}

/// Names that are in use though no resource of the target uses them.
#[derive(Default)]
struct Pins {
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
            Has::Item(item) | Has::Unsure(Some(item)) => {
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
