//! The state of one stream: its types, the snapshots it is brought to, and what it is told.

use std::sync::Arc;

use tokio::time::Instant;

use super::channel::{Channel, Open, Reported, Sent};
use super::gate::Gate;
use super::held::Held;
use super::limits::{ProtocolError, Settings};
use super::message::{Names, Rejection, Request, Response};
use super::pass::Pass;
use super::plan::Plan;
use super::report::{Exchange, Settled, StreamReport, TypeReport};
use super::{delta, sotw};
use crate::fanout::{Content, Fanout, Fresh, Has, Interest, Segment, Set, Wrap};
use crate::resource::{Name, ResourceType, Version};
use crate::snapshot::Snapshot;

/// The variant of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Incremental.
    Delta,
    /// State of the world.
    Sotw,
}

/// What a stream serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// All types.
    Ads,
    /// One type.
    Only(ResourceType),
}

/// See the [module](super).
pub struct Stream {
    pub(super) mode: Mode,
    pub(super) service: Service,
    pub(super) shared: Arc<Fanout>,
    pub(super) settings: Settings,
    /// Tells this stream's nonces from those of others.
    id: u64,
    last_nonce: u64,
    /// When the first request came.
    pub(super) started: Option<Instant>,
    channels: [Channel; 4],
    pub(super) newest: Option<Arc<Snapshot>>,
    pub(super) pass: Option<Pass>,
    pub(super) gate: Gate,
    /// The clusters that load assignments are sent under: as the client has been sent them.
    pub(super) assigned: Option<Arc<Set>>,
    /// Clusters sent before load assignments are first asked for.
    due: Due,
    pub(super) deadline: Option<Instant>,
    /// Whether something has happened since there was nothing to send.
    stirred: bool,
    interest_changed: bool,
    /// When the earliest change that is not settled was seen, and the responses since.
    unsettled: Option<Instant>,
    responses: u64,
    settled: Option<Settled>,
    pub(super) gate_timeouts: u64,
    pub(super) removal_timeouts: u64,
}

/// Load assignments that are due whatever the client reports to have.
#[derive(Debug, Default)]
enum Due {
    #[default]
    Nothing,
    Names(Vec<Name>),
    Everything,
}

impl Stream {
    /// A stream that has just been opened. Publish the client's snapshot before its first request where that is possible: it
    /// saves keeping what a reconnecting client reports.
    pub fn new(mode: Mode, service: Service, shared: Arc<Fanout>, settings: Settings) -> Self {
        Self {
            mode,
            service,
            id: shared.next_stream(),
            shared,
            settings,
            last_nonce: 0,
            started: None,
            channels: ResourceType::ALL.map(Channel::new),
            newest: None,
            pass: None,
            gate: Gate::default(),
            assigned: None,
            due: Due::Nothing,
            deadline: None,
            stirred: false,
            interest_changed: false,
            unsettled: None,
            responses: 0,
            settled: None,
            gate_timeouts: 0,
            removal_timeouts: 0,
        }
    }

    /// Takes what the client says.
    pub fn request(&mut self, request: Request<'_>, now: Instant) -> Result<(), ProtocolError> {
        if let Service::Only(serves) = self.service
            && serves != request.resource_type
        {
            let asked = request.resource_type;
            return Err(ProtocolError::WrongType { serves, asked });
        }
        self.settings.limits.check(&request)?;
        self.started.get_or_insert(now);
        self.stirred = true;
        let (resource_type, nonce) = (request.resource_type, self.own_nonce(request.nonce));
        match (self.mode, request.names) {
            (
                Mode::Delta,
                Names::Delta {
                    subscribe,
                    unsubscribe,
                    initial,
                },
            ) => {
                if let Some(nonce) = nonce {
                    self.answered(resource_type, nonce, request.error, now);
                }
                self.delta(resource_type, subscribe, unsubscribe, initial)?;
            }
            (Mode::Sotw, Names::Sotw { version, names }) => {
                let channel = self.channel(resource_type);
                let first = !channel.subscription.asked();
                let latest = channel.sent.map(|sent| sent.nonce);
                if let Some(nonce) = nonce {
                    self.answered(resource_type, nonce, request.error, now);
                }
                // What does not answer the latest response was said without knowing it, and will be said again.
                if first || request.nonce.is_empty() || nonce.is_some() && nonce == latest {
                    let again = !first && request.nonce.is_empty();
                    self.sotw(resource_type, version, names, again);
                }
            }
            _ => return Err(ProtocolError::WrongVariant),
        }
        Ok(())
    }

