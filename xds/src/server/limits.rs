//! What a peer may ask of this server. Every number is a default that a flag may change; every limit that is met is counted.

use std::time::Duration;

/// The limits that [`Metrics::limited`](crate::metrics::Metrics::limited) tells apart.
pub const LIMITS: [&str; 9] = [
    "connections",
    "handshake",
    "first_message",
    "message_size",
    "names",
    "node",
    "rate",
    "idle",
    "age",
];

/// Sizes, counts, rates and times that a peer controls.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Open connections; more are closed as soon as they are accepted.
    pub connections: usize,
    /// Concurrent streams of one connection.
    pub streams: u32,
    /// Bytes of a request's header list.
    pub headers: u32,
    /// Streams that a peer may reset before they were looked at.
    pub pending_resets: usize,
    /// Streams that this server may have to reset because of a peer's errors.
    pub error_resets: usize,
    /// How long a connection may take until its first stream is opened.
    pub handshake: Duration,
    /// How long a connection may go without a stream.
    pub idle: Duration,
    /// How long a stream may take until its first message has come.
    pub first_message: Duration,
    /// How long a client may take nothing of what was sent to it.
    pub send: Duration,
    /// Bytes of one message.
    pub message: usize,
    /// Bytes of a node.
    pub node: usize,
    /// Messages a second that a stream may send for long.
    pub rate: f64,
    /// Messages that a stream may send at once.
    pub burst: f64,
    /// Initial transfers at a time; more wait in the order in which they came.
    pub initial_transfers: usize,
    /// How long an initial transfer may hold its place.
    pub initial_transfer: Duration,
    /// Silence after which a connection is asked for a sign of life.
    pub keepalive: Duration,
    /// How long that sign may take.
    pub keepalive_timeout: Duration,
    /// The age at which a connection is asked to go, give or take 15 %; `None` for never. It spreads proxies over replicas.
    pub age: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            streams: 16,
            headers: 16 << 10,
            pending_resets: 20,
            error_resets: 32,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            first_message: Duration::from_secs(15),
            send: Duration::from_secs(30),
            message: 4 << 20,
            node: 256 << 10,
            rate: 100.0,
            burst: 500.0,
            initial_transfers: 32,
            initial_transfer: Duration::from_secs(10),
            keepalive: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            age: Some(Duration::from_secs(30 * 60)),
        }
    }
}
