//! The suites that cross crates, one module each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "suites state what must hold, in helpers as well as in tests"
)]

mod architecture;
mod envoy_static;