    /// Takes what the client is to have. Only the newest counts.
    pub fn publish(&mut self, snapshot: Arc<Snapshot>, _now: Instant) {
        if self
            .newest
            .as_ref()
            .is_some_and(|newest| Arc::ptr_eq(newest, &snapshot))
        {
            return;
        }
        self.unsettled = Some(match self.unsettled {
            Some(since) => since.min(snapshot.since),
            None => snapshot.since,
        });
        let idle = self.newest.as_ref().is_some_and(|newest| {
            let pass = self.pass.as_ref();
            !self.stirred
                && self.deadline.is_none()
                && pass.is_some_and(|pass| Arc::ptr_eq(&pass.target, newest))
                && self.channels.iter().all(|channel| !channel.pending)
        });
        if idle {
            self.pass = Some(Pass::new(snapshot.clone()));
        }
        self.newest = Some(snapshot);
        self.stirred = true;
    }

    /// The next message, to be called until there is none: after each request, each snapshot and at [`Stream::deadline`].
    pub fn poll(&mut self, now: Instant) -> Option<Response> {
        if !self.stirred && self.deadline.is_none_or(|deadline| now < deadline) {
            return None;
        }
        let response = self.advance(now);
        self.stirred = response.is_some();
        response
    }

    /// When to poll again even if nothing came.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Taken once everything of a snapshot has been acknowledged.
    pub fn settled(&mut self) -> Option<Settled> {
        self.settled.take()
    }

    /// What is asked for of each type, in the order of [`ResourceType::ALL`]; `None` if it is as at the last call.
    pub fn subscriptions(&mut self) -> Option<[Interest; 4]> {
        std::mem::take(&mut self.interest_changed)
            .then(|| ResourceType::ALL.map(|t| self.channel(t).subscription.interest()))
    }

    /// The state for people.
    pub fn report(&self) -> StreamReport {
        StreamReport {
            types: self.channels.iter().map(|c| self.report_of(c)).collect(),
            target: self.pass.as_ref().map(|pass| pass.target.generation),
            newest: self.newest.as_ref().map(|newest| newest.generation),
            gate_timeouts: self.gate_timeouts,
            removal_timeouts: self.removal_timeouts,
        }
    }

    pub(super) fn channel(&self, resource_type: ResourceType) -> &Channel {
        let [clusters, endpoints, listeners, routes] = &self.channels;
        match resource_type {
            ResourceType::Cluster => clusters,
            ResourceType::Endpoint => endpoints,
            ResourceType::Listener => listeners,
            ResourceType::Route => routes,
        }
    }

    pub(super) fn channel_mut(&mut self, resource_type: ResourceType) -> &mut Channel {
        let [clusters, endpoints, listeners, routes] = &mut self.channels;
        match resource_type {
            ResourceType::Cluster => clusters,
            ResourceType::Endpoint => endpoints,
            ResourceType::Listener => listeners,
            ResourceType::Route => routes,
        }
    }

    pub(super) fn wake_at(&mut self, at: Instant) {
        self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
    }

    /// Whether responses of this type are the whole state.
    pub(super) fn is_whole(&self, resource_type: ResourceType) -> bool {
        self.mode == Mode::Sotw && resource_type.has_wildcard()
    }

    /// The pass is over, and the client has been sent everything.
    pub(super) fn settle(&mut self) {
        let quiet = |channel: &Channel| channel.open.is_empty() && !channel.pending;
        if self.channels.iter().all(quiet)
            && let (Some(newest), Some(since)) = (&self.newest, self.unsettled.take())
        {
            self.settled = Some(Settled {
                generation: newest.generation,
                since,
                responses: std::mem::take(&mut self.responses),
            });
        }
    }

