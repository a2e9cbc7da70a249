//! The state of one stream: its types, the snapshots it is brought to, and what it is told.

use std::sync::Arc;

use tokio::time::Instant;

use super::channel::{Channel, Reported};
use super::delta;
use super::due::Due;
use super::gate::Gate;
use super::held::Held;
use super::limits::{ProtocolError, Settings};
use super::message::{Names, Request, Response};
use super::pass::Pass;
use super::report::{Settled, StreamReport};
use crate::fanout::{Fanout, Interest, Set};
use crate::resource::{ResourceType, Version};
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
    pub(super) id: u64,
    pub(super) last_nonce: u64,
    /// When the first request came.
    pub(super) started: Option<Instant>,
    pub(super) channels: [Channel; ResourceType::ALL.len()],
    pub(super) newest: Option<Arc<Snapshot>>,
    pub(super) pass: Option<Pass>,
    pub(super) gate: Gate,
    /// The clusters that load assignments are sent under: as the client has been sent them.
    pub(super) assigned: Option<Arc<Set>>,
    /// Clusters sent before load assignments are first asked for.
    pub(super) due: Due,
    pub(super) deadline: Option<Instant>,
    /// Whether something has happened since there was nothing to send.
    stirred: bool,
    interest_changed: bool,
    /// When the earliest change that is not settled was seen, and the responses since.
    pub(super) unsettled: Option<Instant>,
    pub(super) responses: u64,
    settled: Option<Settled>,
    pub(super) gate_timeouts: u64,
    pub(super) removal_timeouts: u64,
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

    /// The client is one that asks for everything by name. A first request without names, as some send it when they come back
    /// and have use of nothing, asks for nothing then.
    pub fn by_name_only(&mut self) {
        for channel in &mut self.channels {
            channel.subscription.by_name_only();
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
    pub fn subscriptions(&mut self) -> Option<[Interest; ResourceType::ALL.len()]> {
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
        let [clusters, endpoints, listeners, routes, names] = &self.channels;
        match resource_type {
            ResourceType::Cluster => clusters,
            ResourceType::Endpoint => endpoints,
            ResourceType::Listener => listeners,
            ResourceType::Route => routes,
            ResourceType::NameTable => names,
        }
    }

    pub(super) fn channel_mut(&mut self, resource_type: ResourceType) -> &mut Channel {
        let [clusters, endpoints, listeners, routes, names] = &mut self.channels;
        match resource_type {
            ResourceType::Cluster => clusters,
            ResourceType::Endpoint => endpoints,
            ResourceType::Listener => listeners,
            ResourceType::Route => routes,
            ResourceType::NameTable => names,
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
        let quiet = |of| {
            let channel = self.channel(of);
            channel.open.is_empty() && !channel.pending
        };
        if ResourceType::OF_ENVOY.into_iter().all(quiet)
            && let (Some(newest), Some(since)) = (&self.newest, self.unsettled.take())
        {
            self.settled = Some(Settled {
                generation: newest.generation,
                since,
                responses: std::mem::take(&mut self.responses),
            });
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
}
