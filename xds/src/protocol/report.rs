//! The state of a stream, for people.

use std::sync::Arc;

use tokio::time::Instant;

use super::channel::{Channel, Sent};
use super::stream::Stream;
use crate::fanout::Interest;
use crate::resource::{Cause, Name, ResourceType, Version};

/// A resource that the client has rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its type.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: Name,
    /// The version of the content that was rejected.
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

/// The state of a stream.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// In the order of [`ResourceType::ALL`].
    pub types: Vec<TypeReport>,
    /// The generation that the stream is being brought to.
    pub target: Option<u64>,
    /// The newest generation that it knows of.
    pub newest: Option<u64>,
    /// How often resources were sent although clusters that they use had not been acknowledged in time.
    pub gate_timeouts: u64,
    /// How often removals did not wait any longer for the answers to what replaces them.
    pub removal_timeouts: u64,
}

/// The state of one type on a stream.
#[derive(Debug, Clone)]
pub struct TypeReport {
    /// The type.
    pub resource_type: ResourceType,
    /// What is asked for.
    pub interest: Interest,
    /// The response sent last.
    pub sent: Option<Exchange>,
    /// The response acknowledged last.
    pub acked: Option<Exchange>,
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

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its nonce.
    pub nonce: String,
    /// Its version: of the whole state if it carried that, and otherwise of what it carried.
    pub version: Version,
    /// When it was sent or acknowledged.
    pub at: Instant,
}

impl Stream {
    pub(super) fn report_of(&self, channel: &Channel) -> TypeReport {
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