    /// Compares what the client has reported with what it is to have.
    pub(super) fn compare_reported(&mut self, target: &Arc<Snapshot>) {
        for resource_type in ResourceType::ALL {
            let reported = std::mem::take(&mut self.channel_mut(resource_type).reported);
            match reported {
                Reported::Nothing => {}
                Reported::Resources(reported) => {
                    let reported: Vec<_> = reported.iter().map(|(n, v)| (&**n, *v)).collect();
                    self.compare_resources(target, resource_type, &reported);
                }
                Reported::Whole(version) => self.compare_whole(target, resource_type, version),
            }
        }
    }

    fn compare_resources(
        &mut self,
        target: &Arc<Snapshot>,
        resource_type: ResourceType,
        reported: &[(&str, Version)],
    ) {
        let newest = self.newest.clone().unwrap_or_else(|| target.clone());
        let goal = self.goal(resource_type, target, &newest);
        let interest = self.channel(resource_type).subscription.interest();
        let mut held = Held::reported(&self.shared, &goal, &interest, reported);
        match resource_type {
            ResourceType::Endpoint => match std::mem::take(&mut self.due) {
                // While a cluster warms, a client that comes back does not ask for clusters. Which versions it has of them is
                // not known, and whatever it has, it waits for this.
                Due::Nothing if self.awaits_clusters() => held = Held::default(),
                Due::Nothing => {}
                Due::Names(names) => held.forget(&names),
                Due::Everything => held = Held::default(),
            },
            ResourceType::Cluster => self.assigned = Some(target.assignments.clusters.clone()),
            ResourceType::Listener | ResourceType::Route => {}
        }
        self.channel_mut(resource_type).held = held;
    }

    /// Whether clusters are served and have not been asked for.
    pub(super) fn awaits_clusters(&self) -> bool {
        self.service == Service::Ads && !self.channel(ResourceType::Cluster).subscription.asked()
    }

    /// A version of the whole state says only something where everything is asked for.
    fn compare_whole(
        &mut self,
        target: &Arc<Snapshot>,
        resource_type: ResourceType,
        version: Version,
    ) {
        let goal = self.goal(resource_type, target, target);
        let held = Held {
            base: Some(goal),
            exceptions: Arc::default(),
        };
        let whole = sotw::whole(&self.shared, &held, &Interest::Wildcard);
        if sotw::version(&whole) == version {
            if resource_type == ResourceType::Cluster {
                self.assigned = Some(target.assignments.clusters.clone());
            }
            let channel = self.channel_mut(resource_type);
            channel.held = held;
            channel.answer = false;
        }
    }

    /// The nonce, if it is one of this stream.
    fn own_nonce(&self, text: &str) -> Option<u64> {
        let (id, nonce) = text.split_once('.')?;
        let id = u64::from_str_radix(id, 16).ok()?;
        let nonce = nonce.parse().ok()?;
        (id == self.id && nonce <= self.last_nonce).then_some(nonce)
    }

    fn nonce_text(&self, nonce: u64) -> String {
        format!("{:x}.{nonce}", self.id)
    }

    /// A response has been acknowledged or rejected.
    fn answered(
        &mut self,
        resource_type: ResourceType,
        nonce: u64,
        error: Option<Rejection>,
        now: Instant,
    ) {
        let Some(error) = error else {
            self.channel_mut(resource_type).acknowledge(nonce, now);
            self.gate.acknowledged(resource_type, nonce);
            return;
        };
        let whole = self.is_whole(resource_type);
        let channel = self.channel_mut(resource_type);
        let Some(rejected) = channel.reject(nonce, whole, &error.message, now) else {
            return;
        };
        if !whole && let Some(before) = nonce.checked_sub(1) {
            self.gate.acknowledged(resource_type, before);
        }
        if rejected.upserts.is_empty() {
            self.gate.acknowledged(resource_type, nonce);
            return;
        }
        self.gate.rejected(resource_type, nonce);
        if resource_type == ResourceType::Cluster {
            self.still_fresh(&rejected);
            self.assigned = rejected.assigned;
        }
        if let Some(pass) = &mut self.pass {
            pass.listeners.retain(|(sent, _)| *sent != nonce);
        }
    }

