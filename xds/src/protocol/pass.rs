//! One pass: a stream is brought to one snapshot, type by type, and only then to the newest.
//!
//! The order is clusters, load assignments, listeners, routes, names, removals. Nothing is remembered of how far a pass has come: what
//! there is to send follows from what the client holds, so that requests, rejections and time-outs may come at any time.

use std::sync::Arc;

use tokio::time::Instant;

use super::channel::Channel;
use super::plan::{Inputs, Plan, Removals};
use super::stream::{Mode, Stream};
use super::{Response, sotw};
use crate::fanout::{Content, Fresh, Interest, Segment};
use crate::resource::ResourceType;
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
    pub(super) leaving: Option<Instant>,
    /// Removals do not wait any longer.
    pub(super) leave: bool,
    /// Listeners that were sent, by nonce: the routes that they name have to be with the client before removals.
    pub(super) listeners: Vec<(u64, Vec<Arc<Segment>>)>,
}

/// How it stands with a type, or with removals.
pub(super) enum Step {
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
                if resource_type == ResourceType::NameTable && (busy || withheld) {
                    // A name is told when what listens on its address has been sent.
                    self.channel_mut(resource_type).pending = true;
                    continue;
                }
                let step = self.step(resource_type, &target, &newest, &mut unsent, now);
                let channel = self.channel_mut(resource_type);
                channel.pending = !matches!(step, Step::Done);
                match step {
                    Step::Send(response) => return Some(response),
                    Step::Done => {}
                    // Endpoints join at any time. Waiting for a moment without would be waiting for ever.
                    Step::Busy if resource_type == ResourceType::Endpoint => {}
                    // Who asks for names is not Envoy, which waits for nobody's answers but its own.
                    Step::Busy if resource_type == ResourceType::NameTable => {}
                    Step::Busy => busy = true,
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

    pub(super) fn plan(
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
        let done = channel.held.is(&goal) && !asked && !channel.owed;
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
            ResourceType::Listener | ResourceType::NameTable => Removals::WithLast,
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
        let owed = channel.owed && !plan.suspended && plan.after.exceptions.is_empty();
        if plan.sends() || (channel.answer || owed) && !plan.withheld {
            self.channel_mut(resource_type).owed &= !owed;
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

    pub(super) fn send_in_window(
        &mut self,
        goal: &Content,
        plan: Plan,
        trial: bool,
        now: Instant,
    ) -> Step {
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
    pub(super) fn adopt(&mut self, goal: &Content, plan: Plan) {
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

    /// The response that a plan makes.
    fn send(&mut self, goal: &Content, mut plan: Plan, trial: bool, now: Instant) -> Response {
        let resource_type = goal.resource_type;
        let segments = if self.is_whole(resource_type) {
            let channel = self.channel(resource_type);
            let interest = channel.subscription.interest();
            let whole = sotw::whole(&self.shared, &plan.after, &interest);
            let repeated = sotw::repeated(channel.open.back(), &plan.upserts, &whole);
            if !repeated.is_empty() {
                plan.upserts
                    .push(self.shared.segment(resource_type, repeated));
                plan.shared = false;
            }
            whole
        } else {
            plan.upserts.clone()
        };
        match resource_type {
            ResourceType::Cluster => self.assignments_are_due(&plan),
            ResourceType::Listener => self.routes_are_due(&plan),
            ResourceType::Endpoint | ResourceType::Route | ResourceType::NameTable => {}
        }
        self.respond(goal, plan, segments, trial, now)
    }
}
