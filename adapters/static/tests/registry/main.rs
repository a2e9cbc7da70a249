//! The registry against real files, a real watcher and the real store.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "an unwrap in a test is an assertion"
)]

mod contract;
mod faults;
mod links;
mod manifests;
mod world;