    /// What a rejected response had first, later ones may have again, and the client has it from them alone.
    fn still_fresh(&mut self, rejected: &Open) {
        let items = rejected.upserts.iter().flat_map(|s| s.items());
        let names = items.map(|item| item.name());
        let fresh: Vec<&Name> = names
            .filter(|name| rejected.before.has(name.as_str()).may_be_nothing())
            .collect();
        let [clusters, ..] = &self.channels;
        for later in &clusters.open {
            let again = fresh.iter().filter(|name| {
                let mut segments = later.upserts.iter();
                segments.any(|s| s.get(name.as_str()).is_some())
            });
            let mut again: Vec<Name> = again.map(|name| (*name).clone()).collect();
            again.sort_unstable();
            self.gate.sent(&Arc::new(Fresh::new(again)), later.nonce);
        }
    }

    fn delta(
        &mut self,
        resource_type: ResourceType,
        subscribe: Vec<&str>,
        unsubscribe: Vec<&str>,
        initial: Vec<(&str, &str)>,
    ) -> Result<(), ProtocolError> {
        let limits = self.settings.limits;
        let shared = self.shared.clone();
        let channel = self.channel_mut(resource_type);
        let turn = channel
            .subscription
            .delta(&shared, resource_type, subscribe, unsubscribe);
        limits.check_len(resource_type, channel.subscription.len())?;
        channel.turn(&turn);
        channel.answer |= turn.everything;
        self.interest_changed |= turn.changed;
        if turn.first && !initial.is_empty() {
            let reported = delta::reported(initial);
            let target = self.pass.as_ref().map(|pass| pass.target.clone());
            match target.or_else(|| self.newest.clone()) {
                Some(target) => self.compare_resources(&target, resource_type, &reported),
                None => {
                    let owned = reported.into_iter().map(|(n, v)| (n.into(), v)).collect();
                    self.channel_mut(resource_type).reported = Reported::Resources(owned);
                }
            }
        }
        Ok(())
    }

    fn sotw(&mut self, resource_type: ResourceType, version: &str, names: Vec<&str>, again: bool) {
        let shared = self.shared.clone();
        let channel = self.channel_mut(resource_type);
        let turn = channel.subscription.sotw(&shared, resource_type, names);
        channel.turn(&turn);
        if again && channel.open.is_empty() {
            // A new subscription is answered, whatever has been sent before.
            channel.held = Held::default();
            channel.asked = channel.subscription.names().cloned().into_iter().collect();
            channel.answer = channel.subscription.active();
        }
        channel.answer |= turn.everything || turn.added.is_some();
        // Of the types that are never sent as a whole, there is nothing to say about what does not exist.
        channel.answer &= resource_type.has_wildcard();
        if turn.first
            && channel.subscription.interest().is_wildcard()
            && resource_type.has_wildcard()
            && let Some(version) = Version::parse(version)
        {
            channel.reported = Reported::Whole(version);
        }
        self.interest_changed |= turn.changed;
    }

    /// Every cluster that is sent makes its load assignment due after it, as Envoy waits for one.
    pub(super) fn assignments_are_due(&mut self, plan: &Plan) {
        let Some(target) = self.pass.as_ref().map(|pass| pass.target.clone()) else {
            return;
        };
        let under = target.assignments.clusters.clone();
        let everything = plan.shared && self.channel(ResourceType::Cluster).held.base.is_none();
        let upserts = plan.upserts.iter().flat_map(|s| s.items());
        // A whole state also takes clusters back to what they were before a rejected response.
        let mode = self.mode;
        let taken_back = plan
            .after
            .exceptions
            .iter()
            .filter(|e| mode == Mode::Sotw && matches!(e.has, Has::Unsure(Some(_))));
        let names = upserts
            .map(|item| item.name())
            .chain(taken_back.map(|e| &e.name));
        let assignments = self.channel(ResourceType::Endpoint);
        if !assignments.subscription.asked() {
            match &mut self.due {
                Due::Everything => {}
                due if everything => *due = Due::Everything,
                Due::Names(due) => due.extend(names.cloned()),
                due @ Due::Nothing => *due = Due::Names(names.cloned().collect()),
            }
            return;
        }
        if everything {
            let assignments = self.channel_mut(ResourceType::Endpoint);
            assignments.held_ever(|held| *held = Held::default());
            assignments.due = assignments
                .subscription
                .names()
                .cloned()
                .into_iter()
                .collect();
            return;
        }
        let interest = assignments.subscription.interest();
        let names: Vec<&str> = names
            .map(Name::as_str)
            .filter(|name| interest.contains(name))
            .collect();
        if names.is_empty() {
            return;
        }
        // Versions of assignments cover those of their clusters: what was sent under the clusters before these differs.
        let held = &assignments.held;
        let before = held.base.as_ref().and_then(|base| base.clusters.as_ref());
        let in_step = plan.shared
            && held.exceptions.is_empty()
            && before
                .zip(self.assigned.as_ref())
                .is_some_and(|(a, b)| Arc::ptr_eq(a, b) && !Arc::ptr_eq(b, &under));
        let names = self.shared.names(names);
        let assignments = self.channel_mut(ResourceType::Endpoint);
        if !in_step {
            assignments.forget(names.iter());
        }
        assignments.due.push(names);
    }

