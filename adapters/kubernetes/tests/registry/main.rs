//! The registry, and what it is made of, against API servers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "an unwrap in a test is an assertion"
)]

mod contract;
mod fake;
mod faults;
mod following;
mod namespaces;
mod running;
mod watch_faults;
mod watch_lists;
mod watch_model;
