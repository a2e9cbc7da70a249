//! The suites that cross crates, one module each.

mod architecture;
mod envoy_static;