    /// A state-of-the-world request that came too late is ignored: that a client has given up routes and asks for them again,
    /// because listeners come and go, may not be seen in its subscription.
    pub(super) fn routes_are_due(&mut self, plan: &Plan) {
        let mode = self.mode;
        let routes = self.channel_mut(ResourceType::Route);
        if mode == Mode::Sotw && routes.subscription.active() {
            let interest = routes.subscription.interest();
            let named = plan.upserts.iter().flat_map(|segment| segment.routes());
            let asked = named.filter(|name| interest.contains(name.as_str()));
            routes.forget(asked);
        }
    }

    /// Makes a response of a plan, and remembers it.
    pub(super) fn respond(
        &mut self,
        goal: &Content,
        plan: Plan,
        segments: Vec<Arc<Segment>>,
        trial: bool,
        now: Instant,
    ) -> Response {
        let resource_type = goal.resource_type;
        self.last_nonce += 1;
        self.responses += u64::from(self.unsettled.is_some());
        let (number, nonce) = (self.last_nonce, self.nonce_text(self.last_nonce));
        let version = sotw::version(&segments);
        let mut gone = plan.removed.clone();
        gone.extend(plan.absent.iter().cloned());
        let (head, wrap, removed) = match self.mode {
            Mode::Delta => {
                let head = delta::head(resource_type, version, &nonce, &gone);
                (head, Wrap::Delta, gone.len())
            }
            Mode::Sotw => (sotw::head(resource_type, version, &nonce), Wrap::Sotw, 0),
        };
        let parts = self.shared.payload(&segments, wrap);
        let resources = segments.iter().map(|s| s.items().len()).sum();
        let assigned = self.assigned.clone();
        if resource_type == ResourceType::Cluster {
            self.gate.sent(&plan.fresh, number);
            self.assigned = self
                .pass
                .as_ref()
                .map(|pass| pass.target.assignments.clusters.clone());
        }
        if resource_type == ResourceType::Listener
            && let Some(pass) = &mut self.pass
        {
            pass.listeners.push((number, plan.upserts.clone()));
        }
        let channel = self.channel_mut(resource_type);
        channel.asked.clear();
        channel.due.clear();
        channel.answer = false;
        if trial {
            channel.refusals.tried(now);
        }
        let before = std::mem::replace(&mut channel.held, plan.after);
        channel.opened(Open {
            nonce: number,
            at: now,
            version,
            before,
            assigned: (resource_type == ResourceType::Cluster)
                .then_some(assigned)
                .flatten(),
            upserts: plan.upserts,
            carried: segments,
            removed: plan.removed,
            trial,
        });
        Response {
            resource_type,
            nonce,
            head: head.freeze(),
            parts,
            resources,
            removed,
        }
    }

    fn report_of(&self, channel: &Channel) -> TypeReport {
        let exchange = |sent: Sent| Exchange {
            nonce: self.nonce_text(sent.nonce),
            version: sent.version,
            at: sent.at,
        };
        TypeReport {
            resource_type: channel.resource_type,
            interest: channel.subscription.interest(),
            sent: channel.sent.map(exchange),
            acked: channel.acked.map(exchange),
            error: channel.error.clone(),
            refused: channel.refusals.refused().cloned().collect(),
            unacknowledged: channel.open.len(),
            pending: channel.pending,
            nacks: channel.nacks,
        }
    }
}
