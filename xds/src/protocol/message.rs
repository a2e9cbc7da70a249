//! What a stream is told and what it says, without the framing.

use bytes::Bytes;

use crate::fanout::Payload;
use crate::resource::ResourceType;

/// A `DiscoveryRequest` or `DeltaDiscoveryRequest`, parsed.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The type it concerns.
    pub resource_type: ResourceType,
    /// The nonce of the response that it answers; empty if none.
    pub nonce: &'a str,
    /// Why that response was rejected.
    pub error: Option<Rejection>,
    /// What is asked for.
    pub names: Names<'a>,
}

/// `error_detail` of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// A `google.rpc.Code`.
    pub code: i32,
    /// Free text, which often names the culprits.
    pub message: String,
}

/// What a request asks for, as its variant says it.
#[derive(Debug, Clone)]
pub enum Names<'a> {
    /// Delta: changes of the subscription.
    Delta {
        /// `resource_names_subscribe`
        subscribe: Vec<&'a str>,
        /// `resource_names_unsubscribe`
        unsubscribe: Vec<&'a str>,
        /// `initial_resource_versions`; any order.
        initial: Vec<(&'a str, &'a str)>,
    },
    /// State of the world: the whole subscription.
    Sotw {
        /// `version_info`
        version: &'a str,
        /// `resource_names`
        names: Vec<&'a str>,
    },
}

/// A `DiscoveryResponse` or `DeltaDiscoveryResponse`: its encoding is `head` followed by `parts`.
#[derive(Debug, Clone)]
pub struct Response {
    /// The type it concerns.
    pub resource_type: ResourceType,
    /// Its nonce, which is also in `head`.
    pub nonce: String,
    /// All encoded fields except the resources: versions, type URL, nonce, removed names.
    pub head: Bytes,
    /// The encoded resources (field 2, repeated), shared by all streams that are sent the same.
    pub parts: Payload,
    /// How many resources `parts` has.
    pub resources: usize,
    /// How many names `head` declares removed.
    pub removed: usize,
}

impl Response {
    /// The length of the message in bytes.
    pub fn message_len(&self) -> usize {
        self.head.len() + self.parts.byte_len()
    }
}
