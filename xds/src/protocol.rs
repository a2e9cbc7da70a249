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

mod limits;
mod message;
mod stream;

pub use limits::{Limits, ProtocolError, Settings};
pub use message::{Names, Rejection, Request, Response};
pub use stream::{Interest, Mode, Refused, Service, Settled, Stream, StreamReport, TypeReport};
