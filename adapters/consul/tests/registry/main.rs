//! The registry against agents that misbehave, over real connections, with the real store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "an unwrap in a test is an assertion"
)]

mod agent;
mod client;
mod contract;
mod faults;
mod mesh;
mod newer;
mod rights;
