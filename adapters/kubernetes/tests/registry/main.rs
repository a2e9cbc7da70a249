//! The registry, and what it is made of, against API servers that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "an unwrap in a test is an assertion"
)]

mod fake;
mod following;
mod watch_faults;
mod watch_lists;
mod watch_model;
