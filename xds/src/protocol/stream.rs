//! The state of one stream.

use std::sync::Arc;

use tokio::time::Instant;

use super::{ProtocolError, Request, Response, Settings};
use crate::fanout::{Fanout, NameSet};
use crate::resource::{Cause, Name, ResourceType, Version};
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

/// What a stream asks for of one type.
#[derive(Debug, Clone, Default)]
pub enum Interest {
    /// Nothing.
    #[default]
    None,
    /// Everything.
    Wildcard,
    /// These.
    Names(Arc<NameSet>),
}

/// A resource that the client has rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: Name,
    /// The version that was rejected.
    pub version: Version,
    /// What the client said.
    pub message: Arc<str>,
    /// What the resource was made from.
    pub causes: Arc<[Cause]>,
}

/// Everything of a snapshot is with the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The snapshot's.
    pub generation: u64,
    /// When the earliest change that it settled was seen.
    pub since: Instant,
    /// How many responses that took; none if nothing in it concerned this stream.
    pub responses: u64,
}

/// The state of a stream, for people.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// In the order of [`ResourceType::ALL`].
    pub types: Vec<TypeReport>,
    /// The generation that the stream is being brought to.
    pub target: Option<u64>,
    /// The newest generation that it knows of.
    pub newest: Option<u64>,
    /// What was sent although clusters it uses had not been acknowledged in time.
    pub gate_timeouts: u64,
    /// Removals that did not wait any longer for the answers to what replaces them.
    pub removal_timeouts: u64,
}

/// The state of one type on a stream, for people.
#[derive(Debug, Clone)]
pub struct TypeReport {
    /// The type.
    pub resource_type: ResourceType,
    /// What is asked for.
    pub interest: Interest,
    /// The nonce sent last, and when.
    pub sent: Option<(String, Instant)>,
    /// The nonce acknowledged last, and when.
    pub acked: Option<(String, Instant)>,
    /// The `version_info` or `system_version_info` sent last.
    pub version: Option<Version>,
    /// The version acknowledged last.
    pub acked_version: Option<Version>,
    /// The last rejection, and when.
    pub error: Option<(Arc<str>, Instant)>,
    /// What is refused.
    pub refused: Vec<Refused>,
    /// Responses that wait for an answer.
    pub unacknowledged: usize,
    /// Whether there is something that has yet to be sent.
    pub pending: bool,
    /// Rejected responses.
    pub nacks: u64,
}

/// See the [module](super).
pub struct Stream {
    shared: Arc<Fanout>,
    settings: Settings,
}

impl Stream {
    /// A stream that has just been opened. Publish the client's snapshot before its first request where that is possible: it
    /// saves keeping what a reconnecting client reports.
    pub fn new(mode: Mode, service: Service, shared: Arc<Fanout>, settings: Settings) -> Self {
        let _ = (mode, service);
        Self { shared, settings }
    }

    /// Takes what the client says.
    pub fn request(&mut self, request: Request<'_>, now: Instant) -> Result<(), ProtocolError> {
        let _ = (request, now, &self.shared, self.settings);
        Ok(())
    }

    /// Takes what the client is to have. Only the newest counts.
    pub fn publish(&mut self, snapshot: Arc<Snapshot>, now: Instant) {
        let _ = (snapshot, now);
    }

    /// The next message, to be called until there is none: after each request, each snapshot and at [`Stream::deadline`].
    pub fn poll(&mut self, now: Instant) -> Option<Response> {
        let _ = now;
        None
    }

    /// When to poll again even if nothing came.
    pub fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Taken once everything of a snapshot has been acknowledged.
    pub fn settled(&mut self) -> Option<Settled> {
        None
    }

    /// What is asked for of each type, in the order of [`ResourceType::ALL`]; `None` if it is as at the last call.
    pub fn subscriptions(&mut self) -> Option<[Interest; 4]> {
        None
    }

    /// The state for people.
    pub fn report(&self) -> StreamReport {
        StreamReport {
            types: Vec::new(),
            target: None,
            newest: None,
            gate_timeouts: 0,
            removal_timeouts: 0,
        }
    }
}
