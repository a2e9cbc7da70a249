//! The state of one xDS stream as a pure state machine: requests, snapshots and the time go in, responses come out.
//!
//! ```text
//! Request ──► Stream::request ─┐
//! Snapshot ─► Stream::publish ─┼─► what may be sent ─► Stream::poll ──► Response (a small head, shared bytes)
//! time ─────────────────────────┘                       Stream::deadline: when to poll again though nothing came
//! ```
//!
//! It serves the delta and the state-of-the-world variants, the aggregated service and those of a single type. It contains
//! no I/O, no clock and no task: the server moves bytes and nothing else. What the rules are is said in Envoy's xDS protocol
//! document; each module here holds one idea of it.

mod answer;
mod channel;
mod delta;
mod due;
mod gate;
mod held;
mod limits;
mod message;
mod pass;
mod plan;
mod reconnect;
mod refusal;
mod removal;
mod report;
mod respond;
mod sotw;
mod stream;
mod subscription;

pub use limits::{Limits, ProtocolError, Settings};
pub use message::{Names, Rejection, Request, Response};
pub use report::{Exchange, Refused, Settled, StreamReport, TypeReport};
pub use stream::{Mode, Service, Stream};

pub use crate::fanout::Interest;

#[cfg(test)]
mod tests;
